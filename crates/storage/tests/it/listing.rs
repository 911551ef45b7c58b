//! Listing events and their changes.

use chrono::{TimeDelta, Utc};
use harkara_storage::ledger::{EventFilter, EventStatus, changes, list};

use crate::records::{bodies, claimed_ago, event, payment};
use crate::store::Store;

#[tokio::test]
async fn events_are_listed_newest_first_by_any_condition() {
    let store = Store::migrated().await;
    let now = Utc::now();
    let events = [
        payment("e1", "pay_1", "failed", 10),
        payment("e2", "pay_1", "captured", 20),
        event("e3", "not json"),
        payment("e4", "pay_2", "captured", 20),
    ];
    for (event, n) in events.iter().zip(1..) {
        let mut record = claimed_ago(event, -10 * n);
        if n == 4 {
            record.claimed.endpoint = "live".into();
        }
        store.commit(vec![record]).await;
    }
    let text = |value: &str| Some(value.to_owned());
    let third = Some(now + TimeDelta::seconds(25));
    let all = EventFilter::default;
    let (mut status, mut name, mut account, mut endpoint) = (all(), all(), all(), all());
    let (mut entity, mut since, mut before, mut two) = (all(), all(), all(), all());
    status.status = Some(EventStatus::Failed);
    name.event_type = text("payment.captured");
    account.account_id = text("acc_1");
    endpoint.endpoint = text("live");
    entity.entity_id = text("pay_1");
    since.since = third;
    before.before = third;
    (two.before, two.endpoint) = (third, text("live"));
    let filters: &[(EventFilter, &[&str])] = &[
        (all(), &["e4", "e3", "e2", "e1"]),
        (status, &["e3"]),
        (name, &["e4", "e2"]),
        (account, &["e4", "e2", "e1"]),
        (endpoint, &["e4"]),
        (entity, &["e2", "e1"]),
        (since, &["e4", "e3"]),
        (before, &["e2", "e1"]),
        (two, &[]),
    ];
    for (filter, expected) in filters {
        let rows = list(&store.pool, filter, 10).await.unwrap();
        let ids = rows.iter().map(|row| row.razorpay_event_id.as_str());
        assert_eq!(&ids.collect::<Vec<_>>(), expected, "{filter:?}");
    }
    assert_eq!(list(&store.pool, &all(), 2).await.unwrap().len(), 2);
}

#[tokio::test]
async fn the_changes_of_an_event_are_listed() {
    let (store, mut bodies) = (Store::migrated().await, bodies());
    for (name, expected) in [
        (
            "order.paid",
            ["payment_orders paid", "payment_transactions captured"],
        ),
        (
            "payment.downtime.started",
            ["downtime_events started", "entity_snapshots started"],
        ),
    ] {
        let event = bodies.event(name);
        store.deliver([&event]).await;
        let changes = changes(&store.pool, &[event.event_id]).await.unwrap();
        let changes = changes.iter().map(|change| {
            let status = change.to_status.as_deref().unwrap_or_default();
            format!("{} {status}", change.table_name)
        });
        assert_eq!(changes.collect::<Vec<_>>(), expected);
    }
    let undelivered = [
        "invoice.paid",
        "fund_account.validation.completed",
        "account.instantly_activated",
        "payment_link.cancelled",
        "order.notification.delivered",
        "refund.created",
        "payment.dispute.won",
    ]
    .map(|name| bodies.event(name).event_id);
    assert!(changes(&store.pool, &undelivered).await.unwrap().is_empty());
}
