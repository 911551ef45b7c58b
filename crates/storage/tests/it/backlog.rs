//! Counts of due rows and of dead letters.

use harkara_core::backlog::LedgerSample;
use harkara_core::lane::Lane;
use harkara_storage::ledger::due_backlog;

use crate::records::retries;
use crate::store::Store;

const ENOUGH: u64 = 1000;

/// Six pending events: three due for an hour and some in the default lane, one due for a minute in the
/// critical one, one due in an hour, and one of a lane that this binary does not know.
async fn some_due() -> Store {
    let store = Store::migrated().await;
    store.commit(retries(6)).await;
    for columns in [
        "next_attempt_at = now() - interval '1 hour' - substr(razorpay_event_id, 2)::int * interval '1 second'",
        "lane = 'critical', next_attempt_at = now() - interval '1 minute' WHERE razorpay_event_id = 'e03'",
        "next_attempt_at = now() + interval '1 hour' WHERE razorpay_event_id = 'e04'",
        "lane = 'of tomorrow' WHERE razorpay_event_id = 'e05'",
    ] {
        store.set(columns).await;
    }
    store
}

fn due(sample: &LedgerSample) -> [u64; 4] {
    sample.lanes.map(|lane| lane.due)
}

#[tokio::test]
async fn an_empty_ledger_has_no_due_rows() {
    let store = Store::migrated().await;
    let sample = due_backlog(&store.pool, ENOUGH).await.unwrap();
    assert_eq!(sample, LedgerSample::default());
}

#[tokio::test]
async fn dead_letters_are_counted_up_to_the_bound_and_are_not_due() {
    let store = some_due().await;
    let failed = "status = 'failed', next_attempt_at = NULL WHERE razorpay_event_id < 'e03'";
    store.set(failed).await;
    let sample = due_backlog(&store.pool, ENOUGH).await.unwrap();
    assert_eq!(sample.dead_letters, 3);
    assert_eq!(due(&sample), [1, 0, 0, 1]);
    assert_eq!(due_backlog(&store.pool, 2).await.unwrap().dead_letters, 2);
}

#[tokio::test]
async fn due_rows_are_counted_by_lane_with_the_age_of_the_first() {
    let store = some_due().await;
    let sample = due_backlog(&store.pool, ENOUGH).await.unwrap();
    assert_eq!(due(&sample), [1, 0, 0, 4]);
    assert!(!sample.estimated);
    let age = |lane: Lane| Some(sample.lanes[lane.index()].oldest_age?.as_secs());
    assert!((60..90).contains(&age(Lane::Critical).unwrap()));
    assert!((3605..3635).contains(&age(Lane::Default).unwrap()));
    assert_eq!(age(Lane::Medium), None);
}

#[tokio::test]
async fn more_than_are_counted_are_estimated_and_never_fewer_than_counted() {
    let store = some_due().await;
    let sample = due_backlog(&store.pool, 3).await.unwrap();
    assert!(sample.estimated);
    assert!(due(&sample)[3] >= 3, "{sample:?}");

    store.execute("ANALYZE webhook_events").await;
    let [critical, medium, normal, default] = due(&due_backlog(&store.pool, 3).await.unwrap());
    // The longest due are all in the default lane. The planner assumes a row in an empty partition.
    assert_eq!([critical, medium, normal], [0; 3]);
    assert!((5..10).contains(&default), "{default}");
}

#[tokio::test]
async fn a_row_that_is_leased_is_not_due() {
    let store = some_due().await;
    assert_eq!(store.lease(9).await.len(), 5);
    let sample = due_backlog(&store.pool, ENOUGH).await.unwrap();
    assert_eq!(due(&sample), [0; 4]);
}
