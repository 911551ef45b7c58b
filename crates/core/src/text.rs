//! Texts: as they stand in JSON, and as they are kept.

use std::borrow::Cow;

use serde::Deserialize;

/// A text of an event: an id, a status, a code. Up to 24 bytes are held in place, and most of them are
/// no longer, so that an event of thirty texts costs no thirty allocations.
pub type Text = compact_str::CompactString;

/// A text of a JSON document: borrowed from it where nothing in it is escaped.
#[derive(Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct JsonText<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);
