//! Turns claimed events into records: every one of them, whatever its content.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use harkara_core::delivery::body_sha256;
use harkara_core::entry::{self, InvalidEntry, StreamEntry, field};
use harkara_core::event::{self, Head, Unprojectable};
use harkara_core::ids::EventId;
use harkara_core::retry::{AfterFailure, RetryPolicy};
use harkara_core::time::ReceivedAt;
use harkara_core::trace::TraceContext;
use harkara_storage::record::{ClaimedEvent, EventRecord, Origin, Verdict};
use harkara_streams::consumer_group::ClaimedEntry;

/// The event type of a body without an event name, and the endpoint of an entry that is not ours.
pub(crate) const UNKNOWN: &str = "unknown";

/// The record of a stream entry.
pub(crate) fn entry(entry: &ClaimedEntry, retries: &RetryPolicy, now: ReceivedAt) -> EventRecord {
    match read(entry) {
        Ok(event) => judge(event, retries),
        Err(invalid) => failed(evidence(entry, now), invalid.to_string()),
    }
}

/// The record of a stream entry that was claimed too often: a dead letter whose body is not parsed.
pub(crate) fn dead_letter(entry: &ClaimedEntry, claims: u64, now: ReceivedAt) -> EventRecord {
    let error = format!(
        "set aside unread: claimed {claims} times without being acknowledged, so it may be what ends its workers"
    );
    failed(read(entry).unwrap_or_else(|_| evidence(entry, now)), error)
}

/// The record of a pending ledger row.
pub(crate) fn leased(event: ClaimedEvent, retries: &RetryPolicy) -> EventRecord {
    // A worker that crashed left no verdict, only the count. A verdict on the last attempt would have made
    // a dead letter, so at least this many attempts had none.
    let begun = event.attempts().saturating_sub(1);
    let ended_workers = event.attempts().saturating_sub(retries.attempts_max);
    if ended_workers >= ENDED_WORKERS_MAX {
        let error = format!(
            "given up unread: {begun} attempts started and at least {ended_workers} never finished, so it may crash its workers"
        );
        return failed(event, error);
    }
    judge(event, retries)
}

/// Attempts without a verdict after which an event is assumed to crash its workers. A worker may be killed
/// for other reasons, and such rows are leased alone.
const ENDED_WORKERS_MAX: u32 = 3;

fn read(claimed: &ClaimedEntry) -> Result<ClaimedEvent, InvalidEntry> {
    let entry = StreamEntry::from_fields(&claimed.fields)?;
    let named = !entry.event_name.is_empty();
    Ok(ClaimedEvent {
        origin: Origin::Stream(claimed.entry),
        endpoint: entry.endpoint.as_str().into(),
        lane: claimed.entry.lane,
        event_id: entry.event_id,
        event_type: if named {
            entry.event_name
        } else {
            UNKNOWN.into()
        },
        received_at: entry.received_at,
        signature: entry.signature,
        trace: entry.trace,
        durability: entry.durability,
        secret_fingerprint: entry.secret_fingerprint,
        body_sha256: body_sha256(&entry.body),
        body: entry.body,
    })
}

/// The event of an entry that this version cannot read: its body, or all of its fields if it has none.
fn evidence(claimed: &ClaimedEntry, now: ReceivedAt) -> ClaimedEvent {
    let find = |name| entry::find(&claimed.fields, name);
    let id = find(field::HEAD).and_then(|head| entry::event_id(head));
    let body = find(field::BODY)
        .cloned()
        .unwrap_or_else(|| all_fields(claimed));
    ClaimedEvent {
        origin: Origin::Stream(claimed.entry),
        endpoint: UNKNOWN.into(),
        lane: claimed.entry.lane,
        event_id: id.unwrap_or_else(|| EventId::of_body(&body)),
        event_type: UNKNOWN.into(),
        received_at: now,
        signature: String::new(),
        trace: TraceContext::default(),
        durability: None,
        secret_fingerprint: None,
        body_sha256: body_sha256(&body),
        body,
    }
}

/// The entry's id and its fields as lines of `name=value`, with the exact bytes.
fn all_fields(claimed: &ClaimedEntry) -> Bytes {
    let mut written =
        format!("stream entry {} {}\n", claimed.entry.lane, claimed.entry.id).into_bytes();
    for (name, value) in &claimed.fields {
        written.extend([name.as_ref(), b"=", value.as_ref(), b"\n"].concat());
    }
    written.into()
}

/// Parses the body and decides what to do about the event.
fn judge(event: ClaimedEvent, retries: &RetryPolicy) -> EventRecord {
    match catch_unwind(AssertUnwindSafe(|| event::read(&event.body))) {
        Ok(Ok(read)) => record(event, Some(read.head.clone()), Verdict::Project(read)),
        Ok(Err(Unprojectable { head, reason })) => {
            let error = reason.to_string();
            record(event, head.map(|head| *head), Verdict::Fail { error })
        }
        Err(panic) => {
            let error = format!(
                "panicked while reading the body: {}",
                panic_message(&*panic)
            );
            let verdict = after_failure(&event, retries, error);
            record(event, None, verdict)
        }
    }
}

fn failed(event: ClaimedEvent, error: String) -> EventRecord {
    record(event, None, Verdict::Fail { error })
}

fn record(mut claimed: ClaimedEvent, head: Option<Head>, verdict: Verdict) -> EventRecord {
    let (account_id, occurred_at) = match head {
        Some(head) => {
            claimed.event_type = head.name;
            (head.account_id, head.occurred_at)
        }
        None => (None, None),
    };
    EventRecord {
        claimed,
        account_id,
        occurred_at,
        verdict,
    }
}

/// The verdict on an event whose attempt failed unexpectedly.
pub(crate) fn after_failure(event: &ClaimedEvent, retries: &RetryPolicy, error: String) -> Verdict {
    let attempts = event.attempts();
    match retries.after_failure(attempts, rand::random()) {
        AfterFailure::RetryIn(after) => Verdict::Retry { error, after },
        AfterFailure::GiveUp => Verdict::Fail {
            error: format!("given up after {attempts} attempts: {error}"),
        },
    }
}

/// The message of a panic.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests;
