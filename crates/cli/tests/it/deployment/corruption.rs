//! The verification of a load finds every kind of corruption of the database.

use serde_json::Value;

use super::Deployment;
use super::load::{counts, load};

/// Sends a second of load to a deployment whose database runs a statement for the third row of a table.
/// Asserts the first counts, and that a fault contains `words`; returns the verdict.
///
/// The load has no duplicates: a sequence goes on when a conflict rolls a batch back, and the third row with it.
async fn found(trigger: (&str, &str, &str), mix: &str, first: &[u64], words: &str) -> Value {
    let (when, table, statement) = trigger;
    let deployment = Deployment::start(&[]).await;
    let trigger = format!(
        "CREATE SEQUENCE rows; \
         CREATE FUNCTION corrupt() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
           IF nextval('rows') = 3 THEN {statement}; END IF; RETURN NEW; END $$; \
         CREATE TRIGGER corrupt {when} INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION corrupt()"
    );
    deployment.database.execute(&trigger).await;
    let options = format!("--rate 50 --duration 1s --settle 3s --mix {mix}");
    let verdict = load(&deployment.harkara(), &options).await;
    assert_eq!(verdict["passed"], false, "{verdict}");
    assert_eq!(&counts(&verdict)[..first.len()], first, "{verdict}");
    let faults = verdict["audit"]["faults"].to_string();
    assert!(faults.contains(words), "{verdict}");
    verdict
}

/// A statement that inserts the row of the ledger once more, with these values for its id and time.
fn again(id: &str, time: &str) -> String {
    format!(
        "INSERT INTO webhook_events (razorpay_event_id, event_type, endpoint, lane, status, body, body_sha256, \
           signature, created_at) \
         VALUES ({id}, NEW.event_type, NEW.endpoint, NEW.lane, NEW.status, NEW.body, NEW.body_sha256, \
           NEW.signature, {time})"
    )
}

#[tokio::test]
async fn an_event_that_the_ledger_lost() {
    let lost = ("BEFORE", "webhook_events", "RETURN NULL");
    let verdict = found(lost, "realistic", &[1], "is not in the ledger").await;
    assert!(verdict["audit"]["settled_ms"].is_null());
}

#[tokio::test]
async fn a_body_with_other_bytes() {
    let altered = "NEW.body := NEW.body || ' '::bytea";
    let altered = ("BEFORE", "webhook_events", altered);
    found(altered, "realistic", &[0, 1], "").await;
}

#[tokio::test]
async fn an_event_that_the_ledger_has_twice() {
    let twice = again("NEW.razorpay_event_id", "NEW.created_at + interval '1 ms'");
    let twice = ("AFTER", "webhook_events", &*twice);
    found(twice, "realistic", &[0, 0, 1], "has 2 ledger rows").await;
}

#[tokio::test]
async fn a_body_that_the_ledger_has_under_a_second_id() {
    let twice = again("'another'", "NEW.created_at");
    let twice = ("AFTER", "webhook_events", &*twice);
    found(twice, "realistic", &[0, 0, 1], "more than one ledger row").await;
}

#[tokio::test]
async fn a_change_that_is_recorded_twice() {
    let twice = "INSERT INTO audit_logs SELECT NEW.*";
    let twice = ("AFTER", "audit_logs", twice);
    found(twice, "realistic", &[0, 0, 1, 0, 0], "2 rows of audit_logs").await;
}

#[tokio::test]
async fn a_change_that_is_not_recorded() {
    let lost = ("BEFORE", "audit_logs", "RETURN NULL");
    let words = "no row of audit_logs records";
    // Each of its events is the only one of its entities: the last change of an entity is looked for, not those before.
    found(lost, "payment.downtime.started", &[0, 0, 1, 0, 0], words).await;
}

#[tokio::test]
async fn an_amount_that_was_counted_twice() {
    let twice = "NEW.amount_refunded := NEW.amount_refunded + 100";
    let twice = ("BEFORE", "payment_transactions", twice);
    let words = "in payment_transactions is";
    found(twice, "realistic", &[0, 0, 1, 0, 0], words).await;
}

#[tokio::test]
async fn an_effect_that_did_not_happen() {
    let lost = ("BEFORE", "downtime_events", "RETURN NULL");
    let (mix, words) = ("payment.downtime.started", "no row in downtime_events");
    found(lost, mix, &[0, 0, 1, 0, 0], words).await;
}
