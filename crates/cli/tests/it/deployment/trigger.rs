//! `harkara trigger`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Deployment, SECRET};
use crate::harkara::{Harkara, PASSWORD, POSTGRES_URL, SECRETS, nowhere};

/// The distinct values of a member of each delivery.
fn distinct<'a>(sent: &'a Value, member: &str) -> BTreeSet<&'a str> {
    let sent = sent.as_array().unwrap().iter();
    sent.map(|delivery| delivery[member].as_str().unwrap())
        .collect()
}

/// Asserts the number of deliveries, and the answer to each.
fn assert_answers(sent: &Value, number: usize, answer: u16) {
    let sent = sent.as_array().unwrap().iter();
    let answers: Vec<_> = sent.map(|delivery| &delivery["answer"]).collect();
    assert_eq!(answers, vec![&json!(answer); number]);
}

#[tokio::test]
async fn each_delivery_has_a_line_and_many_are_summed_up() {
    let deployment = Deployment::with_ingress(&[]).await;
    let harkara = deployment.harkara();
    let all = harkara.json("trigger all --json").await;
    assert_answers(&all, 30, 200);
    assert_eq!(distinct(&all, "event_type").len(), 30);
    let few = harkara.stdout("trigger payment.captured order.paid").await;
    assert_eq!(few.lines().count(), 5, "{few}");
    assert!(few.lines().all(|line| line.chars().count() <= 120), "{few}");
    assert!(few.contains("2 deliveries of 2 events"), "{few}");
    let many = harkara.stdout("trigger payment.captured --count 100").await;
    assert_eq!(many.lines().count(), 2, "{many}");
    assert!(many.contains("100 × 200"), "{many}");
    assert_eq!(deployment.n_entries().await, 132);
}

#[tokio::test]
async fn duplicates_go_out_twice_under_one_id_in_any_order() {
    let deployment = Deployment::with_ingress(&[]).await;
    let harkara = deployment.harkara().with(SECRETS, "another");
    let options = format!("--count 5 --duplicate --reorder --json --secret {SECRET}");
    let sent = harkara
        .json(&format!("trigger payment.failed {options}"))
        .await;
    assert_answers(&sent, 10, 200);
    assert_eq!(distinct(&sent, "event_id").len(), 5);
    assert_eq!(deployment.n_entries().await, 10);
}

#[tokio::test]
async fn the_same_seed_gives_the_same_ids() {
    let deployment = Deployment::with_ingress(&[]).await;
    let mut ids = Vec::new();
    for seed in [7, 7, 8] {
        let command = format!("trigger payment.captured --seed {seed} --json");
        let sent = deployment.harkara().json(&command).await;
        ids.push(sent[0]["event_id"].clone());
    }
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0], ids[2]);
}

#[tokio::test]
async fn bad_signatures_wrong_secrets_and_unknown_endpoints_are_refused() {
    let deployment = Deployment::with_ingress(&[]).await;
    let harkara = deployment.harkara();
    let bad = "trigger payment.captured --bad-signature --json";
    assert_answers(&harkara.json(bad).await, 1, 401);

    let url = format!("trigger payment.captured --url {}/nobody", deployment.url());
    let ran = harkara.run(&url).await;
    ran.complains(1, &["404", "does not know the endpoint"]);

    let ran = harkara
        .with(SECRETS, PASSWORD)
        .run("trigger payment.captured")
        .await;
    assert!(ran.stdout().contains("1 × 401"), "{ran:?}");
    ran.complains(1, &["401", "--secret"]);
    assert_eq!(deployment.n_entries().await, 0);
}

#[tokio::test]
async fn an_endpoint_has_its_own_path_and_its_newest_secret() {
    const LIVE: &str = "HARKARA__ENDPOINTS__LIVE__SECRETS";
    let deployment = Deployment::with_ingress(&[(LIVE, "whsec-live")]).await;
    let harkara = deployment.harkara().with(LIVE, "whsec-live,whsec-before");
    let sent = harkara
        .json("trigger refund.created --endpoint live --json")
        .await;
    assert_answers(&sent, 1, 200);
    let unknown = harkara.run("trigger refund.created --endpoint test").await;
    let words = ["\"test\"", "--secret", "HARKARA__ENDPOINTS__TEST__SECRETS"];
    unknown.complains(2, &words);
}

#[tokio::test]
async fn without_any_secret_this_machine_is_signed_for_as_in_development() {
    let deployment = Deployment::with_ingress(&[(SECRETS, "harkara-dev-secret")]).await;
    let ran = Harkara::default()
        .with("HARKARA__INGRESS__BIND", &deployment.ingress.to_string())
        .run("trigger payment.captured")
        .await
        .ended_with(0);
    assert!(ran.stderr.contains("No secret is configured"), "{ran:?}");
    assert_eq!(deployment.n_entries().await, 1);

    let elsewhere = "trigger payment.captured --url http://192.0.2.1/webhooks/razorpay";
    let ran = Harkara::default().run(elsewhere).await;
    ran.complains(2, &["no secret"]);
}

#[tokio::test]
async fn an_unlisted_name_is_sent_only_if_allowed() {
    let deployment = Deployment::with_ingress(&[]).await;
    let harkara = deployment.harkara();
    let refused = harkara.run("trigger payment.capture").await;
    refused.complains(2, &["payment.captured", "--unlisted"]);
    assert_eq!(deployment.n_entries().await, 0);
    harkara
        .stdout("trigger payment.teleported --unlisted")
        .await;
    assert_eq!(deployment.n_entries().await, 1);
}

#[tokio::test]
async fn nobody_at_the_url_is_a_failure_with_the_remedy() {
    let (_, address) = nowhere("http");
    let harkara = Harkara::default().with(SECRETS, "s");
    let ran = harkara
        .run(&format!("trigger all --count 100 --url http://{address}/"))
        .await;
    assert!(ran.stdout().contains("not sent"), "{ran:?}");
    ran.complains(1, &["cannot reach 127.0.0.1", "cargo dev up", "--url"]);
    for url in ["127.0.0.1:8080", "https://127.0.0.1/"] {
        let command = format!("trigger payment.captured --url {url}");
        harkara.run(&command).await.complains(2, &[url]);
    }
}

#[tokio::test]
async fn a_follow_that_cannot_succeed_sends_nothing() {
    let deployment = Deployment::with_ingress(&[]).await;
    let harkara = deployment
        .harkara()
        .with(POSTGRES_URL, &nowhere("postgres").0);
    let ran = harkara.run("trigger payment.captured --follow").await;
    ran.complains(1, &["PostgreSQL"]);
    assert_eq!(deployment.n_entries().await, 0);
}

#[tokio::test]
async fn events_are_followed_until_they_are_processed() {
    let deployment = Deployment::start(&[]).await;
    let table = deployment.harkara().stdout("trigger all --follow").await;
    for words in [
        "\n30 of 30 processed; from receipt to commit ",
        "payment.dispute.created",
        "critical  processed",
        "payment_refunds(failed)",
        "payment_transactions(captured)",
        "downtime_events(started)",
    ] {
        assert!(table.contains(words), "{words} is missing in:\n{table}");
    }
}
