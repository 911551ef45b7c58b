//! The head of an entry: all that is known of a delivery besides its body, a line each.

use bytes::Bytes;

use super::{InvalidEntry, StreamEntry, is_name};
use crate::delivery::VerifiedDelivery;
use crate::durability::Durability;
use crate::endpoint::EndpointName;
use crate::ids::EventId;
use crate::secret::Fingerprint;
use crate::signature::check_form;
use crate::time::ReceivedAt;
use crate::trace::TraceContext;

/// The format that [`super::fields_of`] writes. A change that older workers cannot read raises it.
pub const FORMAT_VERSION: &str = "1";

/// Characters of an unknown version that its error repeats.
const VERSION_CHARS_TOLD: usize = 20;

/// Most bytes of a head but for its texts of any length: the fixed lines, their separators, and an id
/// and a name of usual size.
const USUAL_BYTES: usize = 256;

/// What the lines of a head are called, in their order.
pub mod line {
    /// Format version.
    pub const VERSION: &str = "version";
    /// The event's id; the second line in every version.
    pub const EVENT_ID: &str = "event id";
    /// Endpoint name.
    pub const ENDPOINT: &str = "endpoint";
    /// Receipt time in milliseconds since 1970.
    pub const RECEIVED_AT: &str = "time of receipt";
    /// Signature in lower-case hex.
    pub const SIGNATURE: &str = "signature";
    /// W3C `traceparent`; may be empty.
    pub const TRACEPARENT: &str = "traceparent";
    /// Event name; empty where the body has none.
    pub const EVENT_NAME: &str = "event name";
    /// W3C `tracestate`; may be empty.
    pub const TRACESTATE: &str = "tracestate";
    /// How durable the entry is when its delivery is answered 200. Older entries have no such line.
    pub const DURABILITY: &str = "durability";
    /// Fingerprint of the secret that matched. Older entries have no such line, and older workers read no
    /// further than the line before it.
    pub const SECRET_FINGERPRINT: &str = "secret fingerprint";
}

/// The head of a delivery. None of its texts can hold a line break: each was checked when it was read
/// from the request.
pub(super) fn written(
    delivery: &VerifiedDelivery,
    event_name: &str,
    durability: Durability,
) -> String {
    let mut head = String::with_capacity(USUAL_BYTES);
    let received_at = delivery.received_at.millis().to_string();
    let lines = [
        FORMAT_VERSION,
        delivery.event_id.as_str(),
        delivery.endpoint.as_str(),
        &received_at,
        delivery.signature(),
        &delivery.trace.traceparent,
        event_name,
        &delivery.trace.tracestate,
        durability.as_str(),
        delivery.secret_fingerprint.as_str(),
    ];
    for (at, line) in lines.into_iter().enumerate() {
        if at > 0 {
            head.push('\n');
        }
        head.push_str(line);
    }
    head
}

/// The entry of a head and a body.
pub(super) fn read(head: &[u8], body: &Bytes) -> Result<StreamEntry, InvalidEntry> {
    let malformed = InvalidEntry::MalformedLine;
    let version = first_line(head);
    if version != FORMAT_VERSION.as_bytes() {
        let told = String::from_utf8_lossy(version);
        return Err(InvalidEntry::UnknownVersion(
            told.escape_debug().take(VERSION_CHARS_TOLD).collect(),
        ));
    }
    let head = std::str::from_utf8(head).map_err(|_| malformed("text"))?;
    let mut lines = head.split('\n').skip(1);
    let mut next = |name| lines.next().ok_or(malformed(name));

    let event_id = next(line::EVENT_ID)?;
    let endpoint = next(line::ENDPOINT)?;
    let received_at = next(line::RECEIVED_AT)?;
    let signature = next(line::SIGNATURE)?;
    let traceparent = next(line::TRACEPARENT)?;
    let event_name = next(line::EVENT_NAME)?;
    let tracestate = next(line::TRACESTATE)?;
    let durability = match lines.next() {
        Some(level) => Some(Durability::parse(level).ok_or_else(|| malformed(line::DURABILITY))?),
        None => None,
    };
    let secret_fingerprint = match lines.next() {
        Some(text) => {
            Some(Fingerprint::parse(text).ok_or_else(|| malformed(line::SECRET_FINGERPRINT))?)
        }
        None => None,
    };

    check_form(Some(signature.as_bytes())).map_err(|_| malformed(line::SIGNATURE))?;
    if !is_name(event_name) {
        return Err(malformed(line::EVENT_NAME));
    }
    let received_at = received_at
        .parse()
        .map_err(|_| malformed(line::RECEIVED_AT))?;
    Ok(StreamEntry {
        endpoint: EndpointName::parse(endpoint).map_err(|_| malformed(line::ENDPOINT))?,
        event_id: EventId::from_entry(event_id).ok_or(malformed(line::EVENT_ID))?,
        event_name: event_name.into(),
        received_at: ReceivedAt::from_millis(received_at),
        signature: signature.to_owned(),
        trace: TraceContext::parse(traceparent, Some(tracestate)).unwrap_or_default(),
        durability,
        secret_fingerprint,
        body: body.clone(),
    })
}

/// The event's id in a head of whatever version; `None` where there is none that could be one.
#[must_use]
pub fn event_id(head: &[u8]) -> Option<EventId> {
    let second = head.split(|&byte| byte == b'\n').nth(1)?;
    EventId::from_entry(std::str::from_utf8(second).ok()?)
}

fn first_line(head: &[u8]) -> &[u8] {
    head.split(|&byte| byte == b'\n').next().unwrap_or_default()
}
