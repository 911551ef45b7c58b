//! `harkara load`: against a real ingress and a real worker, and against a database that is spoilt on purpose.

mod corruption;

use std::time::Duration;

use harkara_testkit::{Signal, send_signal, wait_until};
use serde_json::Value;

use crate::harkara::{Harkara, Ran, closed_port};
use crate::receiving::{Ingress, SECRET};

/// Longest wait for anything.
const BOUND: Duration = Duration::from_secs(30);

/// An ingress with its worker, and loads that are sent to it.
struct Deployment {
    ingress: Ingress,
    harkara: Harkara,
}

impl Deployment {
    async fn start() -> Self {
        Self::with_secrets(&[("default", SECRET)]).await
    }

    async fn with_secrets(secrets: &[(&str, &str)]) -> Self {
        let ingress = Ingress::with_secrets(secrets).await;
        let worker = ingress.worker().await;
        // It ends with the ingress.
        drop(worker);
        let harkara = ingress
            .harkara()
            .with("HARKARA__POSTGRES__URL", ingress.database_url());
        Self { ingress, harkara }
    }

    /// Runs a load; gives its verdict, which must be told by the exit code too.
    async fn load(&self, arguments: &[&str]) -> Value {
        verdict(&self.run(arguments).await)
    }

    async fn run(&self, arguments: &[&str]) -> Ran {
        let always = ["load", "--json", "--secret", SECRET, "--seed", "7"];
        self.harkara.run(&[&always, arguments].concat()).await
    }

    async fn execute(&self, sql: &str) {
        self.ingress.database().execute(sql).await;
    }
}

fn verdict(ran: &Ran) -> Value {
    let verdict: Value =
        serde_json::from_str(&ran.stdout()).unwrap_or_else(|e| panic!("{e}: {ran:?}"));
    let expected = i32::from(verdict["passed"] != true);
    assert_eq!(ran.code, expected, "{ran:?}");
    verdict
}

fn number(verdict: &Value, pointer: &str) -> u64 {
    verdict
        .pointer(pointer)
        .and_then(Value::as_u64)
        .unwrap_or_else(|| panic!("{pointer}: {verdict}"))
}

/// The numbers that must all be 0.
fn counts(verdict: &Value) -> [u64; 5] {
    [
        "lost",
        "altered",
        "doubled",
        "refused_stored",
        "unprocessed",
    ]
    .map(|name| number(verdict, &format!("/audit/{name}")))
}

fn faults(verdict: &Value) -> String {
    verdict["audit"]["faults"].to_string()
}

#[tokio::test]
async fn a_deployment_that_does_everything_right_passes_with_everything_injected() {
    let deployment =
        Deployment::with_secrets(&[("default", "whsec-of-the-ingress,whsec-before")]).await;
    let arguments = [
        "--rate",
        "200",
        "--duration",
        "2s",
        "--duplicates",
        "10",
        "--reorder",
        "20",
        "--bad-signatures",
        "6",
        "--old-secret",
        "whsec-before",
        "--old-secrets",
        "10",
        "--slow",
        "2",
        "--burst-every",
        "2s",
        "--burst-factor",
        "2",
        "--retries",
        "3",
    ];
    let verdict = deployment.load(&arguments).await;
    assert_eq!(verdict["passed"], true, "{verdict}");
    assert_eq!(counts(&verdict), [0; 5]);
    let sent = number(&verdict, "/sent");
    assert!((590..=610).contains(&sent), "{verdict}");
    assert_eq!(
        sent,
        number(&verdict, "/accepted") + number(&verdict, "/refused/401")
    );
    assert_eq!(number(&verdict, "/never_accepted"), 0);
    assert!(number(&verdict, "/duplicates") > 30, "{verdict}");
    let stored = number(&verdict, "/audit/stored");
    let valid = number(&verdict, "/deliveries") - number(&verdict, "/badly_signed");
    assert_eq!(stored, valid);
    assert_eq!(number(&verdict, "/audit/durability/fsynced"), stored);
    assert!(verdict["latency_ms"]["p50"].as_f64().unwrap() > 0.0);
    deployment.ingress.stop().await;
}

#[tokio::test]
async fn runs_with_one_seed_follow_each_other_on_one_database() {
    let deployment = Deployment::start().await;
    let every_kind = "payment.captured=3,subscription.charged,settlement.processed,order.notification.delivered,\
                      payment.dispute.lost,invoice.paid,account.suspended,payment.downtime.started,virtual_account.credited";
    for mix in [every_kind, every_kind, "realistic"] {
        let verdict = deployment.load(&["--duration", "1s", "--mix", mix]).await;
        assert_eq!(verdict["passed"], true, "{verdict}");
        assert_eq!(number(&verdict, "/audit/stored"), 200);
    }
    deployment.ingress.stop().await;
}

#[tokio::test]
async fn what_no_worker_took_is_lost_when_the_time_is_over() {
    let ingress = Ingress::start().await;
    let harkara = ingress
        .harkara()
        .with("HARKARA__POSTGRES__URL", ingress.database_url());
    let arguments = [
        "load",
        "--json",
        "--secret",
        SECRET,
        "--rate",
        "20",
        "--duration",
        "1s",
        "--settle",
        "1s",
    ];
    let verdict = verdict(&harkara.run(&arguments).await);
    assert_eq!(counts(&verdict), [20, 0, 0, 0, 0]);
    assert_eq!(verdict["audit"]["faults"].as_array().unwrap().len(), 20);
    ingress.stop().await;
}

#[tokio::test]
async fn a_wrong_secret_proves_nothing() {
    let deployment = Deployment::start().await;
    let ran = deployment
        .harkara
        .run(&[
            "load",
            "--secret",
            "hunter2",
            "--rate",
            "20",
            "--duration",
            "1s",
        ])
        .await
        .ended_with(1);
    let told = ran.stdout();
    assert!(
        told.contains("20 rightly signed requests were refused with 401"),
        "{told}"
    );
    assert!(told.contains("nothing is proven"), "{told}");
    assert!(told.ends_with("FAILED\n"), "{told}");
    assert!(!format!("{ran:?}").contains("hunter2"));
    deployment.ingress.stop().await;
}

#[tokio::test]
async fn a_target_that_is_away_is_waited_for_with_retries() {
    let deployment = Deployment::start().await;
    // Every other request meets nobody, and its retry the ingress.
    let nobody = format!("http://127.0.0.1:{}/webhooks/razorpay", closed_port());
    let url = deployment.ingress.url();
    let arguments = [
        "--url",
        &nobody,
        "--url",
        &url,
        "--rate",
        "50",
        "--duration",
        "1s",
        "--retries",
        "20",
        "--retry-after",
        "50ms",
    ];
    let verdict = deployment.load(&arguments).await;
    assert_eq!(verdict["passed"], true, "{verdict}");
    assert_eq!(number(&verdict, "/accepted"), 50);
    assert_eq!(number(&verdict, "/never_accepted"), 0);
    assert!(number(&verdict, "/unanswered") >= 25, "{verdict}");
    assert_eq!(
        number(&verdict, "/retried"),
        number(&verdict, "/unanswered")
    );
    deployment.ingress.stop().await;
}

#[tokio::test]
async fn ctrl_c_ends_the_sending_and_what_was_sent_is_audited() {
    let deployment = Deployment::start().await;
    let arguments = [
        "load",
        "--json",
        "--secret",
        SECRET,
        "--rate",
        "100",
        "--duration",
        "5m",
    ];
    let child = deployment.harkara.spawn(&arguments);
    let database = deployment.ingress.database();
    wait_until("a delivery is processed", BOUND, async || {
        database
            .value::<i64>("SELECT count(*) FROM webhook_events")
            .await
            > 0
    })
    .await;
    send_signal(&child, Signal::INT);
    let verdict = verdict(&Ran::of(child).await.done());
    assert!(number(&verdict, "/unsent") > 0, "{verdict}");
    assert_eq!(
        number(&verdict, "/audit/stored"),
        number(&verdict, "/accepted")
    );
    deployment.ingress.stop().await;
}

#[tokio::test]
async fn a_database_that_is_away_while_load_is_sent_costs_nothing() {
    let deployment = Deployment::start().await;
    let database = deployment.ingress.database();
    let meanwhile = async {
        let entries = async || deployment.ingress.n_entries().await;
        wait_until("a delivery arrives", BOUND, async || entries().await > 0).await;
        database.shut().await;
        let before = entries().await;
        wait_until("deliveries gather", BOUND, async || {
            entries().await > before + 50
        })
        .await;
        database.reopen().await;
    };
    let arguments = ["--rate", "50", "--duration", "4s"];
    let (verdict, ()) = tokio::join!(deployment.load(&arguments), meanwhile);
    assert_eq!(verdict["passed"], true, "{verdict}");
    assert_eq!(number(&verdict, "/audit/stored"), 200);
    deployment.ingress.stop().await;
}

#[tokio::test]
async fn an_audit_without_its_database_fails_and_says_so() {
    let deployment = Deployment::start().await;
    let postgres = format!("postgres://harkara@127.0.0.1:{}/harkara", closed_port());
    let harkara = deployment
        .ingress
        .harkara()
        .with("HARKARA__POSTGRES__URL", &postgres);
    let arguments = [
        "load",
        "--json",
        "--secret",
        SECRET,
        "--rate",
        "20",
        "--duration",
        "1s",
        "--settle",
        "1s",
    ];
    let verdict = verdict(&harkara.run(&arguments).await);
    assert_eq!(verdict["passed"], false);
    assert!(verdict["audit"].is_null());
    assert!(
        verdict["faults"][0].as_str().unwrap().contains("database"),
        "{verdict}"
    );
    let without = harkara
        .run(&[&arguments[..], &["--no-audit"]].concat())
        .await
        .done();
    assert!(without.stdout().contains("\"passed\": true"));
    deployment.ingress.stop().await;
}

#[tokio::test]
async fn wrong_use_is_told_as_such() {
    let harkara = Harkara::default().with("HARKARA__ENDPOINTS__DEFAULT__SECRETS", "s");
    for (arguments, words) in [
        (&["--url", "https://example.com/"][..], "plain http"),
        (&["--url", "127.0.0.1:8080"], "is not a URL"),
        (&["--rate", "0"], "above 0"),
        (&["--rate", "100000", "--duration", "1h"], "--rate"),
        (&["--duration", "0s"], "--duration"),
    ] {
        let ran = harkara.run(&[&["load"], arguments].concat()).await;
        ran.complains(2, &[words]);
    }
    for arguments in [
        &["--mix", "payment.capture"][..],
        &["--duplicates", "101"],
        &["--timeout", "1h"],
        &["--old-secrets", "5"],
    ] {
        harkara
            .run(&[&["load"], arguments].concat())
            .await
            .ended_with(2);
    }
}
