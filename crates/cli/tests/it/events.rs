//! `harkara events list`.

use serde_json::Value;

use crate::harkara::Harkara;
use crate::ledger::{database_with, dead_letter, processed};

async fn ids(harkara: &Harkara, filters: &[&str]) -> Vec<String> {
    let listed = harkara
        .json(&[&["events", "--json"], filters].concat())
        .await;
    let id = |event: &Value| event["razorpay_event_id"].as_str().unwrap().to_owned();
    listed.as_array().unwrap().iter().map(id).collect()
}

#[tokio::test]
async fn events_are_listed_newest_first_and_by_every_filter() {
    let mut elsewhere = processed("evt-refund", "refund.processed", 20);
    elsewhere.claimed.endpoint = "live".into();
    let database = database_with(vec![
        processed("evt-captured", "payment.captured", 0),
        dead_letter("evt-dead", 10),
        elsewhere,
    ])
    .await;
    let harkara = Harkara::on(&database);
    assert_eq!(
        ids(&harkara, &[]).await,
        ["evt-refund", "evt-dead", "evt-captured"]
    );
    assert_eq!(ids(&harkara, &["--status", "failed"]).await, ["evt-dead"]);
    assert_eq!(
        ids(&harkara, &["--status", "processed"]).await,
        ["evt-refund", "evt-captured"]
    );
    assert_eq!(
        ids(&harkara, &["--type", "payment.captured"]).await,
        ["evt-captured"]
    );
    assert_eq!(ids(&harkara, &["--endpoint", "live"]).await, ["evt-refund"]);
    assert_eq!(
        ids(&harkara, &["--since", "2026-09-21T14:13:30Z"]).await,
        ["evt-refund", "evt-dead"]
    );
    assert_eq!(
        ids(&harkara, &["--before", "2026-09-21T19:43:30+05:30"]).await,
        ["evt-captured"]
    );
    assert_eq!(ids(&harkara, &["--limit", "1"]).await, ["evt-refund"]);

    let account: String = database
        .value("SELECT account_id FROM webhook_events WHERE razorpay_event_id = 'evt-captured'")
        .await;
    assert_eq!(
        ids(&harkara, &["--account", &account]).await,
        ["evt-captured"]
    );
    let refund: String = database
        .value("SELECT refund_id FROM payment_refunds")
        .await;
    assert_eq!(ids(&harkara, &["--entity", &refund]).await, ["evt-refund"]);
    assert_eq!(ids(&harkara, &["--entity", "rfnd_nobody"]).await, [""; 0]);

    // The word `list` may be said or left out.
    let said = harkara
        .run(&["events", "list", "--json"])
        .await
        .done()
        .stdout();
    assert_eq!(
        said,
        harkara.run(&["events", "--json"]).await.done().stdout()
    );
}

#[tokio::test]
async fn the_table_is_readable_at_100_columns_and_tells_the_error_of_a_dead_letter() {
    let longest = "account.payment_methods.requirements.updated";
    let mut events: Vec<_> = harkara_core::catalogue::typed()
        .enumerate()
        .map(|(at, known)| processed(&format!("Evt{at:011}"), known.name, 0))
        .collect();
    events.extend([
        processed("EvtLongest0000", longest, 1),
        dead_letter("EvtDead0000000", 2),
    ]);
    let database = database_with(events).await;
    let table = Harkara::on(&database)
        .run(&["events"])
        .await
        .done()
        .stdout();
    assert!(
        table.lines().all(|line| line.chars().count() <= 100),
        "{table}"
    );
    assert!(
        table.contains("2026-09-21T14:13:20Z  payment.captured "),
        "{table}"
    );
    assert!(table.contains("    the body is not JSON"), "{table}");
    assert!(
        table.lines().any(|line| line.ends_with("  EvtLongest0000")),
        "{table}"
    );
}

#[tokio::test]
async fn pages_that_follow_the_hint_leave_no_event_out() {
    // Five events in two instants, so that a page ends in the middle of one.
    let database = database_with(
        [("a", 0), ("b", 0), ("c", 0), ("d", 1), ("e", 1)]
            .map(|(id, seconds)| processed(id, "payment.captured", seconds))
            .into(),
    )
    .await;
    let harkara = Harkara::on(&database);
    let first = harkara
        .run(&["events", "--limit", "3"])
        .await
        .done()
        .stdout();
    let (page, hint) = first.split_once("\n\n").unwrap();
    assert_eq!(page.lines().count(), 4, "{first}");
    let before = hint.trim().rsplit_once(' ').unwrap().1;
    assert_eq!(ids(&harkara, &["--before", before]).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_listing_without_events_says_so() {
    let database = database_with(Vec::new()).await;
    let harkara = Harkara::on(&database);
    assert_eq!(
        harkara.run(&["events"]).await.done().stdout(),
        "no event matches\n"
    );
    assert_eq!(
        harkara.run(&["events", "--json"]).await.done().stdout(),
        "[]\n"
    );
}

#[tokio::test]
async fn a_name_that_was_received_cannot_control_the_terminal() {
    let mut event = processed("evt", "payment.captured", 0);
    event.claimed.event_type = "payment\u{1b}[2J".into();
    let database = database_with(vec![event]).await;
    for arguments in [&["events"][..], &["events", "show", "evt"]] {
        let shown = Harkara::on(&database).run(arguments).await.done().stdout();
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
    }
}
