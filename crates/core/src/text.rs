//! Texts of JSON documents and of events.

use std::borrow::Cow;

use serde::Deserialize;

/// A text of an event: an id, a status, a code. Up to 24 bytes are stored inline, enough for most, so that an
/// event of thirty texts does not cost thirty allocations.
pub type Text = compact_str::CompactString;

/// A text of a JSON document, borrowed unless it contains escapes.
#[derive(Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct JsonText<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);
