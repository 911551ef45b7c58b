//! A file of webhook secrets: one a line, or several separated by commas, newest first.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use harkara_core::secret::Secret;
use harkara_core::signature::{EndpointSecrets, InvalidSecrets};

/// Largest file of secrets, in bytes: far more than eight secrets need.
const BYTES_MAX: u64 = 64 * 1024;

/// Why a file gives no secrets. Tells nothing of what is in it.
#[derive(Debug, thiserror::Error)]
pub enum UnusableSecretsFile {
    /// It is not there, not ours to read, or not text.
    #[error("the file cannot be read: {0}")]
    Unreadable(io::Error),
    /// It is no file of secrets.
    #[error("the file has more than {BYTES_MAX} bytes")]
    TooLarge,
    /// What it holds cannot be used, or it is empty.
    #[error(transparent)]
    Invalid(#[from] InvalidSecrets),
}

/// The secrets in a file, newest first: at least one, and sound.
pub fn read_secrets_file(path: &Path) -> Result<Vec<Secret>, UnusableSecretsFile> {
    let mut text = String::new();
    let read = File::open(path)
        .and_then(|file| file.take(BYTES_MAX + 1).read_to_string(&mut text))
        .map_err(UnusableSecretsFile::Unreadable)?;
    if read as u64 > BYTES_MAX {
        return Err(UnusableSecretsFile::TooLarge);
    }
    let secrets = of_items(items(&text));
    EndpointSecrets::new(&secrets)?;
    Ok(secrets)
}

/// The lines of a file, without the empty ones at its end.
pub(super) fn items(text: &str) -> impl Iterator<Item = &str> {
    text.trim_end_matches(['\n', '\r']).lines()
}

/// The secrets in items that may each hold several, separated by commas.
pub(super) fn of_items<'a>(items: impl IntoIterator<Item = &'a str>) -> Vec<Secret> {
    let each = items.into_iter().flat_map(|item| item.split(','));
    each.map(|secret| Secret::new(secret.trim())).collect()
}
