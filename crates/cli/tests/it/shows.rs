//! `harkara events show`.

use harkara_testkit::TestDatabase;
use serde_json::json;

use crate::harkara::Harkara;
use crate::ledger::{SECRET, database_with, processed};

const SECRETS: &str = "HARKARA__ENDPOINTS__DEFAULT__SECRETS";

async fn database() -> TestDatabase {
    database_with(vec![processed("evt", "order.paid", 0)]).await
}

#[tokio::test]
async fn the_body_is_shown_only_when_asked_for_and_then_byte_for_byte_and_alone() {
    let database = database().await;
    let harkara = Harkara::on(&database);
    let body: Vec<u8> = database.value("SELECT body FROM webhook_events").await;
    let body_alone = harkara
        .run(&["events", "show", "evt", "--body"])
        .await
        .done()
        .stdout;
    assert_eq!(body_alone, body);
    for arguments in [
        &["events", "show", "evt"][..],
        &["events", "show", "evt", "--json"],
        &["events", "--json"],
    ] {
        let shown = harkara.run(arguments).await.done().stdout();
        assert!(!shown.contains("\"payload\""), "{shown}");
    }
}

#[tokio::test]
async fn the_secret_under_which_a_signature_still_verifies_is_told_by_its_place_alone() {
    let database = database().await;
    for (secrets, verdict, told) in [
        (
            Some(SECRET.to_owned()),
            json!({"verdict": "verifies", "secret_position": 0, "secrets": 1}),
            "the newest",
        ),
        (
            Some(format!("a-newer-one,{SECRET}")),
            json!({"verdict": "verifies", "secret_position": 1, "secrets": 2}),
            "secret 2 of 2",
        ),
        (
            Some("a-newer-one".to_owned()),
            json!({"verdict": "does_not_verify", "secrets": 1}),
            "none of the 1",
        ),
        (None, json!({"verdict": "no_secrets"}), "cannot be checked"),
    ] {
        let mut harkara = Harkara::on(&database);
        if let Some(secrets) = &secrets {
            harkara = harkara.with(SECRETS, secrets);
        }
        assert_eq!(
            harkara.json(&["events", "show", "evt", "--json"]).await["signature_check"],
            verdict
        );
        let shown = harkara
            .run(&["events", "show", "evt"])
            .await
            .done()
            .stdout();
        assert!(shown.contains(told), "{shown}");
        assert!(
            !shown.contains(SECRET) && !shown.contains("a-newer-one"),
            "{shown}"
        );
    }
}
