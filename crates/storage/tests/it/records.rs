//! Events as a worker hands them to a commit.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use harkara_core::delivery::body_sha256;
use harkara_core::entry::{EntryId, EntryRef};
use harkara_core::event::{self, Head};
use harkara_core::ids::EventId;
use harkara_core::lane::LaneTable;
use harkara_core::secret::{Fingerprint, Secret};
use harkara_core::signature::sign;
use harkara_core::time::ReceivedAt;
use harkara_core::trace::TraceContext;
use harkara_simulator::{Bodies, SimulatedEvent};
use harkara_storage::ledger::LeaseBounds;
use harkara_storage::record::{ClaimedEvent, EventRecord, Origin, Verdict};

/// When the simulated events happen, in seconds since 1970.
pub(crate) const NOW: i64 = 1_790_000_000;

/// Bodies that are the same in every run.
pub(crate) fn bodies() -> Bodies {
    Bodies::new(1, NOW)
}

/// An event with a body written by hand.
pub(crate) fn event(event_id: &str, body: &str) -> SimulatedEvent {
    SimulatedEvent {
        event_id: event_id.to_owned(),
        name: String::new(),
        body: body.as_bytes().to_vec(),
    }
}

/// A payment event in one line.
pub(crate) fn payment(event_id: &str, payment_id: &str, status: &str, at: i64) -> SimulatedEvent {
    event(
        event_id,
        &format!(
            r#"{{"event":"payment.{status}","account_id":"acc_1","created_at":{at},"payload":{{"payment":{{"entity":
            {{"id":"{payment_id}","status":"{status}","amount":500,"currency":"INR"}}}}}}}}"#
        ),
    )
}

/// An event claimed from its stream, with the verdict that its body deserves.
pub(crate) fn claimed(event: &SimulatedEvent) -> EventRecord {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let (head, _) = judged(&event.body);
    let lanes = LaneTable::new(&std::collections::BTreeMap::new()).unwrap();
    let lane = lanes.lane_of(head.as_ref().map(|head| head.name.as_str()));
    let received_at = ReceivedAt::from_millis(chrono::Utc::now().timestamp_millis());
    let id = format!("{}-0", NEXT.fetch_add(1, Ordering::Relaxed));
    let id = EntryId::parse(&id).unwrap();
    with_verdict(ClaimedEvent {
        origin: Origin::Stream(EntryRef { lane, id }),
        endpoint: "default".into(),
        lane,
        event_id: EventId::stored(event.event_id.clone()),
        event_type: head.map_or_else(|| "unknown".into(), |head| head.name),
        received_at,
        signature: sign(&Secret::new("a secret of ours"), &event.body),
        trace: TraceContext::generated(7, 9),
        durability: None,
        secret_fingerprint: Some(Fingerprint::of(&Secret::new("a secret of ours"))),
        body: Bytes::from(event.body.clone()),
        body_sha256: body_sha256(&event.body),
    })
}

/// An event claimed from its stream that was received some seconds ago (or in the future, if negative).
pub(crate) fn claimed_ago(event: &SimulatedEvent, seconds: i64) -> EventRecord {
    let mut record = claimed(event);
    let millis = record.claimed.received_at.millis() - seconds * 1000;
    record.claimed.received_at = ReceivedAt::from_millis(millis);
    record
}

pub(crate) fn all_claimed<'a>(
    events: impl IntoIterator<Item = &'a SimulatedEvent>,
) -> Vec<EventRecord> {
    events.into_iter().map(claimed).collect()
}

/// An event claimed from its stream whose projection failed unexpectedly.
pub(crate) fn to_retry(event: &SimulatedEvent, after: Duration) -> EventRecord {
    EventRecord {
        verdict: Verdict::Retry {
            error: "out of luck".to_owned(),
            after,
        },
        ..claimed(event)
    }
}

/// A captured payment: event `e07` about `pay_07` for 7.
pub(crate) fn numbered(n: usize) -> SimulatedEvent {
    payment(&format!("e{n:02}"), &format!("pay_{n:02}"), "captured", 10)
}

/// Events `e00`, `e01`, …, to be retried immediately.
pub(crate) fn retries(count: usize) -> Vec<EventRecord> {
    let events = (0..count).map(numbered);
    events
        .map(|event| to_retry(&event, Duration::ZERO))
        .collect()
}

/// Bounds under which a few rows can be leased.
pub(crate) const LEASE_BOUNDS: LeaseBounds = LeaseBounds {
    rows_max: 9,
    bytes_max: usize::MAX,
    attempts_max: 10,
    lease: Duration::from_mins(1),
};

/// A claimed event with the verdict that its body deserves.
pub(crate) fn with_verdict(claimed: ClaimedEvent) -> EventRecord {
    let (head, verdict) = judged(&claimed.body);
    EventRecord {
        account_id: head.as_ref().and_then(|head| head.account_id.clone()),
        occurred_at: head.as_ref().and_then(|head| head.occurred_at),
        verdict,
        claimed,
    }
}

fn judged(body: &[u8]) -> (Option<Head>, Verdict) {
    match event::read(body) {
        Ok(event) => (Some(event.head.clone()), Verdict::Project(event)),
        Err(unprojectable) => {
            let error = unprojectable.reason.to_string();
            (
                unprojectable.head.map(|head| *head),
                Verdict::Fail { error },
            )
        }
    }
}
