//! Wrong use ends with 2 and a way out, failures with 1, and nothing shows a secret.

use harkara_testkit::TestDatabase;

use crate::harkara::{Harkara, closed_port};

#[tokio::test]
async fn wrong_use_ends_with_2_and_points_to_the_help() {
    for arguments in [
        &["fly"][..],
        &["trigger"],
        &["trigger", "payment.captured", "--count", "0"],
        &["trigger", "payment.captured", "--follow", "--bad-signature"],
        &["trigger", "payment.captured", "--endpoint", "No Name"],
        &["events", "--limit", "1001"],
        &["events", "--status", "lost"],
        &["events", "--since", "yesterday"],
        &["events", "show"],
        &["events", "show", "x", "--body", "--json"],
        &["replay"],
        &["replay", "--status", "pending"],
        &["replay", "--status", "failed", "--event-id", "x"],
        &["secrets", "--days", "1"],
        &["lag", "--interval", "99ms"],
        &["doctor", "--workers", "some"],
        &["doctor", "--ingresses", "-1"],
    ] {
        let ran = Harkara::default().run(arguments).await.ended_with(2);
        assert!(ran.stderr.contains("--help"), "{arguments:?}: {ran:?}");
        assert!(ran.stdout.is_empty(), "{arguments:?}: {ran:?}");
    }
}

#[tokio::test]
async fn every_command_explains_itself_with_examples() {
    for arguments in [
        &["--help"][..],
        &["migrate", "--help"],
        &["trigger", "--help"],
        &["events", "--help"],
        &["events", "list", "--help"],
        &["events", "show", "--help"],
        &["replay", "--help"],
        &["lag", "--help"],
        &["secrets", "--help"],
        &["doctor", "--help"],
    ] {
        let help = Harkara::default().run(arguments).await.done().stdout();
        assert!(help.contains("Examples:"), "{help}");
        assert!(
            help.lines().all(|line| line.chars().count() <= 100),
            "{help}"
        );
    }
}

#[tokio::test]
async fn a_database_that_is_away_is_named_without_its_password() {
    let port = closed_port();
    let harkara = Harkara::default().with(
        "HARKARA__POSTGRES__URL",
        &format!("postgres://keeper:hunter2@127.0.0.1:{port}/harkara"),
    );
    for arguments in [
        &["migrate"][..],
        &["events"],
        &["events", "show", "x"],
        &["replay", "--event-id", "x", "--actor", "me"],
        &["secrets"],
        &["trigger", "payment.captured", "--follow", "--secret", "s"],
    ] {
        let ran = harkara.run(arguments).await;
        assert!(!ran.stderr.contains("hunter2"), "{ran:?}");
        ran.complains(1, &[&format!("127.0.0.1:{port}"), "HARKARA__POSTGRES__URL"]);
    }
}

#[tokio::test]
async fn a_database_without_the_schema_is_answered_with_the_remedy() {
    let database = TestDatabase::empty().await;
    for arguments in [
        &["events"][..],
        &["events", "show", "x"],
        &["replay", "--event-id", "x", "--actor", "me"],
        &["trigger", "payment.captured", "--follow", "--secret", "s"],
    ] {
        Harkara::on(&database)
            .run(arguments)
            .await
            .complains(1, &["run `harkara migrate`"]);
    }
}

#[tokio::test]
async fn wrong_settings_are_told_with_their_place() {
    let ran = Harkara::default()
        .with("HARKARA__POSTGRES__POOL_MAX", "many")
        .run(&["events"])
        .await
        .ended_with(1);
    assert!(
        ran.stderr.contains("HARKARA__POSTGRES__POOL_MAX"),
        "{ran:?}"
    );
    let ran = Harkara::default()
        .run(&["--config", "/nowhere.toml", "events"])
        .await
        .ended_with(1);
    assert!(ran.stderr.contains("/nowhere.toml"), "{ran:?}");
}
