//! A file of webhook secrets: one per line, or several separated by commas, newest first.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use harkara_core::secret::Secret;
use harkara_core::signature::{EndpointSecrets, InvalidSecrets};

/// Largest file, in bytes: far more than eight secrets need.
const BYTES_MAX: u64 = 64 * 1024;

/// Why a file of secrets cannot be used. Does not quote its contents.
#[derive(Debug, thiserror::Error)]
pub enum SecretsFileError {
    /// It is missing, unreadable or not text.
    #[error("the file cannot be read")]
    Unreadable(#[source] io::Error),
    /// It is too large to be a file of secrets.
    #[error("the file has more than {BYTES_MAX} bytes")]
    TooLarge,
    /// It is empty, or a secret is invalid.
    #[error(transparent)]
    Invalid(#[from] InvalidSecrets),
}

/// Reads the secrets in a file, newest first: at least one, all valid.
pub fn read_secrets_file(path: &Path) -> Result<Vec<Secret>, SecretsFileError> {
    let mut text = String::new();
    let read = File::open(path)
        .and_then(|file| file.take(BYTES_MAX + 1).read_to_string(&mut text))
        .map_err(SecretsFileError::Unreadable)?;
    if read as u64 > BYTES_MAX {
        return Err(SecretsFileError::TooLarge);
    }
    let secrets = of_items(items(&text));
    EndpointSecrets::new(&secrets)?;
    Ok(secrets)
}

/// The lines of a file, without empty ones at its end.
pub(crate) fn items(text: &str) -> impl Iterator<Item = &str> {
    text.trim_end_matches(['\n', '\r']).lines()
}

/// The one value in a file.
pub(crate) fn value(text: &str) -> String {
    items(text).collect::<Vec<_>>().join(",")
}

/// The secrets in items that may each contain several, separated by commas.
pub(crate) fn of_items<'a>(items: impl IntoIterator<Item = &'a str>) -> Vec<Secret> {
    let each = items.into_iter().flat_map(|item| item.split(','));
    each.map(|secret| Secret::new(secret.trim())).collect()
}
