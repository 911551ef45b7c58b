//! Views and the queries that operators run.

use std::time::Duration;

use harkara_simulator::{Bodies, SimulatedEvent};
use harkara_testkit::TestDatabase;

use crate::records::{NOW, claimed, commit, deliver, event, payment, to_retry};

#[tokio::test]
async fn payloads_are_json_and_null_where_a_body_is_not() {
    let db = TestDatabase::migrated().await;
    let mut binary = event("binary", "");
    binary.body = vec![0xff, 0xfe, 0];
    let nul = event("nul", r#"{"event":"moon.landed","x":"a\u0000b"}"#);
    deliver(
        &db.pool(),
        &[
            &payment("json", "pay_1", "captured", 10),
            &event("text", "not json"),
            &binary,
            &nul,
        ],
    )
    .await;
    let found: Vec<String> = db
        .column(
            "SELECT razorpay_event_id || ' ' || coalesce(payload #>> '{payload,payment,entity,id}', 'null') \
             FROM webhook_event_payloads ORDER BY razorpay_event_id",
        )
        .await;
    assert_eq!(
        found,
        ["binary null", "json pay_1", "nul null", "text null"]
    );
    let counted: i64 = db
        .value("SELECT count(*) FROM webhook_event_payloads WHERE payload IS NULL")
        .await;
    assert_eq!(counted, 3);
}

/// Delivers a lifecycle backwards and gives what a view says of its one entity.
async fn latest(lifecycle: &[SimulatedEvent], view: &str) -> (String, String) {
    let db = TestDatabase::migrated().await;
    let pool = db.pool();
    for event in lifecycle.iter().rev() {
        deliver(&pool, &[event]).await;
    }
    let rows: Vec<String> = db
        .column(&format!(
            "SELECT status || ' ' || razorpay_event_id FROM {view}"
        ))
        .await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    let (status, id) = rows[0].split_once(' ').unwrap();
    (status.to_owned(), id.to_owned())
}

#[tokio::test]
async fn the_latest_state_is_picked_by_precedence_and_not_by_arrival() {
    let mut bodies = Bodies::new(9, NOW);
    for (lifecycle, view, status) in [
        (bodies.downtime_lifecycle(), "downtimes", "resolved"),
        (bodies.invoice_lifecycle(), "invoices", "paid"),
        (bodies.payment_link_lifecycle(), "payment_links", "paid"),
        (
            bodies.account_lifecycle(),
            "accounts",
            "activated_kyc_pending",
        ),
    ] {
        let last = lifecycle.last().unwrap().event_id.clone();
        assert_eq!(
            latest(&lifecycle, view).await,
            (status.to_owned(), last),
            "{view}"
        );
    }
}

#[tokio::test]
async fn a_validation_has_a_latest_state() {
    let lifecycle = [Bodies::new(9, NOW).event("fund_account.validation.completed")];
    assert_eq!(
        latest(&lifecycle, "fund_account_validations").await.0,
        "completed"
    );
}

#[tokio::test]
async fn the_operators_query_runs_unchanged() {
    let db = TestDatabase::migrated().await;
    let pool = db.pool();
    let mut stale = claimed(&payment("stale", "pay_3", "captured", 10));
    stale.claimed.received_at = harkara_core::time::ReceivedAt::from_millis(
        stale.claimed.received_at.millis() - 2 * 3_600_000,
    );
    let batch = vec![
        claimed(&payment("e1", "pay_1", "captured", 10)),
        claimed(&payment("e2", "pay_2", "captured", 10)),
        to_retry(
            &payment("e3", "pay_3", "captured", 10),
            Duration::from_mins(1),
        ),
        claimed(&event("e4", r#"{"event":"order.paid"}"#)),
        stale,
    ];
    commit(&pool, batch).await.map(drop).unwrap();
    let rows = db
        .rows(
            "SELECT event_type, COUNT(*) AS total,
       COUNT(CASE WHEN processed = true THEN 1 END) AS processed,
       COUNT(CASE WHEN processed = false THEN 1 END) AS pending
FROM webhook_events WHERE created_at >= NOW() - INTERVAL '1 hour' GROUP BY event_type",
        )
        .await;
    let mut rows: Vec<String> = rows;
    rows.sort();
    assert_eq!(
        rows,
        [
            r#"{"event_type":"order.paid","total":1,"processed":0,"pending":1}"#,
            r#"{"event_type":"payment.captured","total":3,"processed":2,"pending":1}"#,
        ]
    );
}
