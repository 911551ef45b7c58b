//! Admission: by address, by rate, and while there is memory.

use harkara_testkit::wait_until;
use tokio::io::AsyncWriteExt;

use crate::BOUND;
use crate::http::{Request, Response, answer_to, connected, read_to_end};
use crate::ingress::{Ingress, PATH, SECRET};

/// An ingress behind a load balancer: the tests themselves.
async fn behind_proxy(changed: &[(&str, &str)]) -> Ingress {
    Ingress::start_with(&[&[("ingress.trusted_proxies", "127.0.0.0/8")], changed].concat()).await
}

/// A signed delivery of a client behind the load balancer.
async fn deliver_from(ingress: &Ingress, path: &str, client: &str) -> Response {
    Request::signed(path, SECRET, "{}")
        .header("x-forwarded-for", client)
        .send(ingress.public)
        .await
}

async fn assert_counted(ingress: &Ingress, outcome: &str, expected: u64) {
    let line = format!("harkara_ingress_deliveries_total{{outcome=\"{outcome}\"}} {expected}");
    ingress.assert_metrics(&[line]).await;
}

#[tokio::test]
async fn an_address_that_is_not_allowed_is_refused_before_its_body_is_read() {
    let ingress = Ingress::start_with(&[
        ("endpoints.default.allow", "razorpay"),
        ("endpoints.open.secrets", SECRET),
    ])
    .await;
    let unsent = Request::post().declaring(100).bytes();
    let response = answer_to(ingress.public, &unsent).await;
    response.assert(403, r#"{"error":"forbidden"}"#);
    // The header of an untrusted peer is not believed.
    let response = deliver_from(&ingress, PATH, "52.66.75.174").await;
    assert_eq!(response.status, 403);
    ingress.assert_nothing_stored().await;
    assert_counted(&ingress, "forbidden", 2).await;

    let open = "/webhooks/razorpay/open";
    assert_eq!(deliver_from(&ingress, open, "192.0.2.1").await.status, 200);
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
    ingress.assert_status(403).await;
}

#[tokio::test]
async fn requests_over_the_rate_of_their_address_are_answered_429_and_others_are_not() {
    let ingress = behind_proxy(&[
        ("ingress.address_requests_per_s", "1"),
        ("ingress.address_requests_burst", "100"),
    ])
    .await;
    // Until the burst and what the rate adds are used up, whatever the machine's speed.
    let mut n_accepted = 0;
    let refused = loop {
        let response = deliver_from(&ingress, PATH, "192.0.2.1").await;
        if response.status != 200 {
            break response;
        }
        n_accepted += 1;
    };
    assert!(n_accepted >= 100, "{n_accepted}");
    refused.assert(429, r#"{"error":"rate_limited"}"#);
    assert_eq!(refused.headers["retry-after"], "1");
    assert_counted(&ingress, "rate_limited", 1).await;

    let other = deliver_from(&ingress, PATH, "192.0.2.2").await;
    assert_eq!(other.status, 200);
    wait_until("the address may send again", BOUND, async || {
        deliver_from(&ingress, PATH, "192.0.2.1").await.status == 200
    })
    .await;
}

#[tokio::test]
async fn each_endpoint_has_its_own_rate() {
    let ingress = behind_proxy(&[
        ("ingress.endpoint_requests_per_s", "1"),
        ("ingress.endpoint_requests_burst", "3"),
        ("endpoints.other.secrets", SECRET),
    ])
    .await;
    ingress.until_status(429).await;
    let other = "/webhooks/razorpay/other";
    assert_eq!(deliver_from(&ingress, other, "192.0.2.1").await.status, 200);
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
    let large = || vec![b'x'; 90_000];
    let head = Request::post().declaring(100_000).bytes();
    // What is only declared takes no room.
    let mut idle = Vec::new();
    for _ in 0..10 {
        idle.push(connected(ingress.public, &head).await);
    }
    assert_eq!(ingress.deliver(large()).await.status, 200);

    let mut holding = Vec::new();
    for _ in 0..2 {
        let mut stream = connected(ingress.public, &head).await;
        stream.write_all(&vec![b'x'; 99_000]).await.unwrap();
        holding.push(stream);
    }
    ingress
        .until_metric(BUFFERED, |bytes| bytes >= 198_000)
        .await;

    let refused = ingress.deliver(large()).await;
    refused.assert(429, r#"{"error":"overloaded"}"#);
    assert_eq!(refused.headers["retry-after"], "7");
    assert_counted(&ingress, "overloaded", 1).await;
    ingress.assert_accepts().await;

    drop(holding);
    ingress.until_metric(BUFFERED, |bytes| bytes == 0).await;
    assert_eq!(ingress.deliver(large()).await.status, 200);
    drop(idle);
}

#[tokio::test]
async fn where_all_endpoints_have_lists_others_cannot_connect() {
    let ingress = Ingress::start_with(&[
        ("endpoints.default.allow", "razorpay"),
        ("ingress.trusted_proxies", "127.0.0.2"),
    ])
    .await;
    let mut refused = connected(ingress.public, b"").await;
    assert_eq!(read_to_end(&mut refused).await, "");
    // No delivery came.
    assert_counted(&ingress, "forbidden", 0).await;
    let closed = r#"harkara_ingress_connections_closed_total{reason="forbidden"} 1"#;
    ingress.assert_metrics(&[closed]).await;
}
