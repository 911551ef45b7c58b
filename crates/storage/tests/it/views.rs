//! Views and the queries that operators run.

use std::time::Duration;

use harkara_simulator::Bodies;

use crate::records::{NOW, claimed, claimed_ago, event, payment, to_retry};
use crate::store::Store;

#[tokio::test]
async fn payloads_are_json_and_null_where_a_body_is_not() {
    let store = Store::migrated().await;
    let mut binary = event("binary", "");
    binary.body = vec![0xff, 0xfe, 0];
    let nul = event("nul", r#"{"event":"moon.landed","x":"a\u0000b"}"#);
    let json = payment("json", "pay_1", "captured", 10);
    store
        .deliver([&json, &event("text", "not json"), &binary, &nul])
        .await;
    let found: Vec<String> = store
        .column(
            "SELECT concat_ws(' ', razorpay_event_id, payload IS NULL, payload #>> '{payload,payment,entity,id}') \
             FROM webhook_event_payloads ORDER BY razorpay_event_id",
        )
        .await;
    assert_eq!(found, ["binary t", "json f pay_1", "nul t", "text t"]);
}

/// PostgreSQL reads a large ledger in parallel wherever it may.
#[tokio::test]
async fn payloads_are_read_however_large_the_ledger_is() {
    let store = Store::migrated().await;
    store
        .execute(
            "SET min_parallel_table_scan_size = 0; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; \
             INSERT INTO webhook_events (razorpay_event_id, event_type, endpoint, lane, status, body, body_sha256, \
               signature, created_at) \
             SELECT 'e' || n, 'made.up', 'default', 'default', 'processed', '{}', '', '', now() \
             FROM generate_series(1, 5000) n; \
             ANALYZE webhook_events",
        )
        .await;
    let events = "SELECT count(event_type) FROM webhook_events WHERE event_type <> ''";
    let plan: Vec<String> = store.column(&format!("EXPLAIN {events}")).await;
    assert!(
        plan.iter().any(|line| line.contains("Parallel")),
        "{plan:?}"
    );
    let payloads = "SELECT count(payload) FROM webhook_event_payloads";
    assert_eq!(store.value::<i64>(payloads).await, 5000);
}

#[tokio::test]
async fn the_latest_state_is_picked_by_precedence_and_not_by_arrival() {
    let mut bodies = Bodies::new(9, NOW);
    let validation = vec![bodies.event("fund_account.validation.completed")];
    for (lifecycle, view, status) in [
        (bodies.downtime_lifecycle(), "downtimes", "resolved"),
        (bodies.invoice_lifecycle(), "invoices", "paid"),
        (bodies.payment_link_lifecycle(), "payment_links", "paid"),
        (
            bodies.account_lifecycle(),
            "accounts",
            "activated_kyc_pending",
        ),
        (validation, "fund_account_validations", "completed"),
    ] {
        let store = Store::migrated().await;
        for event in lifecycle.iter().rev() {
            store.deliver([event]).await;
        }
        let query = format!("SELECT status || ' ' || razorpay_event_id FROM {view}");
        let latest = format!("{status} {}", lifecycle.last().unwrap().event_id);
        assert_eq!(store.column::<String>(&query).await, [latest], "{view}");
    }
}

#[tokio::test]
async fn the_operators_query_runs_unchanged() {
    let store = Store::migrated().await;
    let batch = vec![
        claimed(&payment("e1", "pay_1", "captured", 10)),
        claimed(&payment("e2", "pay_2", "captured", 10)),
        to_retry(
            &payment("e3", "pay_3", "captured", 10),
            Duration::from_mins(1),
        ),
        claimed(&event("e4", r#"{"event":"order.paid"}"#)),
        claimed_ago(&payment("stale", "pay_3", "captured", 10), 2 * 3600),
    ];
    store.commit(batch).await;
    let mut rows = store
        .rows(
            "SELECT event_type, COUNT(*) AS total,
       COUNT(CASE WHEN processed = true THEN 1 END) AS processed,
       COUNT(CASE WHEN processed = false THEN 1 END) AS pending
FROM webhook_events WHERE created_at >= NOW() - INTERVAL '1 hour' GROUP BY event_type",
        )
        .await;
    rows.sort();
    assert_eq!(
        rows,
        [
            r#"{"event_type":"order.paid","total":1,"processed":0,"pending":1}"#,
            r#"{"event_type":"payment.captured","total":3,"processed":2,"pending":1}"#,
        ]
    );
}
