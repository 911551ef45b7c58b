//! The same event more than once: one row, one effect.

use harkara_simulator::SimulatedEvent;
use harkara_storage::Pool;
use harkara_storage::commit::{self, DuplicateHint, Outcome};
use harkara_testkit::TestDatabase;

use crate::records::{all_claimed, bodies, commit, deliver, event, payment};

/// Tables that an effect would show in, with what a repetition must leave alone.
const EFFECTS: &[&str] = &[
    "SELECT * FROM payment_transactions ORDER BY 1",
    "SELECT * FROM payment_orders ORDER BY 1",
    "SELECT * FROM payment_refunds ORDER BY 1",
    "SELECT * FROM entity_snapshots ORDER BY 1, 2",
    "SELECT * FROM downtime_events ORDER BY 1",
    "SELECT * FROM payment_link_events ORDER BY 1",
    "SELECT * FROM audit_logs ORDER BY at, entity_type, entity_id",
];

async fn effects(db: &TestDatabase) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for query in EFFECTS {
        found.push(db.rows(query).await);
    }
    found
}

async fn counters(db: &TestDatabase) -> Vec<String> {
    db.column(
        "SELECT razorpay_event_id || ' ' || duplicates || ' ' || other_id_duplicates FROM webhook_events ORDER BY 1",
    )
    .await
}

fn under(id: &str, event: &SimulatedEvent) -> SimulatedEvent {
    SimulatedEvent {
        event_id: id.to_owned(),
        ..event.clone()
    }
}

#[tokio::test]
async fn a_repeated_delivery_is_counted_and_changes_no_table() {
    let (db, mut bodies) = (TestDatabase::migrated().await, bodies());
    let events: Vec<_> = [
        "refund.created",
        "payment.downtime.started",
        "payment_link.paid",
    ]
    .map(|name| bodies.event(name))
    .into();
    let all: Vec<_> = events.iter().collect();
    let pool = db.pool();
    assert_eq!(deliver(&pool, &all).await.processed, 3);
    let before = effects(&db).await;
    for _ in 0..2 {
        let again = deliver(&pool, &all).await;
        assert_eq!(
            again,
            Outcome {
                duplicates: 3,
                ..Outcome::default()
            }
        );
    }
    assert_eq!(effects(&db).await, before);
    let duplicates: Vec<i32> = db.column("SELECT duplicates FROM webhook_events").await;
    assert_eq!(duplicates, [2, 2, 2]);
}

#[tokio::test]
async fn what_the_last_batch_repeated_changes_no_outcome_of_the_next() {
    let (db, mut bodies) = (TestDatabase::migrated().await, bodies());
    let (pool, hint) = (db.pool(), DuplicateHint::default());
    let events: Vec<_> = (0..6).map(|_| bodies.event("payment.captured")).collect();
    // A batch of new events; one with a repetition, taken to be new; one, and then a new one, of which
    // repetitions are expected; and one taken to be new again.
    for (batch, processed, duplicates) in [
        (&events[0..2], 2, 0),
        (&events[1..3], 1, 1),
        (&events[2..4], 1, 1),
        (&events[4..5], 1, 0),
        (&events[3..6], 1, 2),
    ] {
        let batch = all_claimed(batch);
        let committed = commit::commit(&pool, &hint, &batch).await.unwrap();
        let outcome = committed.outcome();
        assert_eq!(
            (outcome.processed, outcome.duplicates),
            (processed, duplicates)
        );
    }
    let counted: i64 = db.value("SELECT sum(duplicates) FROM webhook_events").await;
    assert_eq!(counted, 4);
    let audited: i64 = db.value("SELECT count(*) FROM audit_logs").await;
    assert_eq!(audited, 6);
    let rows: i64 = db
        .value("SELECT (SELECT count(*) FROM webhook_events) * 100 + (SELECT count(*) FROM event_identities)")
        .await;
    assert_eq!(rows, 606);
}

#[tokio::test]
async fn a_delivery_twice_in_one_batch_is_one_row_and_one_duplicate() {
    let db = TestDatabase::migrated().await;
    let event = payment("evt", "pay_1", "captured", 10);
    let outcome = deliver(&db.pool(), &[&event, &event, &event]).await;
    assert_eq!((outcome.processed, outcome.duplicates), (1, 2));
    assert_eq!(counters(&db).await, ["evt 2 0"]);
    let audited: i64 = db.value("SELECT count(*) FROM audit_logs").await;
    assert_eq!(audited, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_in_many_commits_at_once_is_one_row() {
    let db = TestDatabase::migrated().await;
    let mut bodies = bodies();
    let events: Vec<_> = (0..20).map(|_| bodies.event("payment.captured")).collect();
    let pool = db.pool();
    let commits: Vec<_> = (0..4)
        .map(|turn| {
            let (pool, mut events) = (pool.clone(), events.clone());
            events.rotate_left(turn * 5);
            tokio::spawn(
                async move { commit(&pool, all_claimed(&events)).await.unwrap().outcome() },
            )
        })
        .collect();
    let (mut processed, mut duplicates) = (0, 0);
    for commit in commits {
        let outcome = commit.await.unwrap();
        processed += outcome.processed;
        duplicates += outcome.duplicates;
    }
    assert_eq!((processed, duplicates), (20, 60));
    let counted: Vec<i32> = db.column("SELECT duplicates FROM webhook_events").await;
    assert_eq!(counted, vec![3; 20]);
    let audited: i64 = db.value("SELECT count(*) FROM audit_logs").await;
    assert_eq!(audited, 20);
}

#[tokio::test]
async fn a_signed_body_under_another_id_takes_no_second_effect() {
    let (db, mut bodies) = (TestDatabase::migrated().await, bodies());
    let first = under("first", &bodies.event("payment.downtime.started"));
    let pool = db.pool();
    assert_eq!(deliver(&pool, &[&first]).await.processed, 1);
    let before = effects(&db).await;

    let replayed = under("replayed", &first);
    assert_eq!(deliver(&pool, &[&replayed]).await.duplicates, 1);
    assert_eq!(deliver(&pool, &[&replayed, &first]).await.duplicates, 2);
    assert_eq!(counters(&db).await, ["first 1 2"]);
    assert_eq!(effects(&db).await, before);
    let history: i64 = db.value("SELECT count(*) FROM downtime_events").await;
    assert_eq!(history, 1);
}

#[tokio::test]
async fn a_body_under_two_ids_in_one_batch_is_one_event() {
    let (db, mut bodies) = (TestDatabase::migrated().await, bodies());
    let first = under("first", &bodies.event("payment_link.paid"));
    let outcome = deliver(&db.pool(), &[&first, &under("second", &first)]).await;
    assert_eq!((outcome.processed, outcome.duplicates), (1, 1));
    let counted: Vec<i32> = db
        .column("SELECT other_id_duplicates FROM webhook_events")
        .await;
    assert_eq!(counted, [1]);
}

/// Two bodies under one id, in one batch or in two, delivered again and again.
async fn contest(pool: &Pool, db: &TestDatabase, batches: &[&[&SimulatedEvent]]) {
    let mut processed = 0;
    for batch in batches {
        processed += deliver(pool, batch).await.processed;
    }
    assert_eq!(processed, 2);
    let payments: Vec<String> = db
        .column("SELECT payment_id FROM payment_transactions ORDER BY 1")
        .await;
    assert_eq!(payments, ["pay_1", "pay_2"]);
    let bodies: i64 = db
        .value("SELECT count(DISTINCT body_sha256) FROM webhook_events")
        .await;
    assert_eq!(bodies, 2);
    let ids: Vec<String> = db
        .column("SELECT razorpay_event_id FROM webhook_events ORDER BY 1")
        .await;
    assert_eq!(ids[0], "evt");
    assert!(ids[1].starts_with("evt~"), "{ids:?}");

    let (one, two) = (
        payment("evt", "pay_1", "captured", 10),
        payment("evt", "pay_2", "captured", 10),
    );
    let again = deliver(pool, &[&one, &two, &two]).await;
    assert_eq!(
        again,
        Outcome {
            duplicates: 3,
            ..Outcome::default()
        }
    );
    let counted: Vec<i32> = db
        .column("SELECT duplicates FROM webhook_events ORDER BY duplicates")
        .await;
    assert_eq!(counted, [1, 2]);
    let others: i64 = db
        .value("SELECT sum(other_id_duplicates) FROM webhook_events")
        .await;
    assert_eq!(others, 0);
}

#[tokio::test]
async fn a_second_body_under_a_known_id_is_an_event_of_its_own() {
    let db = TestDatabase::migrated().await;
    let (one, two) = (
        payment("evt", "pay_1", "captured", 10),
        payment("evt", "pay_2", "captured", 10),
    );
    contest(&db.pool(), &db, &[&[&one], &[&two]]).await;
}

#[tokio::test]
async fn two_bodies_under_one_id_in_one_batch_are_both_kept() {
    let db = TestDatabase::migrated().await;
    let (one, two) = (
        payment("evt", "pay_1", "captured", 10),
        payment("evt", "pay_2", "captured", 10),
    );
    contest(&db.pool(), &db, &[&[&one, &two]]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_contest_one_id_in_many_commits_at_once_are_all_kept() {
    let db = TestDatabase::migrated().await;
    let pool = db.pool();
    let events: Vec<_> = (0..12)
        .map(|n| payment("evt", &format!("pay_{n:02}"), "captured", 10))
        .collect();
    let commits: Vec<_> = (0..4)
        .map(|turn| {
            let (pool, mut events) = (pool.clone(), events.clone());
            events.rotate_left(turn * 3);
            tokio::spawn(
                async move { commit(&pool, all_claimed(&events)).await.unwrap().outcome() },
            )
        })
        .collect();
    let mut processed = 0;
    for commit in commits {
        processed += commit.await.unwrap().processed;
    }
    assert_eq!(processed, 12);
    let payments: i64 = db.value("SELECT count(*) FROM payment_transactions").await;
    let duplicates: i64 = db.value("SELECT sum(duplicates) FROM webhook_events").await;
    assert_eq!((payments, duplicates), (12, 36));
}

#[tokio::test]
async fn a_duplicate_of_an_event_whose_row_was_removed_takes_no_effect() {
    let db = TestDatabase::migrated().await;
    let (pool, event) = (db.pool(), payment("evt", "pay_1", "captured", 10));
    deliver(&pool, &[&event]).await;
    db.execute("DELETE FROM webhook_events; DELETE FROM payment_transactions")
        .await;
    assert_eq!(
        deliver(&pool, &[&event]).await,
        Outcome {
            duplicates: 1,
            ..Outcome::default()
        }
    );
    let rows: i64 = db.value("SELECT (SELECT count(*) FROM webhook_events) + (SELECT count(*) FROM payment_transactions)").await;
    assert_eq!(rows, 0);
}

#[tokio::test]
async fn a_duplicate_of_a_dead_letter_leaves_it_dead() {
    let db = TestDatabase::migrated().await;
    let (pool, bad) = (db.pool(), event("bad", "not json"));
    assert_eq!(deliver(&pool, &[&bad]).await.failed, 1);
    assert_eq!(
        deliver(&pool, &[&bad]).await,
        Outcome {
            duplicates: 1,
            ..Outcome::default()
        }
    );
    let status: String = db.value("SELECT status FROM webhook_events").await;
    assert_eq!(status, "failed");
}
