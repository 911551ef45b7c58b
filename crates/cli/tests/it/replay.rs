//! `harkara replay`.

use harkara_testkit::{Signal, TestDatabase, send_signal, wait_until};
use serde_json::json;

use crate::deployment::BOUND;
use crate::harkara::{Harkara, Ran};
use crate::ledger::{add_many, database_with, dead_letter, processed};

async fn database() -> TestDatabase {
    database_with(vec![
        dead_letter("dead-1", 0),
        dead_letter("dead-2", 10),
        processed("done", "payment.captured", 20),
    ])
    .await
}

async fn n_pending(database: &TestDatabase) -> i64 {
    database
        .value("SELECT count(*) FROM webhook_events WHERE status = 'pending'")
        .await
}

#[tokio::test]
async fn filters_narrow_what_is_replayed_and_a_dry_run_changes_nothing() {
    let database = database().await;
    let harkara = Harkara::on(&database).with("USER", "asha");
    let counted = harkara.stdout("replay --status failed --dry-run").await;
    assert_eq!(counted, "2 events would be replayed\n");
    let since = "replay --status failed --since 2026-09-21T14:13:25Z --dry-run --json";
    assert_eq!(
        harkara.json(since).await,
        json!({"dry_run": true, "replayable": 1, "already_pending": 0, "replayed": 0, "actor": null})
    );
    let none = "replay --status processed --type order.paid";
    assert_eq!(harkara.stdout(none).await, "nothing to replay\n");
    assert_eq!(n_pending(&database).await, 0);
    let one = "replay --status processed --type payment.captured";
    harkara.stdout(one).await;
    assert_eq!(n_pending(&database).await, 1);
}

#[tokio::test]
async fn several_events_are_replayed_only_after_a_yes_and_each_is_audited() {
    let database = database().await;
    let harkara = Harkara::on(&database).with("USER", "asha");
    let ran = harkara.run("replay --status failed").await;
    ran.complains(2, &["2 events", "--yes", "--dry-run"]);
    assert_eq!(n_pending(&database).await, 0);

    let replayed = harkara.stdout("replay --status failed --yes").await;
    let beginning = "2 events put back to pending; follow with `harkara events --status pending`";
    assert!(replayed.starts_with(beginning), "{replayed}");
    assert_eq!(n_pending(&database).await, 2);
    let audited: Vec<String> = database
        .column(
            "SELECT concat_ws(' ', actor, razorpay_event_id, from_status, to_status) FROM audit_logs \
             WHERE action = 'replay' ORDER BY razorpay_event_id",
        )
        .await;
    assert_eq!(
        audited,
        [
            "operator:asha dead-1 failed pending",
            "operator:asha dead-2 failed pending"
        ]
    );
}

#[tokio::test]
async fn one_event_is_replayed_without_a_question_and_not_again_while_it_is_pending() {
    let database = database().await;
    let harkara = Harkara::on(&database);
    let one = "replay --event-id done --actor ravi";
    let first = harkara.stdout(one).await;
    assert!(first.starts_with("1 event put back to pending"), "{first}");
    let second = "nothing to replay\n1 event already pending, left alone\n";
    assert_eq!(harkara.stdout(one).await, second);
    let actors: Vec<String> = database
        .column("SELECT actor FROM audit_logs WHERE action = 'replay'")
        .await;
    assert_eq!(actors, ["operator:ravi"]);
}

#[tokio::test]
async fn an_unknown_event_and_an_unknown_operator_are_refused() {
    let database = database().await;
    let harkara = Harkara::on(&database);
    let ran = harkara.run("replay --event-id nobody --actor ravi").await;
    ran.complains(1, &["nobody"]);
    let ran = harkara.run("replay --event-id done").await;
    ran.complains(2, &["--actor"]);
    assert_eq!(n_pending(&database).await, 0);
}

#[tokio::test]
async fn a_replay_that_ctrl_c_ends_keeps_what_it_did_and_goes_on_where_it_says() {
    let database = database_with(Vec::new()).await;
    add_many(&database, "evt-", 5_000).await;
    let harkara = Harkara::on(&database).with("USER", "asha");
    // The second of three steps of 2,000 waits for this row.
    let other = TestDatabase::at(database.url.clone()).await;
    other
        .execute(
            "BEGIN; SELECT FROM webhook_events WHERE razorpay_event_id = 'evt-2000' FOR UPDATE",
        )
        .await;
    let replaying = harkara.spawn("replay --status processed --yes");
    wait_until("the first step is done", BOUND, async || {
        n_pending(&database).await == 2_000
    })
    .await;
    send_signal(&replaying, Signal::INT);
    other.execute("COMMIT").await;
    let ran = Ran::of(replaying).await.ended_with(1);
    let said = ran.stdout();
    assert!(
        said.starts_with("4000 events put back to pending"),
        "{said}"
    );
    let (_, before) = said.split_once("to go on, add ").unwrap();
    assert_eq!(n_pending(&database).await, 4_000);

    let rest = format!("replay --status processed --yes {before}");
    let said = harkara.stdout(&rest).await;
    assert!(
        said.starts_with("1000 events put back to pending"),
        "{said}"
    );
    let replays: i64 = database
        .value("SELECT count(DISTINCT razorpay_event_id) FROM audit_logs WHERE action = 'replay'")
        .await;
    assert_eq!(replays, 5_000);
}

#[tokio::test]
async fn many_events_are_counted_only_as_far_as_the_question_needs() {
    let database = database_with(Vec::new()).await;
    add_many(&database, "evt-", 16_000).await;
    let harkara = Harkara::on(&database).with("USER", "asha");
    let ran = harkara.run("replay --status processed").await;
    ran.complains(2, &["12000 or more events", "--yes"]);
    let counted = harkara.stdout("replay --status processed --dry-run").await;
    assert_eq!(counted, "16000 events would be replayed\n");
    let some = "replay --status processed --dry-run --since 2026-09-21T14:13:19Z --before 2026-09-21T14:13:20Z";
    assert_eq!(
        harkara.stdout(some).await,
        "1000 events would be replayed\n"
    );
}
