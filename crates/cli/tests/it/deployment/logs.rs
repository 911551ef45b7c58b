//! What the real binaries write to their logs.

use std::net::SocketAddr;
use std::time::Duration;

use harkara_core::secret::Secret;
use harkara_core::signature::sign;
use harkara_testkit::wait_until;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::processes::{Processes, SECRET, metrics};

const BOUND: Duration = Duration::from_secs(20);

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

/// Delivers a body; gives the status.
async fn deliver(ingress: SocketAddr, event_id: &str, signature: &str, body: &str) -> u16 {
    let request = format!(
        "POST /webhooks/razorpay HTTP/1.1\r\nHost: ingress\r\nConnection: close\r\n\
         traceparent: 00-{TRACE_ID}-{SPAN_ID}-01\r\nX-Razorpay-Event-Id: {event_id}\r\n\
         X-Razorpay-Signature: {signature}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(ingress).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer[9..12].parse().unwrap()
}

fn lines(log: &str) -> Vec<Value> {
    let lines = log.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect()
}

/// The lines that tell of trouble.
fn trouble(log: &str) -> Vec<Value> {
    let mut lines = lines(log);
    lines.retain(|line| line["level"] == "WARN" || line["level"] == "ERROR");
    lines
}

#[tokio::test]
async fn what_succeeds_has_no_line() {
    let processes = Processes::start(&[]).await;
    let before = processes.logs();
    processes
        .harkara()
        .run(&["trigger", "payment.captured", "--count", "100", "--follow"])
        .await
        .done();
    assert_eq!(processes.logs(), before);
}

#[tokio::test]
async fn what_fails_has_one_line_with_its_trace_and_nothing_private() {
    let processes = Processes::start(&[]).await;
    let before = processes.logs().map(|log| trouble(&log).len());
    let secret = Secret::new(SECRET);
    let post = async |event_id, body: String, secret: &Secret| {
        let signature = sign(secret, body.as_bytes());
        deliver(processes.ingress, event_id, &signature, &body).await
    };
    let applied = body("pay_ofTheLog000001", r#""amount":4200"#);
    let hopeless = body(
        "pay_ofTheLog000002",
        r#""amount":"4111222233334444 rupees""#,
    );
    let other = Secret::new("another secret");
    assert_eq!(post("evApplied", applied.clone(), &secret).await, 200);
    assert_eq!(post("evHopeless", hopeless.clone(), &secret).await, 200);
    // Twice: what is known is not told of again.
    assert_eq!(post("evHopeless", hopeless, &secret).await, 200);
    assert_eq!(post("evRefused", applied, &other).await, 401);
    let since = || {
        let [ingress, worker] = processes.logs();
        [
            &trouble(&ingress)[before[0]..],
            &trouble(&worker)[before[1]..],
        ]
        .map(<[Value]>::to_vec)
    };
    wait_until("both failures are told of", BOUND, async || {
        since().iter().all(|lines| !lines.is_empty())
    })
    .await;
    wait_until("all is settled", BOUND, async || {
        let scraped = metrics(processes.worker_admin).await;
        scraped.contains("outcome=\"duplicate\"} 1\n")
    })
    .await;

    let [ingress, worker] = since();
    let [refused] = ingress.as_slice() else {
        panic!("{ingress:?}");
    };
    assert_eq!(refused["endpoint"], "default", "{refused}");
    assert_eq!(refused["reason"], "no_match", "{refused}");
    assert_eq!(refused["trace_id"], TRACE_ID, "{refused}");
    let [dead] = worker.as_slice() else {
        panic!("{worker:?}");
    };
    assert_eq!(dead["level"], "ERROR");
    for (field, value) in [
        ("message", "An event is a dead letter."),
        ("event.id", "evHopeless"),
        ("event.type", "payment.captured"),
        ("lane", "default"),
        ("endpoint", "default"),
        ("trace_id", TRACE_ID),
        ("span_id", SPAN_ID),
    ] {
        assert_eq!(dead[field], value, "{field} of {dead}");
    }
    assert_eq!(dead["attempt"], 1, "{dead}");
    assert!(dead["error"].as_str().unwrap().contains("amount"), "{dead}");

    let [ingress, worker] = processes.logs();
    let scrapes = [
        metrics(processes.ingress_admin).await,
        metrics(processes.worker_admin).await,
    ];
    for text in [&ingress, &worker, &scrapes[0], &scrapes[1]] {
        assert!(!text.is_empty());
        for private in PRIVATE {
            assert!(!text.contains(private), "{private} is in {text}");
        }
    }
}
