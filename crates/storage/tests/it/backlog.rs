//! Counting what is due.

use std::time::Duration;

use harkara_core::backlog::{LedgerLane, LedgerSample};
use harkara_core::lane::Lane;
use harkara_storage::ledger::{due_backlog, lease_due};
use harkara_testkit::TestDatabase;

use crate::records::{LEASE_BOUNDS, commit, payment, to_retry};

const ENOUGH: u64 = 1000;

/// Six pending events: three due for an hour and some in the default lane, one due for a minute in the
/// critical one, one due in an hour, and one of a lane that this binary does not know.
async fn some_due() -> TestDatabase {
    let db = TestDatabase::migrated().await;
    let record = |n| {
        let event = payment(&format!("e{n}"), &format!("pay_{n}"), "captured", 10);
        to_retry(&event, Duration::ZERO)
    };
    commit(&db.pool(), (0..6).map(record).collect())
        .await
        .map(drop)
        .unwrap();
    db.execute(
        "UPDATE webhook_events SET next_attempt_at = now() - interval '1 hour' - \
           substr(razorpay_event_id, 2)::int * interval '1 second'; \
         UPDATE webhook_events SET lane = 'critical', next_attempt_at = now() - interval '1 minute' WHERE razorpay_event_id = 'e3'; \
         UPDATE webhook_events SET next_attempt_at = now() + interval '1 hour' WHERE razorpay_event_id = 'e4'; \
         UPDATE webhook_events SET lane = 'of tomorrow' WHERE razorpay_event_id = 'e5'",
    )
    .await;
    db
}

fn due(look: &LedgerSample) -> [u64; 4] {
    look.lanes.map(|lane| lane.due)
}

#[tokio::test]
async fn an_empty_ledger_has_nothing_due() {
    let db = TestDatabase::migrated().await;
    let look = due_backlog(&db.pool(), ENOUGH).await.unwrap();
    assert_eq!(look, LedgerSample::default());
}

#[tokio::test]
async fn dead_letters_are_counted_up_to_the_bound_and_are_not_due() {
    let db = some_due().await;
    db.execute(
        "UPDATE webhook_events SET status = 'failed', next_attempt_at = NULL WHERE razorpay_event_id < 'e3'",
    )
    .await;
    let pool = db.pool();
    let look = due_backlog(&pool, ENOUGH).await.unwrap();
    assert_eq!(look.dead_letters, 3);
    assert_eq!(due(&look), [1, 0, 0, 1]);
    assert_eq!(due_backlog(&pool, 2).await.unwrap().dead_letters, 2);
}

#[tokio::test]
async fn due_rows_are_counted_by_lane_with_the_age_of_the_first() {
    let db = some_due().await;
    let look = due_backlog(&db.pool(), ENOUGH).await.unwrap();
    assert_eq!(due(&look), [1, 0, 0, 4]);
    assert!(!look.estimated);
    let age = |lane: Lane| {
        let LedgerLane { oldest_age, .. } = look.lanes[lane.index()];
        oldest_age.map(|age| age.as_secs())
    };
    assert!((60..90).contains(&age(Lane::Critical).unwrap()));
    assert!((3605..3635).contains(&age(Lane::Default).unwrap()));
    assert_eq!(age(Lane::Medium), None);
}

#[tokio::test]
async fn more_than_are_counted_are_estimated_and_never_fewer_than_counted() {
    let db = some_due().await;
    let pool = db.pool();
    let look = due_backlog(&pool, 3).await.unwrap();
    assert!(look.estimated);
    assert!(due(&look)[3] >= 3, "{look:?}");

    db.execute("ANALYZE webhook_events").await;
    let [critical, medium, normal, default] = due(&due_backlog(&pool, 3).await.unwrap());
    // Those due the longest are all in the default lane. An empty partition is taken to hold a row.
    assert_eq!([critical, medium, normal], [0; 3]);
    assert!((5..10).contains(&default), "{default}");
}

#[tokio::test]
async fn a_row_that_is_leased_is_not_due() {
    let db = some_due().await;
    let pool = db.pool();
    let leased = lease_due(&pool, &LEASE_BOUNDS).await.unwrap();
    assert_eq!(leased.events.len(), 5);
    assert_eq!(due(&due_backlog(&pool, ENOUGH).await.unwrap()), [0; 4]);
}
