//! One audit row for each change of an entity's status.

use harkara_simulator::Bodies;
use harkara_testkit::TestDatabase;

use crate::records::{NOW, all_claimed, commit, deliver, event, payment};

/// The audit of one entity, oldest first, as `from>to by event`.
async fn changes_of(db: &TestDatabase, entity_id: &str) -> Vec<String> {
    let changes: Vec<String> = db
        .column(&format!(
            "SELECT coalesce(from_status, '-') || '>' || coalesce(to_status, '-') || ' by ' || razorpay_event_id \
             FROM audit_logs WHERE entity_id = '{entity_id}' AND action = 'status_changed' AND actor = 'worker' ORDER BY at"
        ))
        .await;
    changes
}

#[tokio::test]
async fn each_change_of_status_is_written_with_its_event() {
    let db = TestDatabase::migrated().await;
    let pool = db.pool();
    for (id, status, at) in [
        ("e1", "failed", 10),
        ("e2", "authorized", 20),
        ("e3", "captured", 30),
    ] {
        deliver(&pool, &[&payment(id, "pay_1", status, at)]).await;
    }
    assert_eq!(
        changes_of(&db, "pay_1").await,
        [
            "->failed by e1",
            "failed>authorized by e2",
            "authorized>captured by e3"
        ]
    );
    let entity_types: Vec<String> = db
        .column("SELECT DISTINCT entity_type FROM audit_logs")
        .await;
    assert_eq!(entity_types, ["payment"]);
}

#[tokio::test]
async fn late_events_and_repetitions_leave_no_change() {
    let db = TestDatabase::migrated().await;
    let pool = db.pool();
    deliver(&pool, &[&payment("e3", "pay_1", "captured", 30)]).await;
    let outcome = deliver(
        &pool,
        &[
            &payment("e1", "pay_1", "failed", 10),
            &payment("e3", "pay_1", "captured", 30),
        ],
    )
    .await;
    assert_eq!((outcome.applied.changed, outcome.applied.unchanged), (0, 1));
    // Newer, of the same status.
    let outcome = deliver(&pool, &[&payment("e4", "pay_1", "captured", 40)]).await;
    assert_eq!((outcome.applied.changed, outcome.applied.unchanged), (1, 0));
    assert_eq!(changes_of(&db, "pay_1").await, ["->captured by e3"]);
}

#[tokio::test]
async fn what_grows_without_a_change_of_status_is_not_a_change() {
    let db = TestDatabase::migrated().await;
    let pool = db.pool();
    let refunded = |id: &str, at: i64, amount: i64| {
        let body = format!(
            r#"{{"event":"payment.captured","created_at":{at},"payload":{{"payment":{{"entity":{{"id":"pay_1",
            "status":"captured","amount_refunded":{amount}}}}}}}}}"#
        );
        event(id, &body)
    };
    deliver(&pool, &[&refunded("e2", 20, 0)]).await;
    deliver(&pool, &[&refunded("e1", 10, 100)]).await;
    assert_eq!(changes_of(&db, "pay_1").await, ["->captured by e2"]);
}

#[tokio::test]
async fn changes_within_one_batch_are_one_change() {
    let db = TestDatabase::migrated().await;
    deliver(
        &db.pool(),
        &[
            &payment("e1", "pay_1", "failed", 10),
            &payment("e2", "pay_1", "captured", 20),
        ],
    )
    .await;
    assert_eq!(changes_of(&db, "pay_1").await, ["->captured by e2"]);
}

#[tokio::test]
async fn a_downtimes_life_is_written_though_its_table_is_a_history() {
    let db = TestDatabase::migrated().await;
    let pool = db.pool();
    let lifecycle = Bodies::new(5, NOW).downtime_lifecycle();
    for event in &lifecycle {
        deliver(&pool, &[event]).await;
    }
    let id: String = db.value("SELECT downtime_id FROM downtimes").await;
    assert_eq!(
        changes_of(&db, &id).await,
        [
            format!("->started by {}", lifecycle[0].event_id),
            format!("started>updated by {}", lifecycle[1].event_id),
            format!("updated>resolved by {}", lifecycle[2].event_id),
        ]
    );
}

#[tokio::test]
async fn a_dispute_that_goes_back_to_open_is_written_each_time() {
    let db = TestDatabase::migrated().await;
    let pool = db.pool();
    for event in &Bodies::new(5, NOW).dispute_lifecycle() {
        deliver(&pool, &[event]).await;
    }
    let id: String = db.value("SELECT dispute_id FROM payment_disputes").await;
    let changes: Vec<String> = changes_of(&db, &id)
        .await
        .iter()
        .map(|change| change.split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(
        changes,
        [
            "->open",
            "open>under_review",
            "under_review>open",
            "open>under_review",
            "under_review>lost"
        ]
    );
}

#[tokio::test]
async fn a_status_that_becomes_null_is_a_change_too() {
    let db = TestDatabase::migrated().await;
    let pool = db.pool();
    let thing = |id: &str, at: i64, status: &str| {
        let body = format!(
            r#"{{"event":"moon.landed","created_at":{at},"payload":{{"moon":{{"entity":{{"id":"m1","status":{status}}}}}}}}}"#
        );
        event(id, &body)
    };
    deliver(&pool, &[&thing("e1", 10, "\"up\"")]).await;
    deliver(&pool, &[&thing("e2", 20, "null")]).await;
    assert_eq!(changes_of(&db, "m1").await, ["->up by e1", "up>- by e2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_begins_where_the_one_before_ended_though_many_commit_at_once() {
    let db = TestDatabase::migrated().await;
    let pool = db.pool();
    // A kind without ranks: time alone decides, so every newer event is a change.
    let events: Vec<_> = (0..40)
        .map(|n| {
            let body = format!(
                r#"{{"event":"moon.landed","created_at":{},"payload":{{"moon":{{"entity":{{"id":"m1","status":"s{n}"}}}}}}}}"#,
                1_000 + n
            );
            event(&format!("e{n:02}"), &body)
        })
        .collect();
    let committers: Vec<_> = (0..4)
        .map(|turn| {
            let (pool, events) = (pool.clone(), events.clone());
            tokio::spawn(async move {
                for event in events.iter().skip(turn).step_by(4) {
                    let committed = commit(&pool, all_claimed([event])).await.unwrap();
                    assert_eq!(committed.outcome().processed, 1);
                }
            })
        })
        .collect();
    for committer in committers {
        committer.await.unwrap();
    }
    // The changes of one entity, in order of their times, make one chain from nothing to the last status.
    let changes: Vec<String> = db
        .column("SELECT coalesce(from_status, '-') || '>' || to_status FROM audit_logs WHERE entity_id = 'm1' ORDER BY at")
        .await;
    let mut now = "-".to_owned();
    for change in &changes {
        let (from, to) = change.split_once('>').unwrap();
        assert_eq!(from, now, "{changes:?}");
        to.clone_into(&mut now);
    }
    assert_eq!(now, "s39");
}
