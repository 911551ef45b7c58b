//! The fields of a line of text.

use std::fmt::{self, Debug};

use harkara_core::visible::visible;
use tracing::field::Field;
use tracing_subscriber::fmt::format::Writer;

const ITALIC: &str = "\x1b[3m";
const DIMMED: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// Writes a field as `name=value`, and the message by itself. Values may quote a body or a header: what a terminal
/// would obey or not show is escaped.
pub(super) fn write_field(
    writer: &mut Writer<'_>,
    field: &Field,
    value: &dyn Debug,
) -> fmt::Result {
    let value = format!("{value:?}");
    let value = visible(&value);
    let name = field.name();
    let name = name.strip_prefix("r#").unwrap_or(name);
    if name == "message" {
        writer.write_str(&value)
    } else if writer.has_ansi_escapes() {
        write!(writer, "{ITALIC}{name}{PLAIN}{DIMMED}={PLAIN}{value}")
    } else {
        write!(writer, "{name}={value}")
    }
}
