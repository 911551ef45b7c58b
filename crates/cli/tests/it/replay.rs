//! `harkara replay`.

use harkara_testkit::TestDatabase;
use serde_json::json;

use crate::harkara::Harkara;
use crate::ledger::{database_with, dead_letter, processed};

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
async fn a_dry_run_counts_and_changes_nothing() {
    let database = database().await;
    let harkara = Harkara::on(&database);
    let told = harkara
        .run(&["replay", "--status", "failed", "--dry-run"])
        .await
        .done()
        .stdout();
    assert_eq!(told, "2 events would be replayed\n");
    let since = [
        "replay",
        "--status",
        "failed",
        "--since",
        "2026-09-21T14:13:25Z",
        "--dry-run",
        "--json",
    ];
    assert_eq!(
        harkara.json(&since).await,
        json!({"dry_run": true, "replayable": 1, "already_pending": 0, "replayed": 0, "actor": null})
    );
    assert_eq!(n_pending(&database).await, 0);
}

#[tokio::test]
async fn several_events_are_replayed_only_after_a_yes_and_each_is_audited() {
    let database = database().await;
    let harkara = Harkara::on(&database).with("USER", "asha");
    let all = ["replay", "--status", "failed"];
    harkara
        .run(&all)
        .await
        .complains(2, &["2 events", "--yes", "--dry-run"]);
    assert_eq!(n_pending(&database).await, 0);

    let told = harkara
        .run(&[&all[..], &["--yes"]].concat())
        .await
        .done()
        .stdout();
    assert!(
        told.starts_with(
            "2 events put back to pending; follow with `harkara events --status pending`"
        ),
        "{told}"
    );
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
    let one = ["replay", "--event-id", "done", "--actor", "ravi"];
    let told = harkara.run(&one).await.done().stdout();
    assert!(told.starts_with("1 event put back to pending"), "{told}");
    let told = harkara.run(&one).await.done().stdout();
    assert_eq!(
        told,
        "nothing to replay\n1 event already pending, left alone\n"
    );
    let actors: Vec<String> = database
        .column("SELECT actor FROM audit_logs WHERE action = 'replay'")
        .await;
    assert_eq!(actors, ["operator:ravi"]);
}

#[tokio::test]
async fn filters_narrow_what_is_replayed() {
    let database = database().await;
    let harkara = Harkara::on(&database).with("USER", "asha");
    let told = harkara
        .run(&["replay", "--status", "processed", "--type", "order.paid"])
        .await
        .done()
        .stdout();
    assert_eq!(told, "nothing to replay\n");
    let chosen = [
        "replay",
        "--status",
        "processed",
        "--type",
        "payment.captured",
    ];
    harkara.run(&chosen).await.done();
    assert_eq!(n_pending(&database).await, 1);
}

#[tokio::test]
async fn an_unknown_event_and_an_unknown_operator_are_told() {
    let database = database().await;
    let harkara = Harkara::on(&database);
    harkara
        .run(&["replay", "--event-id", "nobody", "--actor", "ravi"])
        .await
        .complains(1, &["nobody"]);
    harkara
        .run(&["replay", "--event-id", "done"])
        .await
        .complains(2, &["--actor"]);
    assert_eq!(n_pending(&database).await, 0);
}
