//! `harkara load`.

use harkara_testkit::{Signal, send_signal, wait_until};
use serde_json::Value;

use super::{BOUND, Deployment};
use crate::harkara::{Harkara, PASSWORD, POSTGRES_URL, Ran, SECRETS, nowhere};

/// Runs a load with these options, and returns its verdict.
pub(super) async fn load(harkara: &Harkara, options: &str) -> Value {
    let load = format!("load --json --seed 7 {options}");
    verdict(&harkara.run(&load).await)
}

/// The verdict, with which the exit code must agree.
fn verdict(ran: &Ran) -> Value {
    let verdict = ran.json();
    assert_eq!(ran.code == 0, verdict["passed"] == true, "{ran:?}");
    verdict
}

fn number(verdict: &Value, pointer: &str) -> u64 {
    let number = verdict.pointer(pointer).and_then(Value::as_u64);
    number.unwrap_or_else(|| panic!("{pointer}: {verdict}"))
}

/// The numbers that must all be 0.
pub(super) fn counts(verdict: &Value) -> [u64; 5] {
    [
        "lost",
        "altered",
        "doubled",
        "refused_stored",
        "unprocessed",
    ]
    .map(|name| number(verdict, &format!("/audit/{name}")))
}

#[tokio::test]
async fn a_sound_deployment_passes_with_everything_injected() {
    let secrets = "whsec-of-the-ingress,whsec-before";
    let deployment = Deployment::start(&[(SECRETS, secrets)]).await;
    let options = "--rate 200 --duration 2s --duplicates 10 --reorder 20 --bad-signatures 6 \
                   --old-secret whsec-before --old-secrets 10 --slow 2 --burst-every 2s --burst-factor 2 --retries 3";
    let verdict = load(&deployment.harkara(), options).await;
    let number = |pointer| number(&verdict, pointer);
    assert_eq!(verdict["passed"], true, "{verdict}");
    assert_eq!(counts(&verdict), [0; 5]);
    let sent = number("/sent");
    assert!((590..=610).contains(&sent), "{verdict}");
    assert_eq!(sent, number("/accepted") + number("/refused/401"));
    assert_eq!(number("/never_accepted"), 0);
    assert!(number("/duplicates") > 30, "{verdict}");
    let stored = number("/audit/stored");
    assert_eq!(stored, number("/deliveries") - number("/badly_signed"));
    // On a busy machine the inbox takes some, but none is less durable than configured.
    let at_level = |level: &str| verdict["audit"]["durability"][level].as_u64();
    let (fsynced, in_inbox) = (at_level("fsynced"), at_level("stored").unwrap_or(0));
    assert!(fsynced > Some(0), "{verdict}");
    assert_eq!(fsynced.unwrap() + in_inbox, stored, "{verdict}");
    assert!(verdict["latency_ms"]["p50"].as_f64().unwrap() > 0.0);
}

#[tokio::test]
async fn runs_with_one_seed_follow_each_other_on_one_database() {
    let deployment = Deployment::start(&[]).await;
    let every_kind = "payment.captured=3,subscription.charged,settlement.processed,order.notification.delivered,\
                      payment.dispute.lost,invoice.paid,account.suspended,payment.downtime.started,virtual_account.credited";
    for mix in [every_kind, every_kind, "realistic"] {
        let options = format!("--duration 1s --mix {mix}");
        let verdict = load(&deployment.harkara(), &options).await;
        assert_eq!(verdict["passed"], true, "{verdict}");
        assert_eq!(number(&verdict, "/audit/stored"), 200);
    }
}

#[tokio::test]
async fn unprocessed_events_are_lost_when_the_time_is_over() {
    let deployment = Deployment::with_ingress(&[]).await;
    let options = "--rate 20 --duration 1s --settle 1s";
    let verdict = load(&deployment.harkara(), options).await;
    assert_eq!(counts(&verdict), [20, 0, 0, 0, 0]);
    assert_eq!(verdict["audit"]["faults"].as_array().unwrap().len(), 20);
}

#[tokio::test]
async fn a_wrong_secret_proves_nothing() {
    let deployment = Deployment::start(&[]).await;
    let command = format!("load --secret {PASSWORD} --rate 20 --duration 1s");
    let ran = deployment.harkara().run(&command).await.ended_with(1);
    let page = ran.stdout();
    let refused = "20 validly signed requests were refused with 401";
    assert!(page.contains(refused), "{page}");
    assert!(page.contains("nothing is proven"), "{page}");
    assert!(page.ends_with("FAILED\n"), "{page}");
    assert!(!format!("{ran:?}").contains(PASSWORD));
}

#[tokio::test]
async fn an_unavailable_target_is_retried() {
    let deployment = Deployment::start(&[]).await;
    // Every other request meets nobody, and its retry the ingress.
    let ((_, nobody), url) = (nowhere("http"), deployment.url());
    let options = format!(
        "--url http://{nobody}/ --url {url} --rate 50 --duration 1s --retries 20 --retry-after 50ms"
    );
    let verdict = load(&deployment.harkara(), &options).await;
    let number = |pointer| number(&verdict, pointer);
    assert_eq!(verdict["passed"], true, "{verdict}");
    assert_eq!(number("/accepted"), 50);
    assert_eq!(number("/never_accepted"), 0);
    assert!(number("/unanswered") >= 25, "{verdict}");
    assert_eq!(number("/retried"), number("/unanswered"));
}

#[tokio::test]
async fn ctrl_c_ends_the_sending_and_what_was_sent_is_verified() {
    let deployment = Deployment::start(&[]).await;
    let harkara = deployment.harkara();
    let child = harkara.spawn("load --json --rate 100 --duration 1m");
    wait_until("a delivery is processed", BOUND, async || {
        let n_events = "SELECT count(*) FROM webhook_events";
        deployment.database.value::<i64>(n_events).await > 0
    })
    .await;
    send_signal(&child, Signal::INT);
    let verdict = verdict(&Ran::of(child).await.ended_with(0));
    let number = |pointer| number(&verdict, pointer);
    assert!(number("/unsent") > 0, "{verdict}");
    assert_eq!(number("/audit/stored"), number("/accepted"));
}

#[tokio::test]
async fn an_unavailable_database_while_load_is_sent_costs_nothing() {
    let deployment = Deployment::start(&[]).await;
    let entries = async || deployment.n_entries().await;
    let interruption = async {
        wait_until("a delivery arrives", BOUND, async || entries().await > 0).await;
        deployment.database.shut().await;
        let enough = entries().await + 50;
        wait_until("deliveries gather", BOUND, async || {
            entries().await > enough
        })
        .await;
        deployment.database.reopen().await;
    };
    let harkara = deployment.harkara();
    let sending = load(&harkara, "--rate 50 --duration 4s");
    let (verdict, ()) = tokio::join!(sending, interruption);
    assert_eq!(verdict["passed"], true, "{verdict}");
    assert_eq!(number(&verdict, "/audit/stored"), 200);
}

#[tokio::test]
async fn a_verification_without_its_database_fails_and_says_so() {
    let deployment = Deployment::start(&[]).await;
    let postgres = nowhere("postgres").0;
    let harkara = deployment.harkara().with(POSTGRES_URL, &postgres);
    let options = "--rate 20 --duration 1s --settle 1s";
    let verdict = load(&harkara, options).await;
    assert_eq!(verdict["passed"], false);
    assert!(verdict["audit"].is_null());
    let fault = verdict["faults"][0].as_str().unwrap();
    assert!(fault.contains("database"), "{verdict}");
    let without = load(&harkara, &format!("{options} --no-audit")).await;
    assert_eq!(without["passed"], true);
}

#[tokio::test]
async fn usage_errors_name_what_to_change() {
    let harkara = Harkara::default().with(SECRETS, "s");
    for (options, words) in [
        ("--url https://example.com/", "plain http"),
        ("--url 127.0.0.1:8080", "is not a URL"),
        ("--rate 0", "above 0"),
        ("--rate 100000 --duration 1h", "--rate"),
        ("--duration 0s", "--duration"),
    ] {
        let ran = harkara.run(&format!("load {options}")).await;
        ran.complains(2, &[words]);
    }
    for options in [
        "--mix payment.capture",
        "--duplicates 101",
        "--timeout 1h",
        "--old-secrets 5",
    ] {
        let ran = harkara.run(&format!("load {options}")).await;
        ran.ended_with(2);
    }
}
