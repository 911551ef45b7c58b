//! Claimed entries become records: every one of them, whatever it holds.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use harkara_core::delivery::{SIGNATURE_HEX_BYTES, body_sha256};
use harkara_core::endpoint::EndpointName;
use harkara_core::entry::{InvalidEntry, StreamEntry, field};
use harkara_core::event::{self, Unprojectable};
use harkara_core::ids::EventId;
use harkara_core::time::ReceivedAt;
use harkara_core::trace::TraceContext;
use harkara_storage::ledger::LeasedEvent;
use harkara_storage::record::{EventRecord, Origin, Verdict};

use crate::group::ClaimedEntry;
use crate::road::Retries;

/// The event type of a body without an event name, and the endpoint of an entry without one.
const UNKNOWN: &str = "unknown";

/// The record of a stream entry.
pub(crate) fn entry(claimed: ClaimedEntry, retries: &Retries, now: ReceivedAt) -> EventRecord {
    let mut record = unread(claimed, now);
    if matches!(record.verdict, Verdict::Retry { .. }) {
        judge(&mut record, retries, 1);
    }
    record
}

/// The record of a stream entry that nobody dares to read any more.
pub(crate) fn set_aside(claimed: ClaimedEntry, claims: u64, now: ReceivedAt) -> EventRecord {
    let mut record = unread(claimed, now);
    record.verdict = Verdict::Fail {
        error: format!(
            "set aside unread: claimed {claims} times without being acknowledged, so it may be what \
             ends its workers"
        ),
    };
    record
}

/// The record of a pending ledger row.
pub(crate) fn leased(leased: LeasedEvent, retries: &Retries) -> EventRecord {
    let attempts = leased.attempts;
    let mut record = EventRecord {
        origin: leased.origin,
        endpoint: leased.endpoint,
        lane: leased.lane,
        event_id: leased.event_id,
        event_type: leased.event_type,
        account_id: None,
        occurred_at: None,
        received_at: leased.received_at,
        signature: leased.signature,
        trace: leased.trace,
        body: leased.body,
        body_sha256: leased.body_sha256,
        verdict: Verdict::Fail {
            error: format!(
                "given up: {} attempts were begun and none ended",
                attempts.saturating_sub(1)
            ),
        },
    };
    // An attempt that killed its worker left no verdict, only its count.
    if attempts <= retries.attempts_max() {
        judge(&mut record, retries, attempts);
    }
    record
}

/// Everything about an entry but what its body means. The verdict is a placeholder (a retry) where
/// the body is to be read, and final where the entry itself is not one of ours.
fn unread(claimed: ClaimedEntry, now: ReceivedAt) -> EventRecord {
    let raw = claimed.fields.clone();
    match StreamEntry::from_fields(claimed.fields) {
        Ok(entry) => EventRecord {
            origin: Origin::Stream(claimed.entry),
            endpoint: endpoint(&entry.endpoint),
            lane: claimed.entry.lane,
            event_id: EventId::from_header(entry.event_id.as_str())
                .unwrap_or_else(|| EventId::of_body(&entry.body)),
            event_type: event_type(&entry.event_name),
            account_id: None,
            occurred_at: None,
            received_at: entry.received_at,
            signature: signature(&entry.signature),
            trace: TraceContext::parse(&entry.trace.traceparent, Some(&entry.trace.tracestate))
                .unwrap_or_default(),
            body_sha256: body_sha256(&entry.body),
            body: entry.body,
            verdict: Verdict::Retry {
                error: "not read yet".to_owned(),
                after: std::time::Duration::ZERO,
            },
        },
        Err(invalid) => not_ours(claimed.entry, &raw, &invalid, now),
    }
}

/// An entry that the ingress did not write, or that a newer one did: kept whole as a dead letter.
fn not_ours(
    entry: harkara_core::entry::EntryRef,
    fields: &[(String, Bytes)],
    invalid: &InvalidEntry,
    now: ReceivedAt,
) -> EventRecord {
    let find = |name: &str| {
        fields
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    };
    let text = |name| find(name).and_then(|value| std::str::from_utf8(value).ok());
    let body = find(field::BODY).cloned().unwrap_or_else(|| {
        // Without a body the evidence is the fields themselves.
        let written: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value)))
            .collect();
        Bytes::from(format!(
            "stream entry {} {}: {}",
            entry.lane,
            entry.id,
            written.join("; ")
        ))
    });
    EventRecord {
        origin: Origin::Stream(entry),
        endpoint: text(field::ENDPOINT).map_or_else(|| UNKNOWN.to_owned(), endpoint),
        lane: entry.lane,
        event_id: text(field::EVENT_ID)
            .and_then(EventId::from_header)
            .unwrap_or_else(|| EventId::of_body(&body)),
        event_type: text(field::EVENT_NAME).map_or_else(|| UNKNOWN.to_owned(), event_type),
        account_id: None,
        occurred_at: None,
        received_at: now,
        signature: text(field::SIGNATURE).map(signature).unwrap_or_default(),
        trace: TraceContext::default(),
        body_sha256: body_sha256(&body),
        body,
        verdict: Verdict::Fail {
            error: invalid.to_string(),
        },
    }
}

/// Reads the body and decides what is to be done about the event.
fn judge(record: &mut EventRecord, retries: &Retries, attempts: u32) {
    let body = &record.body;
    match catch_unwind(AssertUnwindSafe(|| event::read(body))) {
        Ok(Ok(event)) => {
            record.event_type.clone_from(&event.head.name);
            record.account_id.clone_from(&event.head.account_id);
            record.occurred_at = event.head.occurred_at;
            record.verdict = Verdict::Project(event);
        }
        Ok(Err(Unprojectable { head, reason })) => {
            if let Some(head) = head {
                record.event_type = head.name;
                record.account_id = head.account_id;
                record.occurred_at = head.occurred_at;
            }
            record.verdict = Verdict::Fail {
                error: reason.to_string(),
            };
        }
        Err(panic) => {
            record.verdict = retries.after(
                attempts,
                format!("panicked while reading the body: {}", told(&*panic)),
            );
        }
    }
}

/// What a panic said.
pub(crate) fn told(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// The values below come from our own ingress. Should someone else write into the stream, what the
/// ledger cannot hold must not stop a worker.
fn endpoint(name: &str) -> String {
    EndpointName::parse(name).map_or_else(|_| UNKNOWN.to_owned(), |name| name.as_str().to_owned())
}

fn signature(text: &str) -> String {
    let is_hex = text.len() == SIGNATURE_HEX_BYTES && text.bytes().all(|b| b.is_ascii_hexdigit());
    if is_hex {
        text.to_owned()
    } else {
        String::new()
    }
}

fn event_type(name: &str) -> String {
    let kept: String = name
        .chars()
        .filter(|c| *c != '\0')
        .take(EVENT_TYPE_CHARS_MAX)
        .collect();
    if kept.is_empty() {
        UNKNOWN.to_owned()
    } else {
        kept
    }
}

/// Longest event name kept for a body that cannot be read.
const EVENT_TYPE_CHARS_MAX: usize = 200;

#[cfg(test)]
mod tests;
