//! `harkara secrets`.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use harkara_core::secret::{Fingerprint, Secret};
use harkara_core::time::ReceivedAt;
use harkara_storage::record::EventRecord;
use serde_json::{Value, json};

use crate::harkara::Harkara;
use crate::ledger::{database_with, processed};

const SECRETS: &str = "HARKARA__ENDPOINTS__DEFAULT__SECRETS";

fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(3)
}

/// An event that a secret verified some hours before `now`.
fn verified(id: &str, secret: Option<&str>, now: DateTime<Utc>, hours_ago: i64) -> EventRecord {
    let mut record = processed(id, "payment.captured", 0);
    let received_at = now - TimeDelta::hours(hours_ago);
    record.claimed.received_at = ReceivedAt::from_millis(received_at.timestamp_millis());
    record.claimed.secret_fingerprint = secret.map(|s| Fingerprint::of(&Secret::new(s)));
    record
}

fn print(secret: &str) -> String {
    Fingerprint::of(&Secret::new(secret)).to_string()
}

fn position_events_and_can_go(listed: &Value) -> Vec<Value> {
    let secrets = listed["secrets"].as_array().unwrap();
    let short = |s: &Value| json!([s["fingerprint"], s["position"], s["events"], s["can_go"]]);
    secrets.iter().map(short).collect()
}

#[tokio::test]
async fn each_secret_is_listed_with_its_events_and_its_last_use() {
    let now = now();
    let database = database_with(vec![
        verified("a", Some("new"), now, 1),
        verified("b", Some("new"), now, 26),
        verified("c", Some("old"), now, 30),
        verified("d", Some("older"), now, 3),
        verified("e", Some("gone"), now, 24 * 8),
    ])
    .await;
    let harkara = Harkara::on(&database)
        .with(SECRETS, "new,old,older")
        .with("HARKARA__ENDPOINTS__LIVE__SECRETS", "live");
    let listed = harkara.json(&["secrets", "--json"]).await;
    assert_eq!(
        position_events_and_can_go(&listed),
        [
            json!([print("new"), 0, 2, false]),
            json!([print("old"), 1, 1, true]),
            json!([print("older"), 2, 1, false]),
            json!([print("live"), 0, 0, false]),
        ]
    );
    assert_eq!(listed["days"], 7);
    assert_eq!(listed["unrecorded_events"], 0);
    let last_used =
        (now - TimeDelta::hours(30)).to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    assert_eq!(listed["secrets"][1]["last_used_at"], last_used);
    assert_eq!(listed["secrets"][3]["endpoint"], "live");
    assert_eq!(listed["secrets"][3]["last_used_at"], Value::Null);

    let more = harkara.json(&["secrets", "--days", "9", "--json"]).await;
    assert_eq!(
        position_events_and_can_go(&more)[3],
        json!([print("gone"), Value::Null, 1, false])
    );
}

#[tokio::test]
async fn an_old_secret_stays_until_a_newer_one_was_used_for_a_day_and_the_last_day_is_recorded() {
    let now = now();
    // What the old one signed may still be retried an hour after the new one came into use.
    for new_hours_ago in [None, Some(1)] {
        let new = new_hours_ago.map(|hours| verified("b", Some("new"), now, hours));
        let old = verified("a", Some("old"), now, 30);
        let database = database_with([old].into_iter().chain(new).collect()).await;
        let harkara = Harkara::on(&database).with(SECRETS, "new,old");
        let listed = harkara.json(&["secrets", "--json"]).await;
        assert_eq!(
            position_events_and_can_go(&listed)[1],
            json!([print("old"), 1, 1, false])
        );
    }

    let database = database_with(vec![
        verified("a", Some("old"), now, 30),
        verified("b", Some("new"), now, 26),
        verified("c", None, now, 2),
    ])
    .await;
    let harkara = Harkara::on(&database).with(SECRETS, "new,old");
    let listed = harkara.json(&["secrets", "--json"]).await;
    assert_eq!(
        position_events_and_can_go(&listed)[1],
        json!([print("old"), 1, 1, false])
    );
    assert_eq!(listed["unrecorded_events"], 1);
    let table = harkara.run(&["secrets"]).await.done().stdout();
    assert!(
        table.contains("1 event of these days came before"),
        "{table}"
    );
}
