//! Listing events and their changes.

use chrono::{TimeDelta, Utc};
use harkara_storage::ledger::{
    BEGINNING, END, EventFilter, EventStatus, Source, Walk, changes, few_are_pending, list, stretch,
};

use crate::records::{bodies, claimed_ago, event, payment, retries};
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
    let third = now + TimeDelta::seconds(25);
    let all = EventFilter::all;
    let (mut status, mut name, mut account, mut endpoint) = (all(), all(), all(), all());
    let (mut since, mut before, mut two) = (all(), all(), all());
    status.status = Some(EventStatus::Failed);
    name.event_type = text("payment.captured");
    account.account_id = text("acc_1");
    endpoint.endpoint = text("live");
    since.since = third;
    before.before = third;
    (two.before, two.endpoint) = (third, text("live"));
    let walk = Walk::ChangesOf("pay_1".to_owned());
    let changes = stretch(&store.pool, &walk, BEGINNING, END, 10).await;
    let of_entity = Source::Changes("pay_1", changes.unwrap().unwrap());
    let filters: &[(EventFilter, Source<'_>, &[&str])] = &[
        (all(), Source::Ledger, &["e4", "e3", "e2", "e1"]),
        (status.clone(), Source::Ledger, &["e3"]),
        (status, Source::Pending(10), &[]),
        (name.clone(), Source::Ledger, &["e4", "e2"]),
        (name, of_entity, &["e2"]),
        (account, Source::Ledger, &["e4", "e2", "e1"]),
        (endpoint, Source::Ledger, &["e4"]),
        (all(), of_entity, &["e2", "e1"]),
        (all(), Source::Pending(10), &[]),
        (since, Source::Ledger, &["e4", "e3"]),
        (before, Source::Ledger, &["e2", "e1"]),
        (two, Source::Ledger, &[]),
    ];
    for (filter, source, expected) in filters {
        let rows = list(&store.pool, filter, *source, 10).await.unwrap();
        let ids = rows.iter().map(|row| row.razorpay_event_id.as_str());
        assert_eq!(&ids.collect::<Vec<_>>(), expected, "{filter:?} {source:?}");
    }
    let two = list(&store.pool, &all(), Source::Ledger, 2).await.unwrap();
    assert_eq!(two.len(), 2);
}

#[tokio::test]
async fn a_walk_looks_at_every_row_once_however_many_share_an_instant() {
    let store = Store::migrated().await;
    store
        .execute(
            "INSERT INTO webhook_events (razorpay_event_id, event_type, endpoint, lane, status, body, body_sha256, \
               signature, created_at) \
             SELECT 'e' || n, 'made.up', 'default', 'default', CASE WHEN n % 10 = 0 THEN 'failed' ELSE 'processed' END, \
               '{}', '', '', now() - n / 7 * interval '1 day' FROM generate_series(0, 99) n",
        )
        .await;
    for (walk, expected) in [(Walk::Events, 100), (Walk::DeadLetters, 10)] {
        let (mut before, mut ids, mut rows) = (END, Vec::new(), 0);
        let status = (walk == Walk::DeadLetters).then_some(EventStatus::Failed);
        while let Some(stretch) = stretch(&store.pool, &walk, BEGINNING, before, 3)
            .await
            .unwrap()
        {
            let filter = EventFilter {
                status,
                since: stretch.from,
                before: stretch.before,
                ..EventFilter::all()
            };
            let found = list(&store.pool, &filter, Source::Ledger, 100)
                .await
                .unwrap();
            assert!(found.len() as u64 >= stretch.rows);
            ids.extend(found.into_iter().map(|row| row.razorpay_event_id));
            (before, rows) = (stretch.from, rows + stretch.rows);
            if stretch.is_last {
                break;
            }
        }
        assert!(rows <= expected);
        ids.sort_unstable();
        assert_eq!(ids.len() as u64, expected);
    }
    let none = stretch(&store.pool, &Walk::Events, BEGINNING, BEGINNING, 3).await;
    assert_eq!(none.unwrap(), None);
}

#[tokio::test]
async fn pending_events_are_counted_only_as_far_as_they_are_few() {
    let store = Store::migrated().await;
    store.commit(retries(3)).await;
    assert!(few_are_pending(&store.pool, 3).await.unwrap());
    assert!(!few_are_pending(&store.pool, 2).await.unwrap());
    for pending_max in [2, 3] {
        let source = Source::Pending(pending_max);
        let pending = list(&store.pool, &EventFilter::all(), source, 10).await;
        assert_eq!(pending.unwrap().len(), pending_max as usize);
    }
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
