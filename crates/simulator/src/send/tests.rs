use std::error::Error as _;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;
use std::time::Duration;

use harkara_core::secret::Secret;

use super::{Destination, InvalidDestination, SendError, Sender};
use crate::Bodies;
use crate::delivery::Signed;

fn delivery() -> Signed {
    Signed::new(
        Bodies::new(1, 1_790_000_000).event("payment.captured"),
        &Secret::new("s"),
    )
}

/// A server that takes one request whole, gives `answer` and ends; it returns what it took.
fn server(answer: &'static str) -> (Destination, JoinHandle<String>) {
    let (listener, destination) = listening();
    let taken = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let wait = Some(Duration::from_secs(5));
        stream.set_read_timeout(wait).unwrap();
        let mut request = Vec::new();
        while !is_whole(&request) {
            let mut part = [0; 4096];
            let count = stream.read(&mut part).unwrap();
            request.extend_from_slice(&part[..count]);
        }
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8(request).unwrap()
    });
    (destination, taken)
}

fn listening() -> (TcpListener, Destination) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "http://{}/webhooks/razorpay",
        listener.local_addr().unwrap()
    );
    (listener, Destination::parse(&url).unwrap())
}

fn is_whole(request: &[u8]) -> bool {
    let request = String::from_utf8_lossy(request);
    let Some((head, body)) = request.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "))
        .unwrap();
    body.len() >= length.parse().unwrap()
}

#[tokio::test]
async fn a_delivery_arrives_with_razorpays_headers_and_its_exact_body() {
    let (destination, taken) = server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    let delivery = delivery();
    let answer = Sender::new().send(&destination, &delivery).await.unwrap();
    assert_eq!(answer.status, 200);
    let request = taken.join().unwrap();
    let first_line = "POST /webhooks/razorpay HTTP/1.1\r\n";
    assert!(request.starts_with(first_line), "{request}");
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    for header in [
        "User-Agent: Razorpay-Webhook/v1".to_owned(),
        "Content-Type: application/json".to_owned(),
        "Accept-Encoding: gzip".to_owned(),
        format!("Request-Id: {}", delivery.event_id),
        format!("X-Razorpay-Event-Id: {}", delivery.event_id),
        format!("X-Razorpay-Signature: {}", delivery.signature),
    ] {
        let is_there = head.lines().any(|line| line == header);
        assert!(is_there, "{header} is not in {head}");
    }
    assert_eq!(body.as_bytes(), delivery.body);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let (destination, _) =
        server("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n");
    let answer = Sender::new().send(&destination, &delivery()).await;
    assert_eq!(answer.unwrap().status, 302);
}

#[tokio::test]
async fn a_closed_port_is_unreachable_and_named_with_its_cause() {
    // The port was free a moment ago and nothing listens on it.
    let (listener, destination) = listening();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let sent = Sender::new().send(&destination, &delivery()).await;
    let error = sent.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot reach {address}"));
    let cause = error.source().unwrap().to_string();
    assert!(cause.contains("refused"), "{cause}");
}

#[tokio::test]
async fn a_silent_server_times_out() {
    let (_listener, destination) = listening();
    let sender = Sender::waiting(Duration::from_millis(50));
    let error = sender.send(&destination, &delivery()).await.unwrap_err();
    assert!(matches!(error, SendError::TimedOut { .. }), "{error:?}");
}

#[tokio::test]
async fn a_connection_that_ends_early_is_broken() {
    let (destination, _) = server("");
    let sent = Sender::new().send(&destination, &delivery()).await;
    let error = sent.unwrap_err();
    assert!(matches!(error, SendError::Broken { .. }), "{error:?}");
}

#[test]
fn only_http_urls_are_destinations() {
    for (url, address) in [
        ("http://example.test/x", "example.test:80"),
        ("http://[::1]:8080", "[::1]:8080"),
    ] {
        assert_eq!(Destination::parse(url).unwrap().address(), address);
    }
    let https = Destination::parse("https://example.test");
    assert!(matches!(https, Err(InvalidDestination::Https(_))));
    for url in [
        "http://keeper:hunter2@example.test/",
        "https://keeper:hun/ter2@ter2@example.test/",
        "keeper:hunter2@example.test",
    ] {
        let error = Destination::parse(url).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("…@example.test"), "{shown}");
        assert!(!shown.contains("ter2"), "{shown}");
    }
    for bad in [
        "",
        "example.test",
        "localhost:8080",
        "ftp://example.test",
        "http://a@b/",
    ] {
        let parsed = Destination::parse(bad);
        assert!(
            matches!(parsed, Err(InvalidDestination::NotHttp(_))),
            "{bad}"
        );
    }
}
