//! One table that cannot be written does not hold up the events of the others.

use std::time::Duration;

use harkara_testkit::{TestDatabase, ask_admin};

use crate::pipeline::{Pipeline, until};

/// Events that the ledger keeps until their table can be written, of which no attempt counts.
const POSTPONED: &str = "webhook_events WHERE status = 'pending' AND attempts = 0 \
    AND error LIKE 'postponed while payment_disputes cannot be written: %'";

/// Whatever an event had applied twice, or was blamed for.
const WRONG: &str = "webhook_events WHERE status = 'failed' OR attempts <> 1 OR duplicates > 0 \
    OR error IS NOT NULL";

/// The longest time from receipt to commit of a payment, in seconds.
const SLOWEST_PAYMENT: &str = "SELECT max(extract(epoch FROM processed_at - created_at))::float8 \
    FROM webhook_events WHERE event_type LIKE 'payment.captured'";

/// The promise is a second. The rest is for a machine that also runs other tests; before, a payment waited for
/// as long as the lock was held.
const COMMITTED_WITHIN_S: f64 = 5.0;

const LOCKED_FOR: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_locked_table_holds_up_its_own_events_only() {
    let mut pipeline = Pipeline::start().await;
    let worker = pipeline.worker(&[]).await;
    pipeline.lock("payment_disputes").await;
    let locked_at = std::time::Instant::now();
    let mut delivered = 0;
    while locked_at.elapsed() < LOCKED_FOR {
        pipeline.deliver_new("payment.dispute.created", 1).await;
        pipeline.deliver_payments(2).await;
        delivered += 1;
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let payments = "webhook_events WHERE status = 'processed' AND event_type = 'payment.captured'";
    until("every payment is processed", async || {
        pipeline.count(payments).await == 2 * delivered
    })
    .await;
    until("every dispute waits in the ledger", async || {
        pipeline.count(POSTPONED).await == delivered
    })
    .await;
    let slowest: f64 = pipeline.database.value(SLOWEST_PAYMENT).await;
    assert!(slowest < COMMITTED_WITHIN_S, "{slowest} s");
    pipeline.until_drained().await;

    let ready = ask_admin(worker.admin, "/readyz").await.unwrap();
    for told in [
        "\"status\":\"degraded\"",
        "payment_disputes cannot be written",
        "AccessExclusiveLock on payment_disputes",
    ] {
        assert!(ready.contains(told), "{told} in {ready}");
    }
    assert!(worker.counter(UNAVAILABLE).await == 1);
    assert!(worker.counter(COUNTED).await >= delivered.unsigned_abs());

    pipeline.unlock().await;
    pipeline.until_processed(3 * delivered).await;
    assert_eq!(pipeline.count("payment_disputes").await, delivered);
    assert_eq!(pipeline.count(WRONG).await, 0);
    until("the worker knows", async || {
        worker.counter(UNAVAILABLE).await == 0
    })
    .await;
    let ready = ask_admin(worker.admin, "/readyz").await.unwrap();
    assert!(ready.contains("\"status\":\"ready\""), "{ready}");
    worker.stop().await;
}

const UNAVAILABLE: &str = "harkara_worker_table_unavailable{table=\"payment_disputes\"}";
const COUNTED: &str = "harkara_worker_events_postponed_total{table=\"payment_disputes\"}";

#[tokio::test]
async fn events_whose_table_cannot_be_written_wait_without_an_attempt() {
    for (breaks, mends) in [
        (
            "REVOKE UPDATE ON payment_disputes FROM CURRENT_USER",
            "GRANT UPDATE ON payment_disputes TO CURRENT_USER",
        ),
        (
            "ALTER TABLE payment_disputes RENAME TO elsewhere",
            "ALTER TABLE elsewhere RENAME TO payment_disputes",
        ),
        (
            "ALTER TABLE payment_disputes RENAME phase TO stage",
            "ALTER TABLE payment_disputes RENAME stage TO phase",
        ),
    ] {
        let mut pipeline = Pipeline::start().await;
        pipeline.database.execute(breaks).await;
        let worker = pipeline.worker(&[("worker.attempts_max", "1")]).await;
        pipeline.deliver_new("payment.dispute.created", 5).await;
        pipeline.deliver_payments(5).await;
        pipeline.until_events("processed", 5).await;
        until("the disputes wait", async || {
            pipeline.count(POSTPONED).await == 5
        })
        .await;
        pipeline.database.execute(mends).await;
        pipeline.until_processed(10).await;
        assert_eq!(pipeline.count("payment_disputes").await, 5, "{breaks}");
        assert_eq!(pipeline.count(WRONG).await, 0, "{breaks}");
        worker.stop().await;
    }
}

/// Many have to wait: they do not come due by themselves for a while, and are recalled once one was applied.
#[tokio::test]
async fn events_that_waited_are_recalled_when_their_table_can_be_written() {
    let mut pipeline = Pipeline::start().await;
    let worker = pipeline.worker(&[]).await;
    pipeline.lock("payment_disputes").await;
    pipeline.deliver_new("payment.dispute.created", 20).await;
    until("they wait", async || pipeline.count(POSTPONED).await == 20).await;
    // All but one wait as if thousands did.
    let most = "UPDATE webhook_events SET next_attempt_at = next_attempt_at + interval '1 day' \
        WHERE razorpay_event_id > (SELECT min(razorpay_event_id) FROM webhook_events)";
    let other = TestDatabase::at(pipeline.database.url.clone()).await;
    other.execute(most).await;
    pipeline.unlock().await;
    pipeline.until_processed(20).await;
    assert_eq!(pipeline.count(WRONG).await, 0);
    worker.stop().await;
}

/// An operator's open transaction has changed one row, and the events of the other rows are not held up.
#[tokio::test]
async fn a_locked_row_holds_up_its_own_events_only() {
    let pipeline = Pipeline::start().await;
    let worker = pipeline.worker(&[]).await;
    pipeline
        .deliver_body("first", dispute("disp_locked", "open"))
        .await;
    pipeline.until_processed(1).await;
    pipeline
        .database
        .execute("BEGIN; SELECT 1 FROM payment_disputes FOR UPDATE")
        .await;
    pipeline
        .deliver_body("second", dispute("disp_locked", "won"))
        .await;
    for n in 0..5 {
        let id = format!("other{n}");
        pipeline
            .deliver_body(&id, dispute(&format!("disp_{n}"), "open"))
            .await;
    }
    pipeline.until_events("processed", 6).await;
    until("the event of the locked row waits", async || {
        pipeline.count(POSTPONED).await == 1
    })
    .await;
    pipeline.until_drained().await;
    pipeline.unlock().await;
    pipeline.until_processed(7).await;
    let status = "SELECT status FROM payment_disputes WHERE dispute_id = 'disp_locked'";
    assert_eq!(pipeline.text(status).await, "won");
    assert_eq!(pipeline.count(WRONG).await, 0);
    worker.stop().await;
}

/// Each attempt to write a locked row waits half a second, so there are few: two for the whole batch, then one for
/// each half that has the row.
#[tokio::test]
async fn a_locked_row_is_waited_for_once_for_each_half_of_a_batch() {
    let pipeline = Pipeline::start().await;
    let count_statements = "CREATE SEQUENCE statements; \
        CREATE FUNCTION counted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
          PERFORM nextval('statements'); RETURN NULL; END $$; \
        CREATE TRIGGER counts BEFORE INSERT ON payment_disputes FOR EACH STATEMENT EXECUTE FUNCTION counted()";
    pipeline.database.execute(count_statements).await;
    let worker = pipeline.worker(&[]).await;
    pipeline
        .deliver_body("first", dispute("disp_locked", "open"))
        .await;
    pipeline.until_processed(1).await;
    worker.stop().await;
    pipeline
        .database
        .execute("BEGIN; SELECT 1 FROM payment_disputes FOR UPDATE")
        .await;
    pipeline
        .deliver_body("second", dispute("disp_locked", "won"))
        .await;
    for n in 0..7 {
        let id = format!("other{n}");
        pipeline
            .deliver_body(&id, dispute(&format!("disp_{n}"), "open"))
            .await;
    }
    let worker = pipeline.worker(&[]).await;
    until("the event of the locked row waits", async || {
        pipeline.count(POSTPONED).await == 1 && pipeline.events("processed").await == 8
    })
    .await;
    let statements = "SELECT last_value FROM statements";
    let statements: i64 = pipeline.database.value(statements).await;
    // The first event; the batch twice; and both halves of the batch, of the half and of the quarter.
    assert!(statements <= 1 + 2 + 6, "{statements}");
    worker.stop().await;
    pipeline.unlock().await;
}

/// A page is damaged: the other events of the family are not held up. If many are, the table is unavailable.
#[tokio::test]
async fn damage_holds_up_the_events_whose_rows_are_damaged_only() {
    let pipeline = Pipeline::start().await;
    let damage = "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
          RAISE EXCEPTION USING ERRCODE = 'XX001', MESSAGE = 'invalid page'; END $$; \
        CREATE TRIGGER fails BEFORE INSERT OR UPDATE ON payment_disputes FOR EACH ROW \
          WHEN (NEW.dispute_id LIKE 'disp_damaged%') EXECUTE FUNCTION fail()";
    pipeline.database.execute(damage).await;
    let deliver = async |id: &str| pipeline.deliver_body(id, dispute(id, "open")).await;
    deliver("disp_damaged").await;
    for n in 0..7 {
        deliver(&format!("disp_{n}")).await;
    }
    let worker = pipeline.worker(&[]).await;
    pipeline.until_events("processed", 7).await;
    until("the event of the damaged row waits", async || {
        pipeline.count(POSTPONED).await == 1
    })
    .await;
    assert_eq!(worker.counter(UNAVAILABLE).await, 0);
    worker.stop().await;

    for n in 0..7 {
        deliver(&format!("disp_damaged_{n}")).await;
    }
    let worker = pipeline.worker(&[]).await;
    until("the table is unavailable", async || {
        worker.counter(UNAVAILABLE).await == 1
    })
    .await;
    pipeline
        .database
        .execute("DROP TRIGGER fails ON payment_disputes")
        .await;
    pipeline.until_processed(15).await;
    assert_eq!(pipeline.count(WRONG).await, 0);
    worker.stop().await;
}

fn dispute(id: &str, status: &str) -> String {
    let name = if status == "open" { "created" } else { status };
    format!(
        r#"{{"event":"payment.dispute.{name}","created_at":1764000000,"payload":{{"dispute":{{"entity":{{"id":"{id}","payment_id":"pay_{id}","status":"{status}","phase":"chargeback"}}}}}}}}"#
    )
}
