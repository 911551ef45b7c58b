//! Rows of the ledger, committed as the worker commits them.

use harkara_core::delivery::body_sha256;
use harkara_core::entry::{EntryId, EntryRef};
use harkara_core::event;
use harkara_core::ids::EventId;
use harkara_core::lane::Lane;
use harkara_core::secret::{Fingerprint, Secret};
use harkara_core::signature::sign;
use harkara_core::time::ReceivedAt;
use harkara_core::trace::TraceContext;
use harkara_simulator::Bodies;
use harkara_storage::commit::{DuplicateHint, commit};
use harkara_storage::record::{ClaimedEvent, EventRecord, Origin, Verdict};
use harkara_testkit::TestDatabase;

/// 2026-09-21T14:13:20Z, in seconds.
pub(crate) const NOW: i64 = 1_790_000_000;

/// The secret that rows are signed with.
pub(crate) const SECRET: &str = "whsec-of-the-rows";

/// A processed event of the endpoint `default`, received some seconds after [`NOW`].
pub(crate) fn processed(event_id: &str, name: &str, seconds: i64) -> EventRecord {
    // Events under different ids are about different entities.
    let digest = body_sha256(event_id.as_bytes());
    let seed = u64::from_le_bytes(digest[..8].try_into().unwrap());
    record(event_id, Bodies::new(seed, NOW).body(name), seconds)
}

/// A dead letter: a signed body that is not JSON.
pub(crate) fn dead_letter(event_id: &str, seconds: i64) -> EventRecord {
    record(
        event_id,
        format!("not JSON: {event_id}").into_bytes(),
        seconds,
    )
}

fn record(event_id: &str, body: Vec<u8>, seconds: i64) -> EventRecord {
    let read = event::read(&body);
    let head = read.as_ref().ok().map(|event| event.head.clone());
    EventRecord {
        account_id: head.as_ref().and_then(|head| head.account_id.clone()),
        occurred_at: head.as_ref().and_then(|head| head.occurred_at),
        verdict: match read {
            Ok(event) => Verdict::Project(event),
            Err(error) => Verdict::Fail {
                error: error.reason.to_string(),
            },
        },
        claimed: ClaimedEvent {
            origin: Origin::Stream(EntryRef {
                lane: Lane::Default,
                id: EntryId::parse(&format!("{seconds}-0")).unwrap(),
            }),
            endpoint: "default".into(),
            lane: Lane::Default,
            event_id: EventId::stored(event_id.to_owned()),
            event_type: head
                .as_ref()
                .map_or("unknown".into(), |head| head.name.clone()),
            received_at: ReceivedAt::from_millis((NOW + seconds) * 1000),
            signature: sign(&Secret::new(SECRET), &body),
            trace: TraceContext::generated(0xabc, 1),
            durability: None,
            secret_fingerprint: Some(Fingerprint::of(&Secret::new(SECRET))),
            body_sha256: body_sha256(&body),
            body: body.into(),
        },
    }
}

/// A migrated database with these rows.
pub(crate) async fn database_with(records: Vec<EventRecord>) -> TestDatabase {
    let database = TestDatabase::migrated().await;
    let n_records = records.len();
    let committed = commit(&database.pool(), &DuplicateHint::default(), &records)
        .await
        .unwrap();
    assert_eq!(committed.entries().len(), n_records);
    database
}

/// Adds processed events `<prefix>1` and so on, a millisecond apart, the last of them received at [`NOW`].
pub(crate) async fn add_many(database: &TestDatabase, prefix: &str, rows: u32) {
    let insert = format!(
        "INSERT INTO webhook_events (razorpay_event_id, event_type, account_id, endpoint, lane, status, body, \
           body_sha256, signature, created_at) \
         SELECT '{prefix}' || n, 'made.up', 'acc_made_up', 'default', 'default', 'processed', '{{}}', '', '', \
           to_timestamp({NOW}) - ({rows} - n) * interval '1 millisecond' \
         FROM generate_series(1, {rows}) n"
    );
    database.execute(&insert).await;
}
