//! Small batches gather, full ones do not wait.

use std::time::{Duration, Instant};

use crate::pipeline::Pipeline;

/// Long beside the time that the deliveries of a test take.
const GATHER: Duration = Duration::from_secs(5);

#[tokio::test]
async fn full_batches_leave_at_once_and_a_small_one_gathers() {
    let mut pipeline = Pipeline::start().await;
    pipeline.deliver_payments(8).await;
    let gather_ms = GATHER.as_millis().to_string();
    let started = Instant::now();
    let settings = [
        ("worker.batch_entries_max", "4"),
        ("worker.gather_ms", gather_ms.as_str()),
    ];
    let worker = pipeline.worker(&settings).await;
    pipeline.until_events("processed", 8).await;
    assert!(started.elapsed() < GATHER, "{:?}", started.elapsed());
    let n_batches = async || worker.counter("harkara_worker_batches_total").await;
    let n_full = n_batches().await;

    pipeline.deliver_payments(3).await;
    pipeline.until_events("processed", 11).await;
    assert_eq!(n_batches().await, n_full + 1);
    worker.stop().await;
}
