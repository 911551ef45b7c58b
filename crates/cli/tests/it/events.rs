//! `harkara events list`.

use harkara_storage::record::Verdict;
use serde_json::Value;

use crate::harkara::Harkara;
use crate::ledger::{add_many, database_with, dead_letter, processed};

async fn ids(harkara: &Harkara, filters: &str) -> Vec<String> {
    let listed = harkara.json(&format!("events --json {filters}")).await;
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
    let account: String = database
        .value("SELECT account_id FROM webhook_events WHERE razorpay_event_id = 'evt-captured'")
        .await;
    let refund: String = database
        .value("SELECT refund_id FROM payment_refunds")
        .await;
    for (filters, listed) in [
        ("", &["evt-refund", "evt-dead", "evt-captured"][..]),
        ("--status failed", &["evt-dead"]),
        ("--status processed", &["evt-refund", "evt-captured"]),
        ("--type payment.captured", &["evt-captured"]),
        ("--endpoint live", &["evt-refund"]),
        ("--since 2026-09-21T14:13:30Z", &["evt-refund", "evt-dead"]),
        ("--before 2026-09-21T19:43:30+05:30", &["evt-captured"]),
        ("--limit 1", &["evt-refund"]),
        (&format!("--account {account}"), &["evt-captured"]),
        (&format!("--entity {refund}"), &["evt-refund"]),
        ("--entity rfnd_nobody", &[]),
    ] {
        assert_eq!(ids(&harkara, filters).await, listed, "{filters}");
    }
    // The word `list` may be left out.
    let said = harkara.stdout("events list --json").await;
    assert_eq!(said, harkara.stdout("events --json").await);
}

#[tokio::test]
async fn the_table_fits_100_columns_and_shows_the_error_of_a_dead_letter() {
    let longest = "account.payment_methods.requirements.updated";
    let typed = harkara_core::catalogue::typed().enumerate();
    let typed = typed.map(|(at, spec)| processed(&format!("Evt{at:011}"), spec.name, 0));
    let others = [
        processed("EvtLongest0000", longest, 1),
        dead_letter("EvtDead0000000", 2),
    ];
    let database = database_with(typed.chain(others).collect()).await;
    let table = Harkara::on(&database).stdout("events").await;
    let mut lines = table.lines();
    assert!(lines.all(|line| line.chars().count() <= 100), "{table}");
    for words in [
        "2026-09-21T14:13:20Z  payment.captured ",
        "    the body is not JSON",
        "  EvtLongest0000\n",
    ] {
        assert!(table.contains(words), "{words} is missing in {table}");
    }
}

#[tokio::test]
async fn pages_that_follow_the_hint_leave_no_event_out() {
    // Six events in two instants, so that pages end in the middle of one, which has more than a page.
    let events = [("a", 0), ("b", 0), ("c", 0), ("d$", 0), ("e", 1), ("f", 1)];
    let events = events.map(|(id, seconds)| processed(id, "payment.captured", seconds));
    let database = database_with(events.into()).await;
    let harkara = Harkara::on(&database);
    for options in ["--limit 1", "--limit 3 --type payment.captured"] {
        let (mut before, mut listed) = (String::new(), Vec::new());
        loop {
            let command = format!("{options} {before}");
            listed.extend(ids(&harkara, &command).await);
            let page = harkara.stdout(&format!("events {command}")).await;
            let Some((_, hint)) = page.split_once("--before ") else {
                break;
            };
            assert!(listed.len() < 6, "{page}");
            before = format!("--before {}", hint.trim().trim_matches('\''));
        }
        assert_eq!(listed, ["e", "f", "a", "b", "c", "d$"], "{options}");
    }
}

#[tokio::test]
async fn a_listing_that_no_index_serves_walks_through_the_ledger_and_tells_how_far() {
    let oldest = processed("evt-oldest", "payment.captured", 0);
    let database = database_with(vec![oldest]).await;
    let an_hour_ago = "UPDATE webhook_events SET created_at = created_at - interval '1 hour'";
    database.execute(an_hour_ago).await;
    add_many(&database, "made-up-", 45_000).await;
    let harkara = Harkara::on(&database);
    let everything = "looked at 45001 rows, back to 2026-09-21T13:13:20Z\n";
    let ran = harkara.run("events --type payment.captured").await;
    let ran = ran.ended_with(0);
    assert!(ran.stdout().contains("evt-oldest"), "{ran:?}");
    assert_eq!(ran.stderr, everything);
    let ran = harkara.run("events --account acc_nobody").await;
    let ran = ran.ended_with(0);
    assert_eq!(ran.stdout(), "no event matches\n");
    assert_eq!(ran.stderr, everything);
    // Enough is found in the first step.
    let ran = harkara.run("events --account acc_made_up --limit 5").await;
    assert_eq!(ran.ended_with(0).stderr, "");
    let ran = harkara
        .run("events --account acc_nobody --since 2026-09-21T14:13:19.999Z")
        .await;
    assert_eq!(ran.ended_with(0).stderr, "");
}

#[tokio::test]
async fn an_entity_with_many_changes_is_listed_by_the_time_of_receipt_and_each_event_once() {
    let database = database_with(Vec::new()).await;
    add_many(&database, "evt-", 1_200).await;
    // Later events have earlier changes, and each event has two.
    database
        .execute(
            "INSERT INTO audit_logs (at, actor, action, entity_type, entity_id, razorpay_event_id) \
             SELECT timestamptz '2026-09-22 00:00Z' - n * interval '1 second', 'worker', 'status_changed', 'payment', \
               'pay_1', 'evt-' || (n + 1) / 2 FROM generate_series(1, 2400) n",
        )
        .await;
    let harkara = Harkara::on(&database);
    let listed = ids(&harkara, "--entity pay_1 --limit 3").await;
    assert_eq!(listed, ["evt-1200", "evt-1199", "evt-1198"]);
    let all = ids(
        &harkara,
        "--entity pay_1 --limit 1000 --before 2026-09-21T14:13:19.300Z",
    )
    .await;
    assert_eq!(all.len(), 499);
}

#[tokio::test]
async fn nothing_that_was_received_controls_the_terminal_and_json_has_it_exactly() {
    let hostile = "payment\u{1b}[2J\u{202e}\n\u{200b}";
    let mut event = processed("evt", "payment.captured", 0);
    event.claimed.event_type = hostile.into();
    event.verdict = Verdict::Fail {
        error: hostile.to_owned(),
    };
    let database = database_with(vec![event]).await;
    let harkara = Harkara::on(&database);
    for command in [
        "events",
        "events show evt",
        "events --json",
        "events show evt --json",
    ] {
        let shown = harkara.stdout(command).await;
        let is_hostile = |c: char| "\u{1b}\u{202e}\u{200b}".contains(c);
        assert!(!shown.contains(is_hostile), "{shown:?}");
        if command.ends_with("--json") {
            let shown: Value = serde_json::from_str(&shown).unwrap();
            let shown = shown.get(0).unwrap_or(&shown);
            assert_eq!(shown["event_type"], hostile, "{shown}");
            assert_eq!(shown["error"], hostile, "{shown}");
        } else {
            let escaped = r"payment\u{1b}[2J\u{202e}\n\u{200b}";
            assert_eq!(shown.matches(escaped).count(), 2, "{shown}");
        }
    }
}
