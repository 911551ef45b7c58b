//! Output: tables and lines for people, JSON for programs, bytes as they are.

mod table;

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use chrono::{DateTime, SecondsFormat, Utc};
use harkara_core::visible::{visible, visible_json};
use serde::Serialize;

pub(crate) use table::{Table, shortened};

/// Writes lines to standard output. Of their characters a terminal obeys none but the line breaks.
pub(crate) fn line(text: impl AsRef<str>) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{}", visible_lines(text.as_ref()))
}

/// Writes lines to standard error, likewise.
pub(crate) fn note(text: impl AsRef<str>) {
    // If nobody reads it, the exit code still tells.
    drop(writeln!(io::stderr(), "{}", visible_lines(text.as_ref())));
}

/// Writes one JSON document to standard output. Invisible characters are escaped.
pub(crate) fn json(value: &impl Serialize) -> io::Result<()> {
    write_json(&serde_json::to_string_pretty(value)?)
}

/// The same on one line.
pub(crate) fn json_line(value: &impl Serialize) -> io::Result<()> {
    write_json(&serde_json::to_string(value)?)
}

fn write_json(document: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{}", visible_json(document))
}

/// Writes a report: as JSON, or as `write_text` does.
pub(crate) fn report<T: Serialize>(
    is_json: bool,
    report: &T,
    write_text: impl FnOnce(&T) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if is_json {
        return Ok(json(report)?);
    }
    write_text(report)
}

/// Writes bytes to standard output, and nothing else. A terminal gets their text, with invisible characters
/// escaped.
pub(crate) fn bytes(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(&bytes_for(out.is_terminal(), bytes))?;
    out.flush()
}

fn bytes_for(is_terminal: bool, bytes: &[u8]) -> Cow<'_, [u8]> {
    if is_terminal {
        let text = visible_lines(&String::from_utf8_lossy(bytes));
        Cow::Owned(text.into_bytes())
    } else {
        Cow::Borrowed(bytes)
    }
}

fn visible_lines(text: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(visible).collect();
    lines.join("\n")
}

/// RFC 3339 in UTC, to the microsecond, which is the precision of PostgreSQL.
pub(crate) fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// RFC 3339 in UTC, to the second.
pub(crate) fn rfc3339_seconds(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use super::{bytes_for, visible_lines};

    #[test]
    fn lines_stay_and_what_is_invisible_in_them_is_escaped() {
        assert_eq!(visible_lines("a\n\n\u{202e}b\r"), "a\n\n\\u{202e}b\\r");
    }

    #[test]
    fn a_terminal_gets_text_and_a_file_the_exact_bytes() {
        let body = b"{\n\x1b[2J\xff\xe2\x80\xae}";
        assert_eq!(bytes_for(false, body).as_ref(), body);
        let shown = "{\n\\u{1b}[2J\u{fffd}\\u{202e}}";
        assert_eq!(bytes_for(true, body).as_ref(), shown.as_bytes());
    }
}
