//! `harkara secrets`.

use chrono::{DateTime, SecondsFormat, SubsecRound, TimeDelta, Utc};
use harkara_core::secret::{Fingerprint, Secret};
use harkara_core::time::ReceivedAt;
use harkara_operations::Looked;
use harkara_operations::secrets::secrets;
use harkara_settings::Settings;
use harkara_testkit::TestDatabase;
use serde_json::{Value, json};

use crate::harkara::{Harkara, SECRETS};
use crate::ledger::{database_with, processed};

/// A database with an event for each of these secrets, verified some hours before `now`.
pub(crate) async fn verified(now: DateTime<Utc>, secrets: &[(Option<&str>, i64)]) -> TestDatabase {
    let secrets = secrets.iter().enumerate();
    let records = secrets.map(|(at, &(secret, hours_ago))| {
        let mut record = processed(&format!("evt-{at}"), "payment.captured", 0);
        let received_at = now - TimeDelta::hours(hours_ago);
        record.claimed.received_at = ReceivedAt::from_millis(received_at.timestamp_millis());
        record.claimed.secret_fingerprint = secret.map(|s| Fingerprint::of(&Secret::new(s)));
        record
    });
    database_with(records.collect()).await
}

/// Whether the secret at this place is listed with this position, these events, and as one that can go.
fn assert_listed(listed: &Value, at: usize, secret: &str, expected: (Option<u32>, u32, bool)) {
    let listed = &listed["secrets"][at];
    let fingerprint = Fingerprint::of(&Secret::new(secret)).to_string();
    assert_eq!(listed["fingerprint"], fingerprint, "{listed}");
    let members = json!([listed["position"], listed["events"], listed["can_go"]]);
    assert_eq!(members, json!(expected), "{listed}");
}

#[tokio::test]
async fn each_secret_is_listed_with_its_events_and_its_last_use() {
    let now = Utc::now().trunc_subsecs(3);
    let uses = [
        ("new", 1),
        ("new", 26),
        ("old", 30),
        ("older", 3),
        ("gone", 8 * 24),
    ];
    let database = verified(now, &uses.map(|(secret, hours)| (Some(secret), hours))).await;
    let harkara = Harkara::on(&database)
        .with(SECRETS, "new,old,older")
        .with("HARKARA__ENDPOINTS__LIVE__SECRETS", "live");
    let listed = harkara.json("secrets --json").await;
    for (at, secret, expected) in [
        (0, "new", (Some(0), 2, false)),
        (1, "old", (Some(1), 1, true)),
        (2, "older", (Some(2), 1, false)),
        (3, "live", (Some(0), 0, false)),
    ] {
        assert_listed(&listed, at, secret, expected);
    }
    assert_eq!(listed["secrets"].as_array().unwrap().len(), 4);
    assert_eq!(listed["days"], 7);
    assert_eq!(listed["unrecorded_events"], 0);
    let last_used = (now - TimeDelta::hours(30)).to_rfc3339_opts(SecondsFormat::Micros, true);
    assert_eq!(listed["secrets"][1]["last_used_at"], last_used);
    assert_eq!(listed["secrets"][3]["endpoint"], "live");
    assert_eq!(listed["secrets"][3]["last_used_at"], Value::Null);

    let more = harkara.json("secrets --days 9 --json").await;
    assert_listed(&more, 3, "gone", (None, 1, false));
}

#[tokio::test]
async fn an_old_secret_stays_until_a_newer_one_was_used_for_a_day_and_the_last_day_is_recorded() {
    // Deliveries that the old one signed may still be retried an hour after the new one came into use.
    for (uses, unrecorded) in [
        (&[(Some("old"), 30)][..], 0),
        (&[(Some("old"), 30), (Some("new"), 1)], 0),
        (&[(Some("old"), 30), (Some("new"), 26), (None, 2)], 1),
    ] {
        let database = verified(Utc::now(), uses).await;
        let harkara = Harkara::on(&database).with(SECRETS, "new,old");
        let listed = harkara.json("secrets --json").await;
        assert_listed(&listed, 1, "old", (Some(1), 1, false));
        assert_eq!(listed["unrecorded_events"], unrecorded);
        let table = harkara.stdout("secrets").await;
        let note = "1 event of these days came before";
        assert_eq!(table.contains(note), unrecorded == 1, "{table}");
    }
}

#[tokio::test]
async fn a_secret_that_is_used_during_the_walk_cannot_go() {
    let now = Utc::now();
    let database = verified(now, &[(Some("new"), 26), (Some("old"), 30)]).await;
    let settings = Settings::from_pairs([("endpoints.default.secrets", "new,old")]).unwrap();
    let pool = database.pool();
    let untouched = secrets(&pool, &settings, 7, now, |_| {}).await.unwrap();
    assert!(untouched.secrets[1].can_go, "{untouched:?}");

    let (url, used) = (database.url.clone(), Fingerprint::of(&Secret::new("old")));
    let use_it = format!(
        "UPDATE webhook_events SET created_at = now() WHERE secret_fingerprint = '{used}' AND created_at < now() - interval '1 day'"
    );
    let meanwhile = |_: &Looked| {
        let (url, use_it) = (url.clone(), use_it.clone());
        // The walk waits for it.
        let using = std::thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime.enable_all();
            let using = async { TestDatabase::at(url).await.execute(&use_it).await };
            runtime.build().unwrap().block_on(using);
        });
        using.join().unwrap();
    };
    let report = secrets(&pool, &settings, 7, now, meanwhile).await.unwrap();
    assert!(!report.secrets[1].can_go, "{report:?}");
}
