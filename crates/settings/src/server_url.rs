//! URLs of servers, of which every reader must read the same user, password and host.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use harkara_core::secret::Secret;

use crate::secrets_file;

/// The URL of a server. If it is in a file, each new connection reads it again, so that a password can be rotated
/// without a restart.
#[derive(Clone, Debug)]
pub struct ServerUrl {
    file: Option<UrlFile>,
    /// The last usable one.
    last: Arc<Mutex<Secret>>,
}

/// A file that holds a URL.
#[derive(Clone, Debug)]
struct UrlFile {
    path: PathBuf,
    parse: fn(&str) -> Result<Secret, String>,
}

impl ServerUrl {
    /// A URL, and the file from which it was read with `parse`.
    pub(crate) fn new(
        url: Secret,
        file: Option<PathBuf>,
        parse: fn(&str) -> Result<Secret, String>,
    ) -> Self {
        Self {
            file: file.map(|path| UrlFile { path, parse }),
            last: Arc::new(Mutex::new(url)),
        }
    }

    /// The URL for a new connection. While the file cannot be read, or does not hold a URL of the same kind (plain
    /// or TLS), it is the one that was read last.
    #[must_use]
    pub fn current(&self) -> Secret {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let read = self.file.as_ref().and_then(UrlFile::read);
        if let Some(url) = read.filter(|url| uses_tls(url) == uses_tls(&last)) {
            *last = url;
        }
        last.clone()
    }
}

/// A URL that stays as it is.
impl From<Secret> for ServerUrl {
    fn from(url: Secret) -> Self {
        Self {
            file: None,
            last: Arc::new(Mutex::new(url)),
        }
    }
}

impl UrlFile {
    fn read(&self) -> Option<Secret> {
        let text = std::fs::read_to_string(&self.path).ok()?;
        (self.parse)(&secrets_file::value(&text)).ok()
    }
}

/// Whether the URL itself asks for TLS, as Redis's does. PostgreSQL's TLS is fixed by the settings.
fn uses_tls(url: &Secret) -> bool {
    url.expose().starts_with("rediss://")
}

/// How to write a password, after a problem with it.
const REMEDY: &str = "percent-encode special characters of user and password: \
    @ as %40, / as %2F, # as %23, ? as %3F, and a space as %20";

/// Refuses a URL that readers cut at different places because a special character of the password is not
/// percent-encoded. One may take a part of the password for the host, and show it. The error does not quote the
/// URL.
pub(crate) fn unambiguous(url: &str) -> Result<(), String> {
    let (_, rest) = url.split_once("://").unwrap_or(("", url));
    let before_at = rest.rsplit_once('@').map_or("", |(before, _)| before);
    let after_query = rest.split_once('?').map_or("", |(_, query)| query);
    let is_ambiguous = before_at.contains(['@', '/', '#', '?', '\\'])
        || after_query.contains('#')
        || before_at.contains(char::is_whitespace)
        || rest.contains(char::is_control);
    if is_ambiguous {
        return Err(format!("is ambiguous; {REMEDY}"));
    }
    Ok(())
}

/// The problem of a URL that the driver cannot read, whose own message may quote a part of the password.
pub(crate) fn unreadable(example: &str) -> String {
    format!("is not a valid URL; expected {example}; {REMEDY}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_again_and_what_cannot_be_used_changes_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let write = |text: &str| std::fs::write(file.path(), text).unwrap();
        let parse = |text: &str| match text.starts_with("redis") {
            true => Ok(Secret::new(text)),
            false => Err(String::new()),
        };
        let url = ServerUrl::new(
            Secret::new("redis://a"),
            Some(file.path().to_owned()),
            parse,
        );
        for (text, expected) in [
            ("redis://b\n", "redis://b"),
            ("", "redis://b"),
            ("rediss://b", "redis://b"),
            ("redis://c", "redis://c"),
        ] {
            write(text);
            assert_eq!(url.current().expose(), expected, "{text:?}");
        }
        drop(file);
        assert_eq!(url.clone().current().expose(), "redis://c");
    }
}
