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
    last: Arc<Mutex<LastRead>>,
}

/// A file that holds a URL.
#[derive(Clone, Debug)]
struct UrlFile {
    path: PathBuf,
    parse: fn(&str) -> Result<ParsedUrl, String>,
    /// Of the URL that was read at the start.
    fixed: String,
}

/// A URL that was read.
pub(crate) struct ParsedUrl {
    pub(crate) url: Secret,
    /// All that a change of the file must not change, as a text to compare: the process was set up with it.
    pub(crate) fixed: String,
}

#[derive(Debug)]
struct LastRead {
    /// The last usable URL.
    url: Secret,
    /// Why the file could not be used since.
    problem: Option<String>,
}

impl ServerUrl {
    /// A URL, and the file from which it was read with `parse`.
    pub(crate) fn new(
        read: ParsedUrl,
        file: Option<PathBuf>,
        parse: fn(&str) -> Result<ParsedUrl, String>,
    ) -> Self {
        let ParsedUrl { url, fixed } = read;
        Self {
            file: file.map(|path| UrlFile { path, parse, fixed }),
            ..url.into()
        }
    }

    /// The URL for a new connection. While the file cannot be used, which is logged once, it is the one that was read
    /// last.
    #[must_use]
    pub fn current(&self) -> Secret {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = &self.file else {
            return last.url.clone();
        };
        match file.read() {
            Ok(url) => {
                last.url = url;
                last.problem = None;
            }
            Err(problem) => {
                if last.problem.as_ref() != Some(&problem) {
                    tracing::warn!(
                        file = %file.path.display(),
                        problem,
                        "A file with the URL of a server cannot be used; the URL that was read last still is."
                    );
                }
                last.problem = Some(problem);
            }
        }
        last.url.clone()
    }
}

/// A URL that stays as it is.
impl From<Secret> for ServerUrl {
    fn from(url: Secret) -> Self {
        let last = LastRead { url, problem: None };
        Self {
            file: None,
            last: Arc::new(Mutex::new(last)),
        }
    }
}

impl UrlFile {
    /// The URL, or why it cannot be used, without quoting it.
    fn read(&self) -> Result<Secret, String> {
        let text = std::fs::read_to_string(&self.path);
        let text = text.map_err(|error| format!("cannot be read: {error}"))?;
        let read = (self.parse)(&secrets_file::value(&text))?;
        if read.fixed != self.fixed {
            return Err("names another database or asks for another way to connect (TLS, socket, pooler or parameters of the server), which takes a restart".to_owned());
        }
        Ok(read.url)
    }
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
        let parse = |text: &str| match text.split_once("://") {
            Some((scheme, _)) => Ok(ParsedUrl {
                url: Secret::new(text),
                fixed: scheme.to_owned(),
            }),
            None => Err("is not a URL".to_owned()),
        };
        let path = Some(file.path().to_owned());
        let url = ServerUrl::new(parse("redis://a").unwrap(), path, parse);
        for (text, expected) in [
            ("redis://b\n", "redis://b"),
            ("", "redis://b"),
            ("rediss://b", "redis://b"),
            ("redis://c", "redis://c"),
        ] {
            std::fs::write(file.path(), text).unwrap();
            assert_eq!(url.current().expose(), expected, "{text:?}");
        }
        drop(file);
        assert_eq!(url.clone().current().expose(), "redis://c");
    }
}
