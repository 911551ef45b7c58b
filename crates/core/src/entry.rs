//! Stream entries: the ingress appends them, a worker claims them.
//!
//! An entry has two fields. Each further field would cost Redis, the ingress and the worker about as much
//! as a hundred bytes of body.

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
    /// Everything but the body, one line each: see [`super::line`].
    pub const HEAD: &str = "head";
    /// The body, byte for byte.
    pub const BODY: &str = "body";
}

pub use head::{FORMAT_VERSION, event_id, line};

/// The id of an entry in Redis: milliseconds and a sequence number, increasing within a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    millis: u64,
    sequence: u64,
}

impl EntryId {
    /// Parses `1732357800000-0`; `None` for anything else.
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

/// The position of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryRef {
    /// The lane of its stream.
    pub lane: Lane,
    /// Its id in that stream.
    pub id: EntryId,
}

/// An entry as a worker reads it. Everything but the body has been validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEntry {
    /// The endpoint that received the delivery.
    pub endpoint: EndpointName,
    /// The event's id.
    pub event_id: EventId,
    /// The event's name as read by the ingress; empty if the body has none.
    pub event_name: Text,
    /// When the delivery was received.
    pub received_at: ReceivedAt,
    /// The verified signature, in hex.
    pub signature: String,
    /// The delivery's trace context; may be empty.
    pub trace: TraceContext,
    /// How durable it was when the delivery was answered; `None` in older entries.
    pub durability: Option<Durability>,
    /// The fingerprint of the secret that matched; `None` in older entries.
    pub secret_fingerprint: Option<Fingerprint>,
    /// The exact body.
    pub body: Bytes,
}

/// Why an entry cannot be read. Its fields must still be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEntry {
    /// The entry has a format unknown to this version.
    #[error("stream entry format {0:?} is unknown to this version")]
    UnknownVersion(String),
    /// A required field is missing.
    #[error("stream entry has no field {0:?}")]
    MissingField(&'static str),
    /// A line of the head is missing or malformed.
    #[error("the {0} in the stream entry's head is malformed")]
    MalformedLine(&'static str),
}

/// Longest event name in an entry, in bytes. The longest documented name has 45.
const EVENT_NAME_BYTES_MAX: usize = 200;

/// The event name in the outermost object of a body.
///
/// Reads no further than the name, which is near the start. `None` if there is none or it cannot be a name
/// (too long, control characters); the worker, which reads the whole body, judges those.
#[must_use]
pub fn event_name(body: &[u8]) -> Option<Cow<'_, str>> {
    let mut found = None;
    let mut json = serde_json::Deserializer::from_slice(body);
    // An object left half read is an error to the deserializer, but intended here.
    json.deserialize_map(NameVisitor { found: &mut found }).ok();
    found.filter(|name| is_name(name))
}

struct NameVisitor<'found, 'body> {
    found: &'found mut Option<Cow<'body, str>>,
}

impl<'body> Visitor<'body> for NameVisitor<'_, 'body> {
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

/// The fields of a delivery's entry, in the order of the append. The delivery is answered 200 only once
/// `durability` is reached.
#[must_use]
pub fn fields_of<'a>(
    delivery: &'a VerifiedDelivery,
    event_name: &str,
    durability: Durability,
) -> [(&'static str, Cow<'a, [u8]>); 2] {
    [
        (
            field::HEAD,
            head::write(delivery, event_name, durability)
                .into_bytes()
                .into(),
        ),
        (field::BODY, delivery.body.as_ref().into()),
    ]
}

impl StreamEntry {
    /// Reads an entry's fields; unknown ones are ignored.
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
