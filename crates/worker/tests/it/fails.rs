//! Events that cannot be projected are stored, and hurt nobody else.

use harkara_core::entry::field;
use harkara_core::lane::Lane;
use harkara_core::redis_keys::RedisKeys;
use redis::AsyncCommands;

use crate::pipeline::{Pipeline, until};

#[tokio::test]
async fn a_body_that_is_no_event_is_kept_as_a_dead_letter_with_its_reason() {
    let pipeline = Pipeline::start().await;
    let worker = pipeline.worker(&[]).await;
    for (id, body, reason) in [
        (
            "not-json",
            &b"amount=100"[..],
            "the body is not JSON (column 1)",
        ),
        ("not-utf8", b"{\"event\":\"\xff\"}", "the body is not UTF-8"),
        ("array", b"[1,2]", "the body is not a JSON object"),
        ("nameless", b"{}", "the body has no event name"),
        ("empty", b"", "the body is not JSON (column 0)"),
        (
            "bare",
            br#"{"event":"refund.created","payload":{}}"#,
            "payload.refund.entity is missing",
        ),
    ] {
        pipeline.deliver_body(id, body).await;
        let stored = "SELECT count(*) FROM webhook_events WHERE razorpay_event_id = $1 AND body = $2 \
            AND status = 'failed' AND error = $3 AND NOT processed";
        until(id, async || {
            let database = &pipeline.database;
            1 == database
                .value_of::<i64>(stored, &[&id, &body, &reason])
                .await
        })
        .await;
    }
    pipeline.until_drained().await;
    worker.stop().await;
}

#[tokio::test]
async fn a_broken_event_spares_its_neighbours_in_the_batch() {
    let mut pipeline = Pipeline::start().await;
    pipeline.deliver_payments(11).await;
    let broken = r#"{"event":"payment.captured"}"#;
    pipeline.deliver_body("broken", broken).await;
    pipeline.deliver_payments(9).await;
    let worker = pipeline.worker(&[]).await;
    pipeline.until_events("processed", 20).await;
    pipeline.until_events("failed", 1).await;
    worker.stop().await;
}

#[tokio::test]
async fn an_entry_that_the_ingress_did_not_write_is_kept_and_stops_nothing() {
    let mut pipeline = Pipeline::start().await;
    let mut redis = pipeline.redis().await;
    for fields in [
        &[("hello", "world\0")][..],
        &[
            (field::HEAD, "2\nfuture\nand more"),
            (field::BODY, "from the future"),
        ],
    ] {
        let key = RedisKeys::default().stream(Lane::Critical);
        let () = redis.xadd(key, "*", fields).await.unwrap();
    }
    pipeline.deliver_new("payment.dispute.created", 1).await;
    let worker = pipeline.worker(&[]).await;
    pipeline.until_events("failed", 2).await;
    pipeline.until_processed(1).await;
    let kept = "SELECT convert_from(body, 'UTF8') || ': ' || error FROM webhook_events WHERE razorpay_event_id = 'future'";
    assert_eq!(
        pipeline.text(kept).await,
        "from the future: stream entry format \"2\" is unknown to this version"
    );
    worker.stop().await;
}

#[tokio::test]
async fn deeply_nested_bodies_are_kept_and_harm_nobody() {
    let pipeline = Pipeline::start().await;
    let worker = pipeline.worker(&[]).await;
    let deep = format!("{}{}", "[".repeat(400_000), "]".repeat(400_000));
    let id = format!(r#"{{"id":{deep}}}"#);
    let bodies = [
        format!(r#"{{"event":"payment.captured","payload":{{"payment":{{"entity":{id}}}}}}}"#),
        format!(r#"{{"event":{deep}}}"#),
        format!(r#"{{"event":"a.b","x":{deep}}}"#),
        deep,
    ];
    for (at, body) in bodies.into_iter().enumerate() {
        pipeline.deliver_body(&format!("deep{at}"), body).await;
    }
    pipeline.until_drained().await;
    assert_eq!(pipeline.count("webhook_events").await, 4);
    worker.stop().await;
}
