//! What commands print, as stored snapshots. `INSTA_UPDATE=always` with the tests of this file writes them anew.
//! (`docs/cli.md` is the snapshot of all help texts.)

use chrono::{TimeDelta, Utc};
use harkara_core::secret::{Fingerprint, Secret};
use harkara_core::time::ReceivedAt;
use harkara_testkit::{PostgresServer, TestDatabase};

use crate::doctor::report;
use crate::harkara::{Harkara, Ran, closed_port};
use crate::lag::some_backlog;
use crate::ledger::{SECRET, database_with, dead_letter, processed};

const SECRETS: &str = "HARKARA__ENDPOINTS__DEFAULT__SECRETS";

/// What differs from run to run, and its place-holder.
const FILTERS: [(&str, &str); 14] = [
    (r"127\.0\.0\.1:\d+", "127.0.0.1:<port>"),
    (r"2026-09-21T14:13:\d\d", "<received>"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", "<time>"),
    (r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ\n", "<time>\n"),
    (r"\d+ ms after receipt", "<n> ms after receipt"),
    (
        r#""(commit_ms|looked_ago_s|oldest_age_s|rates_over_s)": [\d.]+"#,
        "\"$1\": <n>",
    ),
    (
        r" {2,}(\d+(us|ms|s|m)( \d+(us|ms|s))?|–|OLDEST) {2,}(0\.0|IN/S)",
        "  <age>  $5",
    ),
    (
        r"(last fork|late in|the server is|give or take) \d+\w+( \d+\w+)?",
        "$1 <duration>",
    ),
    (r"(ahead|behind), give", "<ahead or behind>, give"),
    (r"\d+ % in use, [\d.]+ MiB", "<n> % in use, <n> MiB"),
    (r#"(version +|: ")\d[^\n]* at 127"#, "$1<version> at 127"),
    (r"\d+ connected of \d+", "<n> connected of <n>"),
    (
        r"\d+ are allowed, and others have \d+",
        "<n> are allowed, and others have <n>",
    ),
    (r"\d{14}[-\w]*, as this|lacks \d+ migration", "<migrations>"),
];

/// Compares a run with the snapshot of this name.
fn snapshot(name: &str, ran: &Ran) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for (pattern, replacement) in FILTERS {
        settings.add_filter(pattern, replacement);
    }
    let printed = format!("exit code {}\n\n{}{}", ran.code, ran.stdout(), ran.stderr);
    settings.bind(|| insta::assert_snapshot!(name, printed));
}

/// Runs commands, and compares each with the snapshot of its name.
async fn snapshots(harkara: &Harkara, commands: &[(&str, &[&str])]) {
    for (name, arguments) in commands {
        snapshot(name, &harkara.run(arguments).await);
    }
}

#[tokio::test]
async fn events_are_listed_and_shown() {
    let database = database_with(vec![
        processed("evt-captured", "payment.captured", 0),
        processed("evt-paid", "order.paid", 1),
        dead_letter("evt-dead", 10),
    ])
    .await;
    let harkara = Harkara::on(&database).with(SECRETS, SECRET);
    snapshots(
        &harkara,
        &[
            ("events", &["events"]),
            ("events_limited", &["events", "--limit", "1"]),
            ("events_none", &["events", "--status", "pending"]),
            ("events_json", &["events", "--status", "failed", "--json"]),
            ("events_show", &["events", "show", "evt-paid"]),
            ("events_show_dead", &["events", "show", "evt-dead"]),
            (
                "events_show_json",
                &["events", "show", "evt-paid", "--json"],
            ),
            ("events_show_unknown", &["events", "show", "nobody"]),
            (
                "replay_dry_run",
                &["replay", "--status", "failed", "--dry-run"],
            ),
            (
                "replay_dry_run_json",
                &["replay", "--status", "failed", "--dry-run", "--json"],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_backlog_is_shown() {
    let (database, redis_url, _) = some_backlog().await;
    let harkara = Harkara::on(&database).with("HARKARA__REDIS__URL", &redis_url);
    let soon = "--interval=100ms";
    let commands: [(&str, &[&str]); 2] = [
        ("lag", &["lag", soon]),
        ("lag_json", &["lag", soon, "--json"]),
    ];
    snapshots(&harkara, &commands).await;
    let nowhere = format!("redis://127.0.0.1:{}", closed_port());
    let harkara = Harkara::on(&database).with("HARKARA__REDIS__URL", &nowhere);
    snapshots(&harkara, &[("lag_without_redis", &["lag"])]).await;
}

#[tokio::test]
async fn secrets_are_listed() {
    let verified = |id: &str, secret: &str, hours_ago: i64| {
        let mut record = processed(id, "payment.captured", 0);
        let received_at = Utc::now() - TimeDelta::hours(hours_ago);
        record.claimed.received_at = ReceivedAt::from_millis(received_at.timestamp_millis());
        record.claimed.secret_fingerprint = Some(Fingerprint::of(&Secret::new(secret)));
        record
    };
    let database = database_with(vec![
        verified("a", "new", 1),
        verified("b", "new", 26),
        verified("c", "old", 30),
        verified("d", "gone", 100),
    ])
    .await;
    let harkara = Harkara::on(&database)
        .with(SECRETS, "new,old")
        .with("HARKARA__ENDPOINTS__LIVE__SECRETS", "live");
    let commands: [(&str, &[&str]); 2] = [
        ("secrets", &["secrets"]),
        ("secrets_json", &["secrets", "--json"]),
    ];
    snapshots(&harkara, &commands).await;
    let harkara = Harkara::on(&database_with(Vec::new()).await);
    snapshots(&harkara, &[("secrets_none", &["secrets"])]).await;
}

#[tokio::test]
async fn a_sound_and_an_unsound_deployment_are_examined() {
    let postgres = PostgresServer::start(&["max_connections=50"]).await;
    let redis = report::sound_redis(&[]).await;
    let harkara = report::harkara(&redis.url(), &postgres.url());
    harkara.run(&["migrate"]).await.done();
    snapshots(&harkara, &[("doctor_sound", &["doctor", "--strict"])]).await;
    let redis = report::sound_redis(&["--maxmemory-policy", "allkeys-lru"]).await;
    let database = TestDatabase::empty().await;
    let harkara = report::harkara(&redis.url(), &database.url);
    let commands: [(&str, &[&str]); 2] = [
        ("doctor_unsound", &["doctor"]),
        ("doctor_json", &["doctor", "--json"]),
    ];
    snapshots(&harkara, &commands).await;
}

#[tokio::test]
async fn usage_errors_say_what_to_change() {
    let harkara = Harkara::default();
    let commands: [(&str, &[&str]); 6] = [
        ("usage_command", &["fly"]),
        ("usage_events_limit", &["events", "--limit", "1001"]),
        ("usage_events_since", &["events", "--since", "yesterday"]),
        ("usage_lag_interval", &["lag", "--interval", "99ms"]),
        ("usage_replay_actor", &["replay", "--status", "failed"]),
        ("usage_trigger_name", &["trigger", "payment.capture"]),
    ];
    snapshots(&harkara, &commands).await;
}
