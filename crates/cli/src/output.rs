//! Output: tables and lines for people, JSON for programs, bytes as they are.

mod table;

use std::io::{self, Write};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

pub(crate) use table::{Table, shortened, visible};

/// Writes a line to standard output.
pub(crate) fn line(text: impl AsRef<str>) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{}", text.as_ref())
}

/// Writes one JSON document to standard output.
pub(crate) fn json(value: &impl Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)
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

/// Writes bytes to standard output, and nothing else.
pub(crate) fn bytes(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// RFC 3339 in UTC, to the microsecond, which is the precision of PostgreSQL.
pub(crate) fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// RFC 3339 in UTC, to the second.
pub(crate) fn rfc3339_seconds(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
