//! What is found on a PostgreSQL server, and of the schema.

use harkara_testkit::TestDatabase;

use super::report::{RISKS, Report, away, harkara, sound_redis};

#[tokio::test]
async fn while_postgresql_is_away_redis_is_still_told_of_and_no_password_is() {
    let redis = sound_redis(&[]).await;
    let ran = harkara(&redis.url(), &away("postgres"))
        .run(&["doctor", "--json"])
        .await
        .ended_with(1);
    assert!(!ran.stdout().contains("hunter2"), "{ran:?}");
    let report = Report::read(&ran);
    assert_eq!(report.with_status("problem"), ["postgres: reachable"]);
    report.tells("postgres", "reachable", "127.0.0.1:");
    report.tells("redis", "takes deliveries", "allowed");
    report.tells("streams", "consumers", "0 workers");
}

#[tokio::test]
async fn a_schema_that_is_missing_is_told_with_its_remedy_alone() {
    let redis = sound_redis(&[]).await;
    let db = TestDatabase::empty().await;
    let harkara = harkara(&redis.url(), &db.url);
    let report = Report::of(&harkara, 1, &[]).await;
    assert_eq!(report.with_status("problem"), ["schema: version"]);
    report.has_remedy("schema", "version", "harkara migrate");
    assert!(report.findings.iter().all(|f| f["check"] != "indexes"));

    harkara.run(&["migrate"]).await.done();
    let report = Report::of(&harkara, 0, &[]).await;
    assert_eq!(report.with_status("warning"), RISKS);
}

#[tokio::test]
async fn indexes_that_are_missing_or_invalid_are_named() {
    let redis = sound_redis(&[]).await;
    let db = TestDatabase::migrated().await;
    // An index made on the parent alone is invalid until every partition has its part.
    db.execute(
        "DROP INDEX payment_refunds_payment; DROP INDEX webhook_events_due; \
         CREATE INDEX webhook_events_due ON ONLY webhook_events (next_attempt_at) WHERE status = 'pending'; \
         ALTER TABLE event_identities DROP CONSTRAINT event_identities_body_sha256_key",
    )
    .await;
    let report = Report::of(&harkara(&redis.url(), &db.url), 1, &[]).await;
    assert_eq!(report.with_status("problem"), ["schema: indexes"; 3]);
    let told: Vec<&str> = report
        .findings
        .iter()
        .filter(|f| f["check"] == "indexes")
        .map(|f| f["told"].as_str().unwrap())
        .collect();
    assert!(told[0].contains("event_identities_body_sha256_key") && told[0].contains("twice"));
    assert!(told[1].contains("payment_refunds_payment of payment_refunds is missing"));
    assert!(told[2].contains("webhook_events_due of webhook_events is INVALID"));
}

#[tokio::test]
async fn months_without_partitions_are_a_warning_since_a_worker_makes_them() {
    let redis = sound_redis(&[]).await;
    let db = TestDatabase::migrated().await;
    db.execute(
        "DO $$ BEGIN EXECUTE 'DROP TABLE audit_logs_' \
           || to_char((now() AT TIME ZONE 'UTC') + interval '1 month', 'YYYY_MM'); END $$; \
         INSERT INTO audit_logs (at, actor, action, entity_type, entity_id) \
           VALUES ('2020-01-01', 'nobody', 'replay', 'event', 'x')",
    )
    .await;
    let harkara = harkara(&redis.url(), &db.url);
    let report = Report::of(&harkara, 0, &[]).await;
    let partitions = ["schema: partitions"; 2];
    assert_eq!(report.with_status("warning"), [RISKS, partitions].concat());
    Report::of(&harkara, 1, &["--strict"]).await;
}

#[tokio::test]
async fn a_database_that_only_reads_is_a_problem_and_is_enough_to_look_at_it() {
    let redis = sound_redis(&[]).await;
    let db = TestDatabase::migrated().await;
    db.execute(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', \
           current_database()); END $$",
    )
    .await;
    let report = Report::of(&harkara(&redis.url(), &db.url), 1, &[]).await;
    assert_eq!(report.with_status("problem"), ["postgres: role"]);
    report.has_remedy("postgres", "role", "default_transaction_read_only");
    // Everything else was answered: nothing that is asked writes.
    assert_eq!(report.with_status("warning"), RISKS);
}
