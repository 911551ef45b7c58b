//! `harkara migrate`.

use harkara_testkit::TestDatabase;
use serde_json::json;

use crate::harkara::Harkara;

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
