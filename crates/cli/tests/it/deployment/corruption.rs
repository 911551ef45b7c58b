//! The audit finds every way in which a database is spoilt.

use serde_json::Value;

use super::{Deployment, counts, faults};

/// Sends a second of load to a deployment whose database does what `sql` makes it do.
async fn spoilt(sql: &str) -> Value {
    let deployment = Deployment::start().await;
    deployment.execute(sql).await;
    let verdict = deployment
        .load(&[
            "--rate",
            "50",
            "--duration",
            "1s",
            "--settle",
            "3s",
            "--duplicates",
            "10",
        ])
        .await;
    assert_eq!(verdict["passed"], false, "{verdict}");
    deployment.ingress.stop().await;
    verdict
}

/// A trigger on a table that runs a statement.
fn trigger(table: &str, when: &str, statement: &str) -> String {
    format!(
        "CREATE SEQUENCE spoilt; \
         CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {statement} RETURN NEW; END $$; \
         CREATE TRIGGER spoil {when} INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION spoil()"
    )
}

#[tokio::test]
async fn an_event_that_the_ledger_lost_is_found() {
    let drop_one = "IF nextval('spoilt') = 3 THEN RETURN NULL; END IF;";
    let verdict = spoilt(&trigger("webhook_events", "BEFORE", drop_one)).await;
    assert_eq!(counts(&verdict)[0], 1, "{verdict}");
    assert!(
        faults(&verdict).contains("is not in the ledger"),
        "{verdict}"
    );
    assert!(verdict["audit"]["settled_ms"].is_null());
}

#[tokio::test]
async fn a_body_that_is_stored_with_other_bytes_is_found() {
    let alter_one = "IF nextval('spoilt') = 3 THEN NEW.body := NEW.body || ' '::bytea; END IF;";
    let verdict = spoilt(&trigger("webhook_events", "BEFORE", alter_one)).await;
    assert_eq!(counts(&verdict)[..2], [0, 1], "{verdict}");
}

#[tokio::test]
async fn an_event_that_the_ledger_has_twice_is_found() {
    let repeat_one = "IF nextval('spoilt') = 3 THEN \
        INSERT INTO webhook_events (razorpay_event_id, event_type, endpoint, lane, status, body, body_sha256, signature, created_at) \
        VALUES (NEW.razorpay_event_id, NEW.event_type, NEW.endpoint, NEW.lane, NEW.status, NEW.body, NEW.body_sha256, NEW.signature, \
                NEW.created_at + interval '1 ms'); END IF;";
    let verdict = spoilt(&trigger("webhook_events", "AFTER", repeat_one)).await;
    assert_eq!(counts(&verdict)[..3], [0, 0, 1], "{verdict}");
    assert!(faults(&verdict).contains("has 2 ledger rows"), "{verdict}");
}

#[tokio::test]
async fn a_body_that_the_ledger_has_under_a_second_id_is_found() {
    let other_id = "IF nextval('spoilt') = 3 THEN \
        INSERT INTO webhook_events (razorpay_event_id, event_type, endpoint, lane, status, body, body_sha256, signature, created_at) \
        VALUES ('another', NEW.event_type, NEW.endpoint, NEW.lane, NEW.status, NEW.body, NEW.body_sha256, NEW.signature, \
                NEW.created_at); END IF;";
    let verdict = spoilt(&trigger("webhook_events", "AFTER", other_id)).await;
    assert_eq!(counts(&verdict)[..3], [0, 0, 1], "{verdict}");
    assert!(
        faults(&verdict).contains("more than one ledger row"),
        "{verdict}"
    );
}

#[tokio::test]
async fn a_change_that_is_told_twice_is_found() {
    let repeat_one = "IF pg_trigger_depth() = 1 AND nextval('spoilt') = 3 THEN INSERT INTO audit_logs SELECT NEW.*; END IF;";
    let verdict = spoilt(&trigger("audit_logs", "AFTER", repeat_one)).await;
    assert_eq!(counts(&verdict), [0, 0, 1, 0, 0], "{verdict}");
    assert!(
        faults(&verdict).contains("2 rows of audit_logs"),
        "{verdict}"
    );
}

#[tokio::test]
async fn a_change_that_is_not_told_is_found() {
    let drop_one = "IF nextval('spoilt') = 3 THEN RETURN NULL; END IF;";
    let verdict = spoilt(&trigger("audit_logs", "BEFORE", drop_one)).await;
    assert_eq!(counts(&verdict), [0, 0, 1, 0, 0], "{verdict}");
    assert!(
        faults(&verdict).contains("no row of audit_logs records"),
        "{verdict}"
    );
}

#[tokio::test]
async fn an_amount_that_was_counted_twice_is_found() {
    let double_one =
        "IF nextval('spoilt') = 3 THEN NEW.amount_refunded := NEW.amount_refunded + 100; END IF;";
    let verdict = spoilt(&trigger("payment_transactions", "BEFORE", double_one)).await;
    assert_eq!(counts(&verdict), [0, 0, 1, 0, 0], "{verdict}");
    assert!(
        faults(&verdict).contains("in payment_transactions is"),
        "{verdict}"
    );
}

#[tokio::test]
async fn an_effect_that_did_not_happen_is_found() {
    let drop_one = "IF nextval('spoilt') = 1 THEN RETURN NULL; END IF;";
    let deployment = Deployment::start().await;
    deployment
        .execute(&trigger("downtime_events", "BEFORE", drop_one))
        .await;
    let arguments = [
        "--rate",
        "20",
        "--duration",
        "1s",
        "--mix",
        "payment.downtime.started",
    ];
    let verdict = deployment.load(&arguments).await;
    assert_eq!(counts(&verdict), [0, 0, 1, 0, 0], "{verdict}");
    assert!(
        faults(&verdict).contains("no row in downtime_events"),
        "{verdict}"
    );
    deployment.ingress.stop().await;
}
