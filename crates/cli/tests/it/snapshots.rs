//! What commands print, as stored snapshots. `INSTA_UPDATE=always` with the tests of this file updates them.
//! (`docs/cli.md` is the snapshot of all help texts.)

use chrono::Utc;
use harkara_testkit::TestDatabase;

use crate::doctor;
use crate::harkara::{Harkara, REDIS_URL, SECRETS, nowhere};
use crate::lag::some_backlog;
use crate::ledger::{SECRET, database_with, dead_letter, processed};
use crate::secrets::verified;

/// Patterns of text that differs from run to run, with their placeholders.
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

/// Runs commands, and compares each with the snapshot of its name.
pub(crate) async fn snapshots(harkara: &Harkara, commands: &[(&str, &str)]) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for (pattern, replacement) in FILTERS {
        settings.add_filter(pattern, replacement);
    }
    for (name, command) in commands {
        let ran = harkara.run(command).await;
        let printed = format!("exit code {}\n\n{}{}", ran.code, ran.stdout(), ran.stderr);
        settings.bind(|| insta::assert_snapshot!(*name, printed));
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
    let commands = [
        ("events", "events"),
        ("events_limited", "events --limit 1"),
        ("events_none", "events --status pending"),
        ("events_json", "events --status failed --json"),
        ("events_show", "events show evt-paid"),
        ("events_show_dead", "events show evt-dead"),
        ("events_show_json", "events show evt-paid --json"),
        ("events_show_unknown", "events show nobody"),
        ("replay_dry_run", "replay --status failed --dry-run"),
        (
            "replay_dry_run_json",
            "replay --status failed --dry-run --json",
        ),
    ];
    snapshots(&harkara, &commands).await;
}

#[tokio::test]
async fn the_backlog_is_shown() {
    let (database, redis_url, _) = some_backlog().await;
    let harkara = Harkara::on(&database).with(REDIS_URL, &redis_url);
    let commands = [
        ("lag", "lag --interval 100ms"),
        ("lag_json", "lag --interval 100ms --json"),
    ];
    snapshots(&harkara, &commands).await;
    let harkara = harkara.with(REDIS_URL, &nowhere("redis").0);
    snapshots(&harkara, &[("lag_without_redis", "lag")]).await;
}

#[tokio::test]
async fn secrets_are_listed() {
    let uses = [("new", 1), ("new", 26), ("old", 30), ("gone", 100)];
    let uses = uses.map(|(secret, hours)| (Some(secret), hours));
    let harkara = Harkara::on(&verified(Utc::now(), &uses).await)
        .with(SECRETS, "new,old")
        .with("HARKARA__ENDPOINTS__LIVE__SECRETS", "live");
    let commands = [("secrets", "secrets"), ("secrets_json", "secrets --json")];
    snapshots(&harkara, &commands).await;
    let harkara = Harkara::on(&TestDatabase::migrated().await);
    snapshots(&harkara, &[("secrets_none", "secrets")]).await;
}

#[tokio::test]
async fn a_deployment_with_problems_is_examined() {
    let redis = doctor::sound_redis(&["--maxmemory-policy", "allkeys-lru"]).await;
    let database = TestDatabase::empty().await;
    let harkara = doctor::harkara(&redis.url(), &database.url);
    let commands = [
        ("doctor_unsound", "doctor"),
        ("doctor_json", "doctor --json"),
    ];
    snapshots(&harkara, &commands).await;
}

#[tokio::test]
async fn usage_errors_say_what_to_change() {
    let commands = [
        ("usage_command", "fly"),
        ("usage_events_limit", "events --limit 1001"),
        ("usage_events_since", "events --since yesterday"),
        ("usage_lag_interval", "lag --interval 99ms"),
        ("usage_replay_actor", "replay --status failed"),
        ("usage_trigger_name", "trigger payment.capture"),
    ];
    snapshots(&Harkara::default(), &commands).await;
}
