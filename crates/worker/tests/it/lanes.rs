//! Higher lanes go first, and none starves.

use crate::pipeline::Pipeline;

#[tokio::test]
async fn a_critical_event_overtakes_a_backlog_and_the_backlog_still_moves() {
    let mut pipeline = Pipeline::start().await;
    pipeline.deliver_payments(200).await;
    pipeline.deliver_new("payment.dispute.created", 20).await;
    pipeline
        .deliver_new("account.instantly_activated", 20)
        .await;
    pipeline.deliver_new("invoice.paid", 20).await;
    let one_at_a_time = [
        ("worker.batch_entries_max", "15"),
        ("worker.batches_in_flight_max", "1"),
    ];
    let worker = pipeline.worker(&one_at_a_time).await;
    pipeline.until_events("processed", 260).await;
    let time = async |which: &str, lane: &str| {
        let sql = format!(
            "SELECT extract(epoch FROM {which}(processed_at))::float8 FROM webhook_events WHERE lane = '{lane}'"
        );
        pipeline.database.value::<f64>(&sql).await
    };
    let mut last = Vec::new();
    for lane in ["critical", "medium", "normal", "default"] {
        last.push(time("max", lane).await);
    }
    assert!(last.is_sorted_by(|a, b| a < b), "{last:?}");
    assert!(
        time("min", "default").await < last[0],
        "the default lane moved while the critical one was full"
    );
    worker.stop().await;
}
