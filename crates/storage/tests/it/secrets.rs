//! Which secrets verified the received events.

use chrono::{TimeDelta, Utc};
use harkara_core::secret::{Fingerprint, Secret};
use harkara_storage::ledger::{END, Walk, secret_uses, stretch};
use harkara_storage::record::EventRecord;

use crate::records::{claimed_ago, payment};
use crate::store::Store;

/// An event of an endpoint that `secret` verified some days ago.
fn verified_by(secret: Option<&str>, endpoint: &str, event_id: &str, days_ago: i64) -> EventRecord {
    let event = payment(event_id, event_id, "captured", 10);
    let mut record = claimed_ago(&event, days_ago * 86_400);
    record.claimed.endpoint = endpoint.into();
    record.claimed.secret_fingerprint = secret.map(|s| Fingerprint::of(&Secret::new(s)));
    record
}

#[tokio::test]
async fn events_are_counted_by_endpoint_and_secret_within_the_days_asked_for() {
    let store = Store::migrated().await;
    let batch = vec![
        verified_by(Some("new"), "default", "a", 0),
        verified_by(Some("new"), "default", "b", 1),
        verified_by(Some("old"), "default", "c", 2),
        verified_by(Some("old"), "default", "d", 9),
        verified_by(Some("new"), "live", "e", 1),
        verified_by(None, "live", "f", 3),
    ];
    let received_c = batch[2].claimed.received_at.millis();
    store.commit(batch).await;

    let since = Utc::now() - TimeDelta::days(7);
    let week = stretch(&store.pool, &Walk::Events, since, END, 100).await;
    let uses = secret_uses(&store.pool, week.unwrap().unwrap()).await;
    let mut uses = uses.unwrap();
    uses.sort_by_key(|u| (u.endpoint.clone(), std::cmp::Reverse(u.last_used_at)));
    let counted: Vec<_> = uses
        .iter()
        .map(|u| (u.endpoint.as_str(), u.secret_fingerprint.clone(), u.events))
        .collect();
    let print = |secret: &str| Some(Fingerprint::of(&Secret::new(secret)).to_string());
    assert_eq!(
        counted,
        [
            ("default", print("new"), 2),
            ("default", print("old"), 1),
            ("live", print("new"), 1),
            ("live", None, 1),
        ]
    );
    assert_eq!(uses[1].last_used_at.timestamp_millis(), received_c);
    assert_eq!(uses[1].first_used_at, uses[1].last_used_at);
    assert!(uses[0].first_used_at < uses[0].last_used_at - TimeDelta::hours(23));
}
