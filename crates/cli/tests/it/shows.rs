//! `harkara events show`.

use harkara_testkit::TestDatabase;
use serde_json::json;

use crate::harkara::{Harkara, SECRETS};
use crate::ledger::{SECRET, database_with, processed};

async fn database() -> TestDatabase {
    database_with(vec![processed("evt", "order.paid", 0)]).await
}

#[tokio::test]
async fn the_body_is_shown_only_when_asked_for_and_then_byte_for_byte_and_alone() {
    let database = database().await;
    let harkara = Harkara::on(&database);
    let body: Vec<u8> = database.value("SELECT body FROM webhook_events").await;
    let shown = harkara.run("events show evt --body").await;
    assert_eq!(shown.ended_with(0).stdout, body);
    for command in ["events show evt", "events show evt --json", "events --json"] {
        let shown = harkara.stdout(command).await;
        assert!(!shown.contains("\"payload\""), "{shown}");
    }
}

#[tokio::test]
async fn the_secret_under_which_a_signature_still_verifies_is_shown_by_its_place_alone() {
    let database = database().await;
    let both = format!("a-newer-one,{SECRET}");
    for (secrets, verdict, words) in [
        (
            Some(SECRET),
            json!({"verdict": "verifies", "secret_position": 0, "secrets": 1}),
            "the newest",
        ),
        (
            Some(&both),
            json!({"verdict": "verifies", "secret_position": 1, "secrets": 2}),
            "secret 2 of 2",
        ),
        (
            Some("a-newer-one"),
            json!({"verdict": "does_not_verify", "secrets": 1}),
            "none of the 1",
        ),
        (None, json!({"verdict": "no_secrets"}), "cannot be checked"),
    ] {
        let mut harkara = Harkara::on(&database);
        if let Some(secrets) = secrets {
            harkara = harkara.with(SECRETS, secrets);
        }
        let json = harkara.json("events show evt --json").await;
        assert_eq!(json["signature_check"], verdict);
        let shown = harkara.stdout("events show evt").await;
        assert!(shown.contains(words), "{shown}");
        for secret in [SECRET, "a-newer-one"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
