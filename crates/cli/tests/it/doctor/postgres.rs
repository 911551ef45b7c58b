//! What is found on a PostgreSQL server, and of the schema.

use harkara_testkit::{PgBouncer, TestDatabase};

use super::{RISKS, Report, harkara, sound, sound_redis};

#[tokio::test]
async fn missing_and_invalid_indexes_are_named() {
    let (_redis, database, harkara) = sound().await;
    // An index made on the parent alone is invalid until every partition has its part.
    database
        .execute(
            "DROP INDEX payment_refunds_payment; DROP INDEX webhook_events_due; \
             CREATE INDEX webhook_events_due ON ONLY webhook_events (next_attempt_at) WHERE status = 'pending'; \
             ALTER TABLE event_identities DROP CONSTRAINT event_identities_body_sha256_key",
        )
        .await;
    let report = Report::of(&harkara, 1, "").await;
    assert_eq!(report.with_status("problem"), ["schema: indexes"; 3]);
    let of_indexes = report.findings.iter().filter(|f| f["check"] == "indexes");
    let found: Vec<&str> = of_indexes.map(|f| f["told"].as_str().unwrap()).collect();
    assert!(found[0].contains("event_identities_body_sha256_key") && found[0].contains("twice"));
    assert!(found[1].contains("payment_refunds_payment of payment_refunds is missing"));
    assert!(found[2].contains("webhook_events_due of webhook_events is INVALID"));
}

#[tokio::test]
async fn a_locked_table_its_locker_and_a_missing_privilege_are_named() {
    let (_redis, database, harkara) = sound().await;
    database
        .execute(
            "REVOKE INSERT ON payment_refunds FROM CURRENT_USER; \
             SET application_name = 'nightly-report'",
        )
        .await;
    database
        .execute("BEGIN; LOCK TABLE payment_disputes IN ACCESS EXCLUSIVE MODE")
        .await;
    let pid: i32 = database.value("SELECT pg_backend_pid()").await;
    let report = Report::of(&harkara, 1, "").await;
    assert_eq!(report.with_status("problem"), ["schema: tables"; 2]);
    let of_tables = report.findings.iter().filter(|f| f["check"] == "tables");
    let found: Vec<&str> = of_tables.map(|f| f["told"].as_str().unwrap()).collect();
    let lock = format!(
        "process {pid} (nightly-report) of role harkara has AccessExclusiveLock on payment_disputes"
    );
    assert!(found[0].starts_with(&lock), "{found:?}");
    assert!(
        found[1].contains("lacks INSERT on payment_refunds"),
        "{found:?}"
    );
}

#[tokio::test]
async fn months_without_partitions_are_a_warning_since_a_worker_makes_them() {
    let (_redis, database, harkara) = sound().await;
    database
        .execute(
            "DO $$ BEGIN EXECUTE 'DROP TABLE audit_logs_' \
               || to_char((now() AT TIME ZONE 'UTC') + interval '1 month', 'YYYY_MM'); END $$; \
             INSERT INTO audit_logs (at, actor, action, entity_type, entity_id) \
               VALUES ('2020-01-01', 'nobody', 'replay', 'event', 'x')",
        )
        .await;
    let report = Report::of(&harkara, 0, "").await;
    let partitions = ["schema: partitions"; 2];
    assert_eq!(report.with_status("warning"), [RISKS, partitions].concat());
    Report::of(&harkara, 1, "--strict").await;
}

#[tokio::test]
async fn a_read_only_database_is_a_problem_and_is_enough_to_examine_it() {
    let (_redis, database, harkara) = sound().await;
    database
        .execute(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', \
               current_database()); END $$",
        )
        .await;
    let report = Report::of(&harkara, 1, "").await;
    assert_eq!(report.with_status("problem"), ["postgres: role"]);
    report.has_remedy("postgres: role", "default_transaction_read_only");
    // Everything else was answered: no check writes.
    assert_eq!(report.with_status("warning"), RISKS);
}

#[tokio::test]
async fn a_pooler_is_seen_whatever_the_settings_say() {
    let (redis, database) = (sound_redis(&[]).await, TestDatabase::migrated().await);
    let pooler = PgBouncer::before(&database.url, &[]).await;
    let harkara = harkara(&redis.url(), &pooler.url(&database.url));
    let report = Report::of(&harkara, 0, "").await;
    report.finds("postgres: pooler", "there is one");
    report.finds("postgres: connections", "to the pooler");
    assert_eq!(report.with_status("warning"), RISKS);

    let denied = harkara.with("HARKARA__POSTGRES__POOLER", "none");
    let report = Report::of(&denied, 0, "").await;
    report.has_remedy("postgres: pooler", "auto");
}
