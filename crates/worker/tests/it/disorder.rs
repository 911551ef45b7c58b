//! The same set of deliveries gives the same tables in every order.

use harkara_simulator::{Bodies, SimulatedEvent};

use crate::pipeline::Pipeline;

/// Merged tables with their keys.
const MERGED: [(&str, &str); 5] = [
    ("payment_transactions", "payment_id"),
    ("payment_orders", "order_id"),
    ("payment_refunds", "refund_id"),
    ("payment_disputes", "dispute_id"),
    ("entity_snapshots", "entity_id"),
];

#[tokio::test]
async fn reordered_and_duplicate_lifecycles_give_the_same_rows() {
    let lifecycles: Vec<SimulatedEvent> = {
        let mut bodies = Bodies::new(11, 1_764_000_000);
        let lifecycles = (0..3).flat_map(|_| bodies.lifecycles());
        lifecycles.flat_map(|(_, events)| events).collect()
    };
    let orderly = rows_after(&lifecycles, 1).await;

    // Backwards, and then every other one from the front: far from any natural order.
    let backwards = lifecycles.iter().rev().chain(lifecycles.iter().rev());
    let (even, odd): (Vec<_>, Vec<_>) = backwards.enumerate().partition(|(at, _)| at % 2 == 0);
    let disorderly = odd.into_iter().rev().chain(even);
    let disorderly: Vec<_> = disorderly.map(|(_, event)| event.clone()).collect();
    assert_eq!(rows_after(&disorderly, 2).await, orderly);
}

/// The rows after these deliveries were processed by some concurrent workers.
async fn rows_after(events: &[SimulatedEvent], n_workers: usize) -> Vec<Vec<String>> {
    let pipeline = Pipeline::start().await;
    for event in events {
        pipeline.deliver(event).await;
    }
    let mut workers = Vec::new();
    for name in ["one", "two"].iter().take(n_workers) {
        let settings = [
            ("worker.batch_entries_max", "10"),
            ("worker.consumer", name),
        ];
        workers.push(pipeline.worker(&settings).await);
    }
    pipeline.until_drained().await;
    let unprocessed = "webhook_events WHERE status <> 'processed'";
    assert_eq!(pipeline.count(unprocessed).await, 0);
    for worker in workers {
        worker.stop().await;
    }
    let mut tables = Vec::new();
    for (table, key) in MERGED {
        let query = format!(
            "SELECT to_jsonb(t) - 'updated_at' - 'status_before' AS r FROM {table} t ORDER BY {key}"
        );
        tables.push(pipeline.database.rows(&query).await);
    }
    tables
}
