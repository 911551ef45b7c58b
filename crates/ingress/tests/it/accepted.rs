//! Accepted deliveries, and their entries in the streams.

use harkara_core::delivery::body_sha256;
use harkara_core::lane::Lane;
use harkara_core::secret::Secret;
use harkara_core::signature::sign;
use harkara_core::trace::TraceContext;
use harkara_runtime::clock;
use tokio::io::AsyncWriteExt;

use crate::http::{Request, answer_to, assert_accepted_over, connected};
use crate::ingress::{Ingress, PATH, SECRET};

const CAPTURED: &str = r#"{"entity":"event","event":"payment.captured","payload":{"payment":{"entity":{"id":"pay_1","notes":{"é":"✓ \/"}}}}}"#;

#[tokio::test]
async fn a_signed_delivery_is_in_its_lane_byte_for_byte() {
    let ingress = Ingress::start().await;
    let before = clock::now();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let response = Request::delivery(CAPTURED)
        .header("X-Razorpay-Event-Id", " TUouniJth9WtQ2 ")
        .header("traceparent", trace)
        .header("tracestate", "vendor=1")
        .send(ingress.public)
        .await;
    response.assert(200, r#"{"status":"accepted"}"#);
    assert_eq!(response.headers["content-type"], "application/json");

    let entries = ingress.entries(Lane::Default).await;
    assert_eq!(entries.len(), 1);
    let entry = &entries[0];
    assert_eq!(entry.body, CAPTURED.as_bytes());
    assert_eq!(entry.endpoint.as_str(), "default");
    assert_eq!(entry.event_id.as_str(), "TUouniJth9WtQ2");
    assert_eq!(entry.event_name, "payment.captured");
    let signature = sign(&Secret::new(SECRET), CAPTURED.as_bytes());
    assert_eq!(entry.signature, signature);
    assert_eq!(entry.trace.traceparent, trace);
    assert_eq!(entry.trace.tracestate, "vendor=1");
    assert!((before..=clock::now()).contains(&entry.received_at));
    let accepted_bytes = format!("harkara_ingress_accepted_bytes_total {}", CAPTURED.len());
    let metrics = [
        r#"harkara_ingress_deliveries_total{outcome="accepted"} 1"#,
        r#"harkara_ingress_deliveries_total{outcome="unavailable"} 0"#,
        &accepted_bytes,
    ];
    ingress.assert_metrics(&metrics).await;
}

#[tokio::test]
async fn each_family_goes_to_its_lane_and_settings_move_it() {
    let ingress = Ingress::start_with(&[("lanes.payment.failed", "critical")]).await;
    for (event, lane) in [
        ("payment.dispute.created", Lane::Critical),
        ("fund_account.validation.completed", Lane::Medium),
        ("invoice.paid", Lane::Normal),
        ("refund.processed", Lane::Default),
        ("payment.failed", Lane::Critical),
    ] {
        let response = ingress.deliver(format!(r#"{{"event":"{event}"}}"#)).await;
        assert_eq!(response.status, 200);
        let entries = ingress.entries(lane).await;
        assert_eq!(entries.last().unwrap().event_name, event);
    }
}

#[tokio::test]
async fn unknown_events_and_bodies_that_are_not_json_go_to_the_default_lane() {
    let ingress = Ingress::start().await;
    let bodies: [&[u8]; 5] = [
        br#"{"event":"never.heard.of"}"#,
        b"not json",
        b"",
        b"\xff\x00\x01",
        b"[1]",
    ];
    for body in bodies {
        assert_eq!(ingress.deliver(body).await.status, 200, "{body:?}");
    }
    let entries = ingress.entries(Lane::Default).await;
    let stored: Vec<&[u8]> = entries.iter().map(|entry| entry.body.as_ref()).collect();
    assert_eq!(stored, bodies);
    assert_eq!(entries[0].event_name, "never.heard.of");
    assert!(entries[1..].iter().all(|entry| entry.event_name.is_empty()));
}

#[tokio::test]
async fn an_absent_or_malformed_event_id_is_derived_from_the_body() {
    let ingress = Ingress::start().await;
    let too_long = "x".repeat(129);
    // Each is accepted and stored, however often the same body comes.
    assert_eq!(ingress.deliver(CAPTURED).await.status, 200);
    for event_id in ["", "a b", "é", &*too_long] {
        let request = Request::delivery(CAPTURED).header("x-razorpay-event-id", event_id);
        assert_eq!(request.send(ingress.public).await.status, 200, "{event_id}");
    }
    let digest = const_hex::encode(body_sha256(CAPTURED.as_bytes()));
    let entries = ingress.entries(Lane::Default).await;
    assert_eq!(entries.len(), 5);
    for entry in entries {
        assert_eq!(entry.event_id.as_str(), format!("sha256:{digest}"));
    }
}

#[tokio::test]
async fn a_delivery_without_a_valid_trace_gets_a_new_one_of_its_own() {
    let ingress = Ingress::start().await;
    ingress.assert_accepts().await;
    let request = Request::delivery("{}").header("traceparent", "00-nonsense");
    assert_eq!(request.send(ingress.public).await.status, 200);
    let entries = ingress.entries(Lane::Default).await;
    let [one, other] = [0, 1].map(|n| &*entries[n].trace.traceparent);
    for trace in [one, other] {
        assert!(TraceContext::parse(trace, None).is_some(), "{trace}");
    }
    assert_ne!(one, other);
}

#[tokio::test]
async fn each_endpoint_has_its_own_secrets_and_an_old_one_holds_until_it_is_removed() {
    let ingress = Ingress::start_with(&[("endpoints.live-1.secrets", "new,old")]).await;
    let live = "/webhooks/razorpay/live-1";
    for (path, secret, status) in [
        (live, "new", 200),
        (live, "old", 200),
        (live, SECRET, 401),
        ("/webhooks/razorpay/default", SECRET, 200),
        (PATH, "new", 401),
    ] {
        let request = Request::signed(path, secret, "{}");
        let response = request.send(ingress.public).await;
        assert_eq!(response.status, status, "{path} {secret}");
    }
    let entries = ingress.entries(Lane::Default).await;
    let endpoints: Vec<_> = entries.iter().map(|one| one.endpoint.as_str()).collect();
    assert_eq!(endpoints, ["live-1", "live-1", "default"]);

    let rotated = Ingress::start_with(&[("endpoints.live-1.secrets", "new")]).await;
    let request = Request::signed(live, "old", "{}");
    assert_eq!(request.send(rotated.public).await.status, 401);
}

#[tokio::test]
async fn a_chunked_body_is_read_whole() {
    let ingress = Ingress::start().await;
    let request = Request::delivery_in_chunks("{\"event\":\"x\"}", 5);
    assert_eq!(request.send(ingress.public).await.status, 200);
    let entries = ingress.entries(Lane::Default).await;
    assert_eq!(entries[0].body, &b"{\"event\":\"x\"}"[..]);
}

/// Some proxies ask so for every request.
#[tokio::test]
async fn a_delivery_that_asks_for_another_protocol_is_accepted() {
    let ingress = Ingress::start().await;
    let upgrades = [
        &[("connection", "upgrade")][..],
        &[("upgrade", "websocket")],
        &[("connection", "upgrade"), ("upgrade", "websocket")],
        &[("connection", "upgrade"), ("upgrade", "h2c")],
    ];
    for headers in upgrades {
        let deliveries = [
            Request::delivery("{}"),
            Request::delivery(vec![b'x'; 300_000]),
            Request::delivery_in_chunks("{}", 1),
        ];
        for delivery in deliveries {
            let delivery = headers.iter().fold(delivery, |delivery, (name, value)| {
                delivery.header(name, value)
            });
            let answer = answer_to(ingress.public, &delivery.kept_alive()).await;
            assert_eq!(answer.status, 200, "{headers:?}");
            assert_eq!(answer.headers["connection"], "close", "{headers:?}");
        }
    }
    let entries = ingress.entries(Lane::Default).await;
    assert_eq!(entries.len(), 3 * upgrades.len());
}

#[tokio::test]
async fn large_deliveries_follow_each_other_over_one_connection() {
    const BODIES: usize = 3;
    let ingress = Ingress::start().await;
    let body = "x".repeat(500_000);
    let whole = Request::delivery(body.clone()).kept_alive();
    let in_chunks = Request::delivery_in_chunks(&body, 7_000).kept_alive();
    let mut stream = connected(ingress.public, b"").await;
    for _ in 0..BODIES {
        for delivery in [&whole, &in_chunks] {
            stream.write_all(delivery).await.unwrap();
            assert_accepted_over(&mut stream).await;
        }
    }
    assert_eq!(ingress.entries(Lane::Default).await.len(), 2 * BODIES);
}
