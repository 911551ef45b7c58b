//! `harkara migrate`.

use harkara_testkit::TestDatabase;

use crate::harkara::Harkara;

#[tokio::test]
async fn the_first_run_applies_every_migration_and_the_second_none() {
    let database = TestDatabase::empty().await;
    let harkara = Harkara::on(&database);
    let first = harkara.run(&["migrate"]).await.done().stdout();
    assert!(first.starts_with("applied 2026"), "{first}");
    assert!(first.ends_with("the schema is up to date\n"), "{first}");
    assert_eq!(
        harkara.run(&["migrate"]).await.done().stdout(),
        "the schema is up to date\n"
    );
    assert_eq!(
        harkara.json(&["events", "--json"]).await,
        serde_json::json!([])
    );
}

#[tokio::test]
async fn many_may_migrate_at_once_and_each_migration_is_applied_once() {
    let database = TestDatabase::empty().await;
    let harkara = Harkara::on(&database);
    let runs = tokio::join!(
        harkara.run(&["migrate"]),
        harkara.run(&["migrate"]),
        harkara.run(&["migrate"])
    );
    let applied: Vec<String> = [runs.0, runs.1, runs.2]
        .into_iter()
        .flat_map(|ran| {
            ran.done()
                .stdout()
                .lines()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .filter(|line| line.starts_with("applied"))
        .collect();
    let n_migrations: i64 = database
        .value("SELECT count(*) FROM __diesel_schema_migrations")
        .await;
    assert_eq!(i64::try_from(applied.len()).unwrap(), n_migrations);
}

#[tokio::test]
async fn a_schema_that_has_moved_on_is_not_called_up_to_date() {
    let database = TestDatabase::migrated().await;
    database
        .execute("UPDATE harkara_schema SET compatible_from = '99990101000001'")
        .await;
    let harkara = Harkara::on(&database);
    harkara
        .run(&["migrate"])
        .await
        .complains(1, &["99990101000001", "install a newer version"]);
    harkara
        .run(&["events"])
        .await
        .complains(1, &["99990101000001", "install a newer version"]);
}
