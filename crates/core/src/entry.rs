//! A stream entry: what the ingress appends and a worker claims.
//!
//! The field names are short because Redis keeps them with every entry.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::Deserialize;

use crate::delivery::VerifiedDelivery;
use crate::endpoint::EndpointName;
use crate::ids::EventId;
use crate::lane::Lane;
use crate::signature::check_form;
use crate::time::ReceivedAt;
use crate::trace::TraceContext;

/// The format that [`fields_of`] writes. A change that older workers cannot read raises it.
pub const FORMAT_VERSION: &str = "1";

/// Characters of an unknown version that its error repeats.
const VERSION_CHARS_TOLD: usize = 20;

/// Names of an entry's fields.
pub mod field {
    /// Format version.
    pub const VERSION: &str = "v";
    /// Endpoint name.
    pub const ENDPOINT: &str = "ep";
    /// Event id.
    pub const EVENT_ID: &str = "id";
    /// Event name, where the body has one.
    pub const EVENT_NAME: &str = "ev";
    /// Receipt time in milliseconds since 1970.
    pub const RECEIVED_AT: &str = "at";
    /// Signature in lower-case hex.
    pub const SIGNATURE: &str = "sig";
    /// W3C `traceparent`.
    pub const TRACEPARENT: &str = "tp";
    /// W3C `tracestate`, where there is one.
    pub const TRACESTATE: &str = "ts";
    /// The body, byte for byte.
    pub const BODY: &str = "body";
}

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
    pub event_name: String,
    /// When the delivery was received.
    pub received_at: ReceivedAt,
    /// The signature that was verified, in hex.
    pub signature: String,
    /// The delivery's trace context; empty where it has none.
    pub trace: TraceContext,
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
    /// A field cannot be read.
    #[error("stream entry field {0:?} is malformed")]
    MalformedField(&'static str),
}

/// Longest event name in an entry, in bytes. The longest documented one has 45.
const EVENT_NAME_BYTES_MAX: usize = 200;

/// The event name in a body, read without building a tree.
///
/// `None` where the body is not a JSON object, has no such text, or one that can be no name (too long,
/// control characters); that is for the worker to judge.
#[must_use]
pub fn event_name(body: &[u8]) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Name<'a> {
        #[serde(borrow)]
        event: Cow<'a, str>,
    }
    let name = serde_json::from_slice::<Name<'_>>(body).ok()?.event;
    is_name(&name).then_some(name)
}

fn is_name(text: &str) -> bool {
    text.len() <= EVENT_NAME_BYTES_MAX && !text.chars().any(char::is_control)
}

/// The fields of the entry for a delivery, in the order in which they are appended.
#[must_use]
pub fn fields_of<'a>(
    delivery: &'a VerifiedDelivery,
    event_name: &'a str,
) -> Vec<(&'static str, Cow<'a, [u8]>)> {
    let trace = &delivery.trace;
    let mut fields: Vec<(&'static str, Cow<'a, [u8]>)> = vec![
        (field::VERSION, FORMAT_VERSION.as_bytes().into()),
        (
            field::ENDPOINT,
            delivery.endpoint.as_str().as_bytes().into(),
        ),
        (
            field::EVENT_ID,
            delivery.event_id.as_str().as_bytes().into(),
        ),
        (field::EVENT_NAME, event_name.as_bytes().into()),
        (
            field::RECEIVED_AT,
            delivery
                .received_at
                .millis()
                .to_string()
                .into_bytes()
                .into(),
        ),
        (field::SIGNATURE, delivery.signature.as_slice().into()),
        (field::TRACEPARENT, trace.traceparent.as_bytes().into()),
    ];
    if !trace.tracestate.is_empty() {
        fields.push((field::TRACESTATE, trace.tracestate.as_bytes().into()));
    }
    fields.push((field::BODY, delivery.body.as_ref().into()));
    fields
}

impl StreamEntry {
    /// Reads an entry's fields; unknown ones are passed over.
    pub fn from_fields(fields: &[(String, Bytes)]) -> Result<Self, InvalidEntry> {
        let find = |name: &str| {
            fields
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value)
        };
        let bytes = |name| find(name).ok_or(InvalidEntry::MissingField(name));
        let text = |name| -> Result<&str, InvalidEntry> {
            std::str::from_utf8(bytes(name)?).map_err(|_| InvalidEntry::MalformedField(name))
        };
        let optional = |name| find(name).map_or(Ok(""), |_| text(name));

        let version = text(field::VERSION)?;
        if version != FORMAT_VERSION {
            return Err(InvalidEntry::UnknownVersion(
                version.escape_debug().take(VERSION_CHARS_TOLD).collect(),
            ));
        }
        let malformed = InvalidEntry::MalformedField;
        let received_at = text(field::RECEIVED_AT)?
            .parse()
            .map_err(|_| malformed(field::RECEIVED_AT))?;
        let endpoint =
            EndpointName::parse(text(field::ENDPOINT)?).map_err(|_| malformed(field::ENDPOINT))?;
        let event_id =
            EventId::from_entry(text(field::EVENT_ID)?).ok_or(malformed(field::EVENT_ID))?;
        let event_name = optional(field::EVENT_NAME)?;
        if !is_name(event_name) {
            return Err(malformed(field::EVENT_NAME));
        }
        let signature = text(field::SIGNATURE)?;
        check_form(Some(signature.as_bytes())).map_err(|_| malformed(field::SIGNATURE))?;
        let tracestate = optional(field::TRACESTATE)?;
        let trace = TraceContext::parse(optional(field::TRACEPARENT)?, Some(tracestate));
        Ok(Self {
            endpoint,
            event_id,
            event_name: event_name.to_owned(),
            received_at: ReceivedAt::from_millis(received_at),
            signature: signature.to_owned(),
            trace: trace.unwrap_or_default(),
            body: bytes(field::BODY)?.clone(),
        })
    }
}

#[cfg(test)]
mod tests;
