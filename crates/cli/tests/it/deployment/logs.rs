//! What the real binaries write to their logs.

use harkara_core::secret::Secret;
use harkara_simulator::SimulatedEvent;
use harkara_simulator::delivery::Signed;
use harkara_simulator::send::{Destination, Sender};
use harkara_testkit::wait_until;
use serde_json::Value;

use super::{BOUND, Deployment, INGRESS, SECRET, WORKER, metrics};

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN_ID: &str = "00f067aa0ba902b7";

/// What belongs to a customer or is secret.
const PRIVATE: [&str; 6] = [
    "+919812345670",
    "asha.private@example.com",
    "asha@okprivatebank",
    "4111222233334444",
    "Asha Private",
    SECRET,
];

/// A body with all of it. With an amount that is no number it can never be applied.
fn body(payment: &str, amount: &str) -> String {
    let [contact, email, vpa, card, name, _] = PRIVATE;
    format!(
        r#"{{"event":"payment.captured","created_at":1764000000,"payload":{{"payment":{{"entity":{{"id":"{payment}","status":"captured",{amount},"currency":"INR","contact":"{contact}","email":"{email}","vpa":"{vpa}","card":{{"number":"{card}","name":"{name}"}}}}}}}}}}"#
    )
}

/// The warnings and errors of a log.
fn trouble(log: &str) -> Vec<Value> {
    let lines = log.lines();
    let mut lines: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect();
    lines.retain(|line| line["level"] == "WARN" || line["level"] == "ERROR");
    lines
}

#[tokio::test]
async fn success_logs_nothing() {
    let deployment = Deployment::start(&[]).await;
    let logs = || [INGRESS, WORKER].map(|binary| deployment.log(binary));
    let before = logs();
    let harkara = deployment.harkara();
    harkara
        .stdout("trigger payment.captured --count 100 --follow")
        .await;
    assert_eq!(logs(), before);
}

#[tokio::test]
async fn a_failure_logs_one_line_with_its_trace_and_no_private_data() {
    let deployment = Deployment::start(&[]).await;
    let trouble = |binary| trouble(&deployment.log(binary));
    let before = [INGRESS, WORKER].map(|binary| (binary, trouble(binary).len()));
    let destination = Destination::parse(&deployment.url()).unwrap();
    let sender = Sender::new();
    let post = async |event_id: &str, body: &str, secret: &str| {
        let event = SimulatedEvent {
            name: "payment.captured".to_owned(),
            event_id: event_id.to_owned(),
            body: body.as_bytes().to_vec(),
        };
        let mut delivery = Signed::new(event, &Secret::new(secret));
        delivery.traceparent = Some(format!("00-{TRACE_ID}-{SPAN_ID}-01"));
        sender.send(&destination, &delivery).await.unwrap().status
    };
    let applied = body("pay_ofTheLog000001", r#""amount":4200"#);
    let hopeless = r#""amount":"4111222233334444 rupees""#;
    let hopeless = body("pay_ofTheLog000002", hopeless);
    assert_eq!(post("evApplied", &applied, SECRET).await, 200);
    // Twice: a known event is not logged again.
    for _ in 0..2 {
        assert_eq!(post("evHopeless", &hopeless, SECRET).await, 200);
    }
    assert_eq!(post("evRefused", &applied, "another secret").await, 401);
    let since = || before.map(|(binary, n)| trouble(binary).split_off(n));
    wait_until("both failures are logged", BOUND, async || {
        since().iter().all(|lines| !lines.is_empty())
    })
    .await;
    wait_until("all is settled", BOUND, async || {
        let scraped = metrics(deployment.worker_admin).await;
        scraped.contains("outcome=\"duplicate\"} 1\n")
    })
    .await;

    let [ingress, worker] = since();
    let ([refused], [dead]) = (&ingress[..], &worker[..]) else {
        panic!("{ingress:?} {worker:?}");
    };
    for (line, field, value) in [
        (refused, "endpoint", "default"),
        (refused, "reason", "no_match"),
        (refused, "trace_id", TRACE_ID),
        (dead, "level", "ERROR"),
        (dead, "message", "An event is a dead letter."),
        (dead, "event.id", "evHopeless"),
        (dead, "event.type", "payment.captured"),
        (dead, "lane", "default"),
        (dead, "endpoint", "default"),
        (dead, "trace_id", TRACE_ID),
        (dead, "span_id", SPAN_ID),
    ] {
        assert_eq!(line[field], value, "{field} of {line}");
    }
    assert_eq!(dead["attempt"], 1, "{dead}");
    assert!(dead["error"].as_str().unwrap().contains("amount"), "{dead}");

    for text in [
        deployment.log(INGRESS),
        deployment.log(WORKER),
        metrics(deployment.ingress_admin).await,
        metrics(deployment.worker_admin).await,
    ] {
        assert!(!text.is_empty());
        for private in PRIVATE {
            assert!(!text.contains(private), "{private} is in {text}");
        }
    }
}
