//! The head of an entry: everything about a delivery but its body, one line each.

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

/// Maximum characters of an unknown version in its error.
const VERSION_CHARS_MAX: usize = 20;

/// Capacity for a usual head: the fixed lines, their separators, and an id and a name of usual size.
const USUAL_BYTES: usize = 256;

/// The names of the lines of a head, in order.
pub mod line {
    /// Format version.
    pub const VERSION: &str = "version";
    /// Event id; the second line in every version.
    pub const EVENT_ID: &str = "event id";
    /// Endpoint name.
    pub const ENDPOINT: &str = "endpoint";
    /// Receipt time in milliseconds since 1970.
    pub const RECEIVED_AT: &str = "time of receipt";
    /// Signature in lower-case hex.
    pub const SIGNATURE: &str = "signature";
    /// W3C `traceparent`; may be empty.
    pub const TRACEPARENT: &str = "traceparent";
    /// Event name; empty if the body has none.
    pub const EVENT_NAME: &str = "event name";
    /// W3C `tracestate`; may be empty.
    pub const TRACESTATE: &str = "tracestate";
    /// How durable the entry is when its delivery is answered. Older entries lack this line.
    pub const DURABILITY: &str = "durability";
    /// Fingerprint of the secret that matched. Older entries lack this line, and older workers ignore it.
    pub const SECRET_FINGERPRINT: &str = "secret fingerprint";
}

/// Writes the head of a delivery. No text in it contains a line break: each was validated when the request
/// was read.
pub(super) fn write(
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

/// Reads an entry from its head and body.
pub(super) fn read(head: &[u8], body: &Bytes) -> Result<StreamEntry, InvalidEntry> {
    let malformed = InvalidEntry::MalformedLine;
    let version = first_line(head);
    if version != FORMAT_VERSION.as_bytes() {
        let version = String::from_utf8_lossy(version);
        let shown = version.escape_debug().take(VERSION_CHARS_MAX);
        return Err(InvalidEntry::UnknownVersion(shown.collect()));
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
    let level = |text| Durability::parse(text).ok_or(malformed(line::DURABILITY));
    let durability = lines.next().map(level).transpose()?;
    let fingerprint = |text| Fingerprint::parse(text).ok_or(malformed(line::SECRET_FINGERPRINT));
    let secret_fingerprint = lines.next().map(fingerprint).transpose()?;

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

/// The event's id in a head of any version; `None` if it is missing or invalid.
#[must_use]
pub fn event_id(head: &[u8]) -> Option<EventId> {
    let second = head.split(|&byte| byte == b'\n').nth(1)?;
    EventId::from_entry(std::str::from_utf8(second).ok()?)
}

fn first_line(head: &[u8]) -> &[u8] {
    head.split(|&byte| byte == b'\n').next().unwrap_or_default()
}
