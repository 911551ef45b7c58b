//! `harkara migrate`.

use harkara_testkit::TestDatabase;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::harkara::{Harkara, Ran};

const UP_TO_DATE: &str = "the schema is up to date\n";

#[tokio::test]
async fn the_first_run_applies_every_migration_and_the_second_none() {
    let database = TestDatabase::empty().await;
    let harkara = Harkara::on(&database);
    let first = harkara.stdout("migrate").await;
    assert!(first.starts_with("applied 2026"), "{first}");
    assert!(first.ends_with(UP_TO_DATE), "{first}");
    assert_eq!(harkara.stdout("migrate").await, UP_TO_DATE);
    assert_eq!(harkara.json("events --json").await, json!([]));
}

#[tokio::test]
async fn concurrent_runs_apply_each_migration_once() {
    let database = TestDatabase::empty().await;
    let harkara = Harkara::on(&database);
    let migrate = || harkara.stdout("migrate");
    let (a, b, c) = tokio::join!(migrate(), migrate(), migrate());
    let printed = [a, b, c].concat();
    let applied = printed.lines().filter(|line| line.starts_with("applied"));
    let n_migrations: i64 = database
        .value("SELECT count(*) FROM __diesel_schema_migrations")
        .await;
    assert_eq!(i64::try_from(applied.count()).unwrap(), n_migrations);
}

#[tokio::test]
async fn a_schema_of_a_newer_version_is_not_called_up_to_date() {
    let database = TestDatabase::migrated().await;
    database
        .execute("UPDATE harkara_schema SET compatible_from = '99990101000001'")
        .await;
    for command in ["migrate", "events"] {
        let ran = Harkara::on(&database).run(command).await;
        ran.complains(1, &["99990101000001", "install a newer version"]);
    }
}

#[tokio::test]
async fn a_check_tells_whether_the_schema_is_up_to_date_and_changes_nothing() {
    let database = TestDatabase::empty().await;
    let harkara = Harkara::on(&database);
    let behind = harkara.run("migrate --check").await;
    behind.complains(1, &["lacks", "run `harkara migrate`"]);
    let tables: i64 = database
        .value("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        .await;
    assert_eq!(tables, 0);
    harkara.stdout("migrate").await;
    assert_eq!(harkara.stdout("migrate --check").await, UP_TO_DATE);
}

#[tokio::test]
async fn a_wait_ends_when_the_schema_is_up_to_date() {
    let database = TestDatabase::empty().await;
    database.shut().await;
    let harkara = Harkara::on(&database);
    let mut waiting = harkara.spawn("migrate --wait");
    let mut reasons = BufReader::new(waiting.stderr.take().unwrap()).lines();
    let mut reason = async || reasons.next_line().await.unwrap().unwrap();
    let unavailable = reason().await;
    assert!(
        unavailable.starts_with("waiting: PostgreSQL at"),
        "{unavailable}"
    );
    let ran = harkara.run("migrate --wait --or-unreachable").await;
    let printed = ran.ended_with(0).stdout();
    assert!(
        printed.starts_with("going on, the schema is unknown: PostgreSQL at"),
        "{printed}"
    );
    database.reopen().await;
    // How it cannot be reached may change on the way.
    while !reason()
        .await
        .starts_with("waiting: the database schema lacks")
    {}
    harkara.stdout("migrate").await;
    let ended = Ran::of(waiting).await.ended_with(0);
    assert_eq!(ended.stdout(), UP_TO_DATE);
}

#[tokio::test]
async fn a_wait_has_an_end() {
    let behind = TestDatabase::empty().await;
    let ahead = TestDatabase::migrated().await;
    ahead
        .execute("UPDATE harkara_schema SET compatible_from = '99990101000001'")
        .await;
    let ran = Harkara::on(&behind)
        .run("migrate --wait --timeout 1ms")
        .await;
    ran.complains(1, &["lacks", "run `harkara migrate`"]);
    let ran = Harkara::on(&behind)
        .run("migrate --wait --or-unreachable --timeout 1ms")
        .await;
    ran.complains(1, &["lacks"]);
    // Nothing to wait for.
    let ran = Harkara::on(&ahead).run("migrate --wait").await;
    ran.complains(1, &["install a newer version"]);
}
