//! Who is let in: by address, by rate, and while there is memory.

use std::time::Duration;

use harkara_testkit::wait_until;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::http::{Request, Response, get, read_response};
use crate::ingress::{Ingress, PATH, SECRET};

const BOUND: Duration = Duration::from_secs(15);

/// An ingress behind a load balancer: the tests themselves.
async fn behind_proxy(changed: &[(&str, &str)]) -> Ingress {
    let mut settings = vec![("ingress.trusted_proxies", "127.0.0.0/8")];
    settings.extend_from_slice(changed);
    Ingress::start_with(&settings).await
}

/// A rightly signed delivery of a client behind the load balancer.
async fn deliver_from(ingress: &Ingress, path: &str, client: &str) -> Response {
    Request::signed(path, SECRET, "{}")
        .header("x-forwarded-for", client)
        .send(ingress.public)
        .await
}

async fn counted(ingress: &Ingress, outcome: &str) -> u64 {
    let name = format!("harkara_ingress_deliveries_total{{outcome=\"{outcome}\"}}");
    metric(ingress, &name).await
}

async fn metric(ingress: &Ingress, name: &str) -> u64 {
    let metrics = get(ingress.admin, "/metrics").await.body;
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    let value = line.unwrap_or_else(|| panic!("{name} not in\n{metrics}"));
    value.trim().parse().unwrap()
}

#[tokio::test]
async fn an_address_that_is_not_allowed_is_refused_before_its_body_is_read() {
    let ingress = Ingress::start_with(&[
        ("endpoints.default.allow", "razorpay"),
        ("endpoints.open.secrets", SECRET),
    ])
    .await;
    let head = Request::new("POST", PATH)
        .header("content-length", "100")
        .head_bytes();
    let mut stream = TcpStream::connect(ingress.public).await.unwrap();
    stream.write_all(&head).await.unwrap();
    let response = read_response(&mut stream).await.expect("an answer");
    assert_eq!(
        (response.status, response.body.as_str()),
        (403, r#"{"error":"forbidden"}"#)
    );
    // The header of a peer that is no trusted proxy is not believed.
    let response = deliver_from(&ingress, PATH, "52.66.75.174").await;
    assert_eq!(response.status, 403);
    ingress.assert_nothing_stored().await;
    assert_eq!(counted(&ingress, "forbidden").await, 2);

    let open = "/webhooks/razorpay/open";
    assert_eq!(deliver_from(&ingress, open, "192.0.2.1").await.status, 200);
    ingress.stop().await;
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_client_is_who_the_proxy_says() {
    let ingress = behind_proxy(&[("endpoints.default.allow", "razorpay,10.0.0.0/8")]).await;
    for (forwarded, status) in [
        ("52.66.75.174", 200),
        ("192.0.2.1, 18.99.161.7", 200),
        ("10.1.2.3, 127.0.0.2", 200),
        ("52.66.75.174, 192.0.2.1", 403),
        ("52.66.75.174, nonsense", 403),
        ("", 403),
    ] {
        let response = deliver_from(&ingress, PATH, forwarded).await;
        assert_eq!(response.status, status, "{forwarded}");
    }
    assert_eq!(ingress.deliver("{}").await.status, 403);
    ingress.stop().await;
}

#[tokio::test]
async fn requests_over_the_rate_of_their_address_are_answered_429_and_others_are_not() {
    let ingress = behind_proxy(&[
        ("ingress.address_requests_per_s", "1"),
        ("ingress.address_requests_burst", "100"),
    ])
    .await;
    // More than the burst and what is added meanwhile, whatever the machine's speed.
    let mut n_accepted = 0;
    let refused = loop {
        let response = deliver_from(&ingress, PATH, "192.0.2.1").await;
        if response.status != 200 {
            break response;
        }
        n_accepted += 1;
    };
    assert!(n_accepted >= 100, "{n_accepted}");
    assert_eq!(
        (refused.status, refused.body.as_str()),
        (429, r#"{"error":"rate_limited"}"#)
    );
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(counted(&ingress, "rate_limited").await, 1);

    let other = deliver_from(&ingress, PATH, "192.0.2.2").await;
    assert_eq!(other.status, 200);
    wait_until("the address may send again", BOUND, async || {
        deliver_from(&ingress, PATH, "192.0.2.1").await.status == 200
    })
    .await;
    ingress.stop().await;
}

#[tokio::test]
async fn each_endpoint_has_its_own_rate() {
    let ingress = behind_proxy(&[
        ("ingress.endpoint_requests_per_s", "1"),
        ("ingress.endpoint_requests_burst", "3"),
        ("endpoints.other.secrets", SECRET),
    ])
    .await;
    wait_until("the endpoint is over its rate", BOUND, async || {
        deliver_from(&ingress, PATH, "192.0.2.1").await.status == 429
    })
    .await;
    let other = "/webhooks/razorpay/other";
    assert_eq!(deliver_from(&ingress, other, "192.0.2.1").await.status, 200);
    ingress.stop().await;
}

#[tokio::test]
async fn bodies_beyond_the_bytes_buffered_are_answered_429_until_others_are_done() {
    const BUFFERED: &str = "harkara_ingress_buffered_bytes";
    let ingress = Ingress::start_with(&[
        ("ingress.body_bytes_max", "100000"),
        ("ingress.buffered_bytes_max", "250000"),
        ("ingress.body_read_timeout_ms", "60000"),
        ("ingress.retry_after_s", "7"),
    ])
    .await;
    let head = Request::new("POST", PATH)
        .header("content-length", "100000")
        .head_bytes();
    // What is only declared takes no room.
    let mut idle = Vec::new();
    for _ in 0..10 {
        let mut stream = TcpStream::connect(ingress.public).await.unwrap();
        stream.write_all(&head).await.unwrap();
        idle.push(stream);
    }
    assert_eq!(ingress.deliver(vec![b'x'; 90_000]).await.status, 200);

    let mut holding = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(ingress.public).await.unwrap();
        stream.write_all(&head).await.unwrap();
        stream.write_all(&vec![b'x'; 99_000]).await.unwrap();
        holding.push(stream);
    }
    wait_until("two bodies are held", BOUND, async || {
        metric(&ingress, BUFFERED).await >= 198_000
    })
    .await;

    let refused = ingress.deliver(vec![b'x'; 90_000]).await;
    assert_eq!(
        (refused.status, refused.body.as_str()),
        (429, r#"{"error":"overloaded"}"#)
    );
    assert_eq!(refused.headers["retry-after"], "7");
    assert_eq!(counted(&ingress, "overloaded").await, 1);
    assert_eq!(ingress.deliver("{}").await.status, 200);

    drop(holding);
    wait_until("their bytes are given back", BOUND, async || {
        metric(&ingress, BUFFERED).await == 0
    })
    .await;
    assert_eq!(ingress.deliver(vec![b'x'; 90_000]).await.status, 200);
    drop(idle);
    ingress.stop().await;
}
