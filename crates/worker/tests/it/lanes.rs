//! Higher lanes go first, and none starves.

use crate::pipeline::Pipeline;

#[tokio::test]
async fn a_critical_event_overtakes_a_backlog_and_the_backlog_still_moves() {
    let mut pipeline = Pipeline::start().await;
    for _ in 0..200 {
        let event = pipeline.bodies.event("payment.captured");
        pipeline.deliver(&event).await;
    }
    for name in [
        "payment.dispute.created",
        "account.instantly_activated",
        "invoice.paid",
    ] {
        for _ in 0..20 {
            let event = pipeline.bodies.event(name);
            pipeline.deliver(&event).await;
        }
    }
    let one_at_a_time = [
        ("worker.batch_entries_max", "15"),
        ("worker.batches_in_flight_max", "1"),
    ];
    let worker = pipeline.worker(&one_at_a_time).await;
    pipeline.until_events("processed", 260).await;
    let ended = |lane: &str, which: &str| {
        format!(
            "SELECT extract(epoch FROM {which}(processed_at))::float8 FROM webhook_events WHERE lane = '{lane}'"
        )
    };
    let time = async |sql: String| pipeline.database.value::<f64>(&sql).await;
    let critical = time(ended("critical", "max")).await;
    let medium = time(ended("medium", "max")).await;
    let normal = time(ended("normal", "max")).await;
    let first_default = time(ended("default", "min")).await;
    let last_default = time(ended("default", "max")).await;
    assert!(
        critical < medium && medium < normal && normal < last_default,
        "{critical} {medium} {normal} {last_default}"
    );
    assert!(
        first_default < critical,
        "the default lane moved while the critical one was full"
    );
    worker.stop().await;
}
