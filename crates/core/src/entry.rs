//! A stream entry: what the ingress appends and a worker claims.
//!
//! An entry has two fields, however much is in them: each further field costs Redis, the ingress and
//! the worker about as much as a hundred bytes of body.

mod head;

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};

use crate::delivery::VerifiedDelivery;
use crate::durability::Durability;
use crate::endpoint::EndpointName;
use crate::ids::EventId;
use crate::lane::Lane;
use crate::secret::Fingerprint;
use crate::text::{JsonText, Text};
use crate::time::ReceivedAt;
use crate::trace::TraceContext;

/// Names of an entry's fields.
pub mod field {
    /// Everything but the body, a line each: see [`super::line`].
    pub const HEAD: &str = "head";
    /// The body, byte for byte.
    pub const BODY: &str = "body";
}

pub use head::{FORMAT_VERSION, event_id, line};

/// The id that Redis gave an entry: milliseconds and a sequence number, growing within a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    millis: u64,
    sequence: u64,
}

impl EntryId {
    /// Reads `1732357800000-0`; `None` for anything else.
    #[must_use]
    pub fn parse(id: &str) -> Option<Self> {
        let (millis, sequence) = id.split_once('-')?;
        Some(Self {
            millis: millis.parse().ok()?,
            sequence: sequence.parse().ok()?,
        })
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.millis, self.sequence)
    }
}

/// The stream entry that a delivery came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryRef {
    /// The lane whose stream holds it.
    pub lane: Lane,
    /// Its id in that stream.
    pub id: EntryId,
}

/// An entry as a worker reads it back. Everything in it but the body has the form that the ingress
/// gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEntry {
    /// The endpoint that took the delivery.
    pub endpoint: EndpointName,
    /// The event's id.
    pub event_id: EventId,
    /// The event's name as the ingress saw it; empty where the body had none.
    pub event_name: Text,
    /// When the delivery was received.
    pub received_at: ReceivedAt,
    /// The signature that was verified, in hex.
    pub signature: String,
    /// The delivery's trace context; empty where it has none.
    pub trace: TraceContext,
    /// How durable it was when its delivery was answered 200; `None` in older entries.
    pub durability: Option<Durability>,
    /// The fingerprint of the secret that matched; `None` in older entries.
    pub secret_fingerprint: Option<Fingerprint>,
    /// The exact body.
    pub body: Bytes,
}

/// Why an entry cannot be read. Its fields must be kept all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEntry {
    /// The entry was written in a format that this version does not know.
    #[error("stream entry format {0:?} is unknown to this version")]
    UnknownVersion(String),
    /// A field that every entry has is absent.
    #[error("stream entry has no field {0:?}")]
    MissingField(&'static str),
    /// A line of the head is absent or cannot be read.
    #[error("the {0} in the stream entry's head is malformed")]
    MalformedLine(&'static str),
}

/// Longest event name in an entry, in bytes. The longest documented one has 45.
const EVENT_NAME_BYTES_MAX: usize = 200;

/// The event name in a body: of the outermost object, where it has one.
///
/// Reads no further than the name, which stands near the start. `None` where there is no such text, or
/// one that can be no name (too long, control characters); that is for the worker to judge, who reads
/// the whole body.
#[must_use]
pub fn event_name(body: &[u8]) -> Option<Cow<'_, str>> {
    let mut found = None;
    let mut json = serde_json::Deserializer::from_slice(body);
    // Leaving an object half read is an error to the reader, and what was wanted here.
    json.deserialize_map(NameSeeker { found: &mut found }).ok();
    found.filter(|name| is_name(name))
}

struct NameSeeker<'found, 'body> {
    found: &'found mut Option<Cow<'body, str>>,
}

impl<'body> Visitor<'body> for NameSeeker<'_, 'body> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'body>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(JsonText(key)) = fields.next_key()? {
            if key == "event" {
                let JsonText(name) = fields.next_value()?;
                *self.found = Some(name);
                return Ok(());
            }
            let IgnoredAny = fields.next_value()?;
        }
        Ok(())
    }
}

fn is_name(text: &str) -> bool {
    text.len() <= EVENT_NAME_BYTES_MAX && !text.chars().any(char::is_control)
}

/// The fields of the entry for a delivery, in the order in which they are appended. It is to be answered
/// 200 only once `durability` is reached.
#[must_use]
pub fn fields_of<'a>(
    delivery: &'a VerifiedDelivery,
    event_name: &str,
    durability: Durability,
) -> [(&'static str, Cow<'a, [u8]>); 2] {
    [
        (
            field::HEAD,
            head::written(delivery, event_name, durability)
                .into_bytes()
                .into(),
        ),
        (field::BODY, delivery.body.as_ref().into()),
    ]
}

impl StreamEntry {
    /// Reads an entry's fields; unknown ones are passed over.
    pub fn from_fields(fields: &[(Bytes, Bytes)]) -> Result<Self, InvalidEntry> {
        let find = |name: &'static str| find(fields, name).ok_or(InvalidEntry::MissingField(name));
        head::read(find(field::HEAD)?, find(field::BODY)?)
    }
}

/// The value of a field.
#[must_use]
pub fn find<'a>(fields: &'a [(Bytes, Bytes)], name: &str) -> Option<&'a Bytes> {
    fields
        .iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests;
