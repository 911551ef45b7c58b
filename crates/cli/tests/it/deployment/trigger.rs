//! `harkara trigger`, against a real ingress.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harkara::{Harkara, closed_port};
use crate::receiving::{Ingress, SECRET};

const SECRETS: &str = "HARKARA__ENDPOINTS__DEFAULT__SECRETS";

fn answers(sent: &Value) -> Vec<u64> {
    sent.as_array()
        .unwrap()
        .iter()
        .map(|delivery| delivery["answer"].as_u64().unwrap())
        .collect()
}

#[tokio::test]
async fn all_sends_one_of_each_typed_event_and_the_ingress_takes_every_one() {
    let ingress = Ingress::start().await;
    let sent = ingress
        .harkara()
        .with(SECRETS, SECRET)
        .json(&["trigger", "all", "--json"])
        .await;
    assert_eq!(answers(&sent), [200; 30]);
    let names: BTreeSet<&str> = sent
        .as_array()
        .unwrap()
        .iter()
        .map(|delivery| delivery["event_type"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), 30);
    assert_eq!(ingress.n_entries().await, 30);
    ingress.stop().await;
}

#[tokio::test]
async fn each_delivery_is_told_on_a_line_and_many_are_summed_up() {
    let ingress = Ingress::start().await;
    let harkara = ingress.harkara().with(SECRETS, SECRET);
    let few = harkara
        .run(&["trigger", "payment.captured", "order.paid"])
        .await
        .done()
        .stdout();
    assert_eq!(few.lines().count(), 5, "{few}");
    assert!(few.lines().all(|line| line.chars().count() <= 120), "{few}");
    assert!(few.contains("2 deliveries of 2 events"), "{few}");
    let many = harkara
        .run(&["trigger", "payment.captured", "--count", "100"])
        .await
        .done()
        .stdout();
    assert_eq!(many.lines().count(), 2, "{many}");
    assert!(many.contains("100 × 200"), "{many}");
    assert_eq!(ingress.n_entries().await, 102);
    ingress.stop().await;
}

#[tokio::test]
async fn duplicates_go_out_twice_under_one_id_in_any_order() {
    let ingress = Ingress::start().await;
    let arguments = [
        "trigger",
        "payment.failed",
        "--count",
        "5",
        "--duplicate",
        "--reorder",
        "--json",
        "--secret",
        SECRET,
    ];
    let sent = ingress.harkara().json(&arguments).await;
    assert_eq!(answers(&sent), [200; 10]);
    let ids: BTreeSet<&str> = sent
        .as_array()
        .unwrap()
        .iter()
        .map(|delivery| delivery["event_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 5);
    assert_eq!(ingress.n_entries().await, 10);
    ingress.stop().await;
}

#[tokio::test]
async fn the_same_seed_gives_the_same_ids() {
    let ingress = Ingress::start().await;
    let harkara = ingress.harkara().with(SECRETS, SECRET);
    let mut ids = Vec::new();
    for seed in ["7", "7", "8"] {
        let sent = harkara
            .json(&["trigger", "payment.captured", "--seed", seed, "--json"])
            .await;
        ids.push(sent[0]["event_id"].clone());
    }
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0], ids[2]);
    ingress.stop().await;
}

#[tokio::test]
async fn a_bad_signature_is_expected_to_be_refused() {
    let ingress = Ingress::start().await;
    let harkara = ingress.harkara().with(SECRETS, SECRET);
    let sent = harkara
        .json(&["trigger", "payment.captured", "--bad-signature", "--json"])
        .await;
    assert_eq!(answers(&sent), [401]);
    assert_eq!(ingress.n_entries().await, 0);
    ingress.stop().await;
}

#[tokio::test]
async fn a_wrong_secret_is_a_failure_that_says_what_to_do_and_shows_no_secret() {
    let ingress = Ingress::start().await;
    let ran = ingress
        .harkara()
        .with(SECRETS, "hunter2")
        .run(&["trigger", "payment.captured"])
        .await;
    assert!(ran.stdout().contains("1 × 401"), "{ran:?}");
    assert!(!ran.stderr.contains("hunter2"), "{ran:?}");
    ran.complains(1, &["401", "--secret"]);
    ingress.stop().await;
}

#[tokio::test]
async fn an_endpoint_has_its_own_path_and_its_newest_secret() {
    let ingress = Ingress::with_secrets(&[("live", "whsec-live"), ("default", SECRET)]).await;
    let harkara = ingress
        .harkara()
        .with(
            "HARKARA__ENDPOINTS__LIVE__SECRETS",
            "whsec-live,whsec-before",
        )
        .with(SECRETS, SECRET);
    let sent = harkara
        .json(&["trigger", "refund.created", "--endpoint", "live", "--json"])
        .await;
    assert_eq!(answers(&sent), [200]);
    let nobody = harkara
        .run(&["trigger", "refund.created", "--endpoint", "test"])
        .await;
    nobody.complains(
        2,
        &["\"test\"", "--secret", "HARKARA__ENDPOINTS__TEST__SECRETS"],
    );
    ingress.stop().await;
}

#[tokio::test]
async fn without_any_secret_this_machine_is_signed_for_as_in_development() {
    let ingress = Ingress::with_secrets(&[("default", "harkara-dev-secret")]).await;
    let ran = ingress
        .harkara()
        .run(&["trigger", "payment.captured"])
        .await
        .done();
    assert!(ran.stderr.contains("No secret is configured"), "{ran:?}");
    assert_eq!(ingress.n_entries().await, 1);
    ingress.stop().await;

    let elsewhere = [
        "trigger",
        "payment.captured",
        "--url",
        "http://192.0.2.1/webhooks/razorpay",
    ];
    Harkara::default()
        .run(&elsewhere)
        .await
        .complains(2, &["no secret"]);
}

#[tokio::test]
async fn an_unlisted_name_is_refused_with_what_may_have_been_meant() {
    let ingress = Ingress::start().await;
    let harkara = ingress.harkara().with(SECRETS, SECRET);
    let refused = harkara.run(&["trigger", "payment.capture"]).await;
    refused.complains(2, &["payment.captured", "--unlisted"]);
    assert_eq!(ingress.n_entries().await, 0);
    harkara
        .run(&["trigger", "payment.teleported", "--unlisted"])
        .await
        .done();
    assert_eq!(ingress.n_entries().await, 1);
    ingress.stop().await;
}

#[tokio::test]
async fn nobody_at_the_url_is_a_failure_with_the_remedy() {
    let url = format!("http://127.0.0.1:{}/webhooks/razorpay", closed_port());
    let arguments = [
        "trigger", "all", "--count", "100", "--secret", "s", "--url", &url,
    ];
    let ran = Harkara::default().run(&arguments).await;
    assert!(ran.stdout().contains("not sent"), "{ran:?}");
    ran.complains(1, &["cannot reach 127.0.0.1", "cargo dev up", "--url"]);
    for url in ["127.0.0.1:8080", "https://127.0.0.1/"] {
        Harkara::default()
            .run(&["trigger", "payment.captured", "--secret", "s", "--url", url])
            .await
            .complains(2, &[url]);
    }
}

#[tokio::test]
async fn an_unknown_endpoint_is_told_as_such() {
    let ingress = Ingress::start().await;
    let url = format!("{}/nobody", ingress.url());
    let ran = ingress
        .harkara()
        .with(SECRETS, SECRET)
        .run(&["trigger", "payment.captured", "--url", &url])
        .await;
    ran.complains(1, &["404", "does not know the endpoint"]);
    ingress.stop().await;
}

#[tokio::test]
async fn a_follow_that_cannot_succeed_sends_nothing() {
    let ingress = Ingress::start().await;
    let postgres = format!("postgres://harkara@127.0.0.1:{}/harkara", closed_port());
    let harkara = ingress
        .harkara()
        .with(SECRETS, SECRET)
        .with("HARKARA__POSTGRES__URL", &postgres);
    harkara
        .run(&["trigger", "payment.captured", "--follow"])
        .await
        .complains(1, &["PostgreSQL"]);
    assert_eq!(ingress.n_entries().await, 0);
    ingress.stop().await;
}

#[tokio::test]
async fn the_main_job_is_followed_to_its_end() {
    let ingress = Ingress::start().await;
    let worker = ingress.worker().await;
    let harkara = ingress
        .harkara()
        .with("HARKARA__POSTGRES__URL", ingress.database_url());
    let told = harkara
        .run(&["trigger", "all", "--follow", "--secret", SECRET])
        .await
        .done()
        .stdout();
    assert!(
        told.contains("\n30 of 30 processed; from receipt to commit "),
        "{told}"
    );
    for row in [
        "payment.dispute.created",
        "critical  processed",
        "payment_refunds(failed)",
        "payment_transactions(captured)",
        "downtime_events(started)",
    ] {
        assert!(told.contains(row), "{row} is missing in:\n{told}");
    }
    ingress.stop().await;
    worker.await.unwrap().unwrap();
}
