//! Listing events and what they changed.

use harkara_storage::Pool;
use harkara_storage::ledger::{Change, EventFilter, EventStatus, changes, list};
use harkara_testkit::TestDatabase;

use crate::records::{bodies, claimed, commit, deliver, event, payment};

async fn listed(pool: &Pool, filter: &EventFilter) -> Vec<String> {
    list(pool, filter, 10)
        .await
        .unwrap()
        .into_iter()
        .map(|row| row.razorpay_event_id)
        .collect()
}

#[tokio::test]
async fn events_are_listed_newest_first_by_any_condition() {
    let db = TestDatabase::migrated().await;
    let pool = db.pool();
    let now = chrono::Utc::now();
    let events = [
        payment("e1", "pay_1", "failed", 10),
        payment("e2", "pay_1", "captured", 20),
        event("e3", "not json"),
        payment("e4", "pay_2", "captured", 20),
    ];
    for (event, seconds) in events.iter().zip(1..) {
        let mut record = claimed(event);
        record.claimed.received_at =
            harkara_core::time::ReceivedAt::from_millis(now.timestamp_millis() + seconds * 1000);
        if seconds == 4 {
            record.claimed.endpoint = "live".into();
        }
        commit(&pool, vec![record]).await.map(drop).unwrap();
    }
    let third = Some(now + chrono::Duration::milliseconds(2500));
    let all = EventFilter::default;
    let filters: &[(EventFilter, &[&str])] = &[
        (all(), &["e4", "e3", "e2", "e1"]),
        (
            EventFilter {
                status: Some(EventStatus::Failed),
                ..all()
            },
            &["e3"],
        ),
        (
            EventFilter {
                event_type: Some("payment.captured".to_owned()),
                ..all()
            },
            &["e4", "e2"],
        ),
        (
            EventFilter {
                account_id: Some("acc_1".to_owned()),
                ..all()
            },
            &["e4", "e2", "e1"],
        ),
        (
            EventFilter {
                endpoint: Some("live".to_owned()),
                ..all()
            },
            &["e4"],
        ),
        (
            EventFilter {
                entity_id: Some("pay_1".to_owned()),
                ..all()
            },
            &["e2", "e1"],
        ),
        (
            EventFilter {
                since: third,
                ..all()
            },
            &["e4", "e3"],
        ),
        (
            EventFilter {
                before: third,
                ..all()
            },
            &["e2", "e1"],
        ),
        (
            EventFilter {
                before: third,
                endpoint: Some("live".to_owned()),
                ..all()
            },
            &[],
        ),
    ];
    for (filter, expected) in filters {
        assert_eq!(&listed(&pool, filter).await, expected, "{filter:?}");
    }
    assert_eq!(list(&pool, &all(), 2).await.unwrap().len(), 2);
}

#[tokio::test]
async fn the_rows_that_an_event_changed_are_told() {
    let (db, mut bodies) = (TestDatabase::migrated().await, bodies());
    let pool = db.pool();
    let (paid, downtime) = (
        bodies.event("order.paid"),
        bodies.event("payment.downtime.started"),
    );
    deliver(&pool, &[&paid, &downtime]).await;
    let of = async |id: &str| -> Vec<(String, Option<String>)> {
        let changes: Vec<Change> = changes(&pool, &[id.to_owned()]).await.unwrap();
        changes
            .into_iter()
            .map(|change| (change.table_name, change.to_status))
            .collect()
    };
    assert_eq!(
        of(&paid.event_id).await,
        [
            ("payment_orders".to_owned(), Some("paid".to_owned())),
            (
                "payment_transactions".to_owned(),
                Some("captured".to_owned())
            )
        ]
    );
    assert_eq!(
        of(&downtime.event_id).await,
        [
            ("downtime_events".to_owned(), Some("started".to_owned())),
            ("entity_snapshots".to_owned(), Some("started".to_owned()))
        ]
    );
    let every: Vec<String> = [
        "invoice.paid",
        "fund_account.validation.completed",
        "account.instantly_activated",
        "payment_link.cancelled",
        "order.notification.delivered",
        "refund.created",
        "payment.dispute.won",
    ]
    .map(|name| bodies.event(name))
    .iter()
    .map(|event| event.event_id.clone())
    .collect();
    assert!(
        changes(&pool, &every).await.unwrap().is_empty(),
        "not delivered"
    );
}
