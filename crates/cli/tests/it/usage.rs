//! Usage errors end with 2 and a way out, failures with 1, and nothing shows a secret.

use harkara_testkit::TestDatabase;

use crate::harkara::{Harkara, POSTGRES_URL, nowhere};

#[tokio::test]
async fn usage_errors_end_with_2_and_point_to_the_help() {
    for arguments in [
        "trigger",
        "trigger payment.captured --count 0",
        "trigger payment.captured --follow --bad-signature",
        "trigger payment.captured --endpoint 'No Name'",
        "events --status lost",
        "events show",
        "events show x --body --json",
        "replay",
        "replay --status pending",
        "replay --status failed --event-id x",
        "secrets --days 1",
        "doctor --workers some",
        "doctor --ingresses -1",
        "adopt --actor ''",
        "probe web",
        "probe worker --url http://127.0.0.1:9080/readyz",
        "migrate --check --wait",
        "migrate --timeout 1m",
        "grants",
        "grants --role worker --to ''",
    ] {
        let ran = Harkara::default().run(arguments).await.ended_with(2);
        assert!(ran.stderr.contains("--help"), "{arguments}: {ran:?}");
        assert!(ran.stdout.is_empty(), "{arguments}: {ran:?}");
    }
}

#[tokio::test]
async fn every_command_explains_itself_with_examples() {
    for command in [
        "",
        "migrate",
        "trigger",
        "events",
        "events list",
        "events show",
        "replay",
        "lag",
        "secrets",
        "doctor",
        "adopt",
        "probe",
        "grants",
        "completions",
    ] {
        let help = Harkara::default()
            .stdout(&format!("{command} --help"))
            .await;
        assert!(help.contains("Examples:"), "{help}");
        let mut lines = help.lines();
        assert!(lines.all(|line| line.chars().count() <= 100), "{help}");
    }
}

#[tokio::test]
async fn an_unusable_database_is_named_with_the_remedy_and_without_its_password() {
    let commands = [
        "events",
        "events show x",
        "replay --event-id x --actor me",
        "trigger payment.captured --follow --secret s",
    ];
    let (unavailable, address) = nowhere("postgres");
    let empty = TestDatabase::empty().await;
    let place = [&*address, POSTGRES_URL];
    for (url, commands, words) in [
        (&unavailable, &commands[..], &place[..]),
        (&unavailable, &["migrate", "secrets"], &place),
        (&empty.url, &commands, &["run `harkara migrate`"]),
    ] {
        let harkara = Harkara::default().with(POSTGRES_URL, url);
        for command in commands {
            harkara.run(command).await.complains(1, words);
        }
    }
}

#[tokio::test]
async fn invalid_settings_are_reported_with_their_place() {
    let pool_max = "HARKARA__POSTGRES__POOL_MAX";
    let harkara = Harkara::default().with(pool_max, "many");
    for (command, words) in [
        ("events", pool_max),
        ("--config /nowhere.toml events", "/nowhere.toml"),
    ] {
        let ran = harkara.run(command).await.ended_with(1);
        assert!(ran.stderr.contains(words), "{ran:?}");
    }
}
