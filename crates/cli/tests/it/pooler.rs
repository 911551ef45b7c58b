//! Commands through a pooler in transaction mode that has one session for all of them.

use harkara_testkit::{PgBouncer, TestDatabase};

use crate::doctor::{harkara, sound_redis};
use crate::harkara::{Harkara, POSTGRES_URL};
use crate::ledger::{add_many, database_with, dead_letter};

async fn before(database: &TestDatabase) -> PgBouncer {
    PgBouncer::before(&database.url, &[("default_pool_size", "1")]).await
}

#[tokio::test]
async fn migrations_are_applied_once_through_a_pooler() {
    let database = TestDatabase::empty().await;
    let pooler = before(&database).await;
    let url = format!("{}?pgbouncer=true", pooler.url(&database.url));
    let harkara = Harkara::default().with(POSTGRES_URL, &url);
    let (one, other) = tokio::join!(harkara.stdout("migrate"), harkara.stdout("migrate"));
    let applied = [one, other].concat().matches("applied").count();
    let n_migrations: i64 = database
        .value("SELECT count(*) FROM __diesel_schema_migrations")
        .await;
    assert_eq!(i64::try_from(applied).unwrap(), n_migrations);
}

#[tokio::test]
async fn events_are_listed_and_replayed_and_streams_adopted_through_a_pooler() {
    let dead_letters = (0..20).map(|n| dead_letter(&format!("dead-{n}"), n));
    let database = database_with(dead_letters.collect()).await;
    add_many(&database, "done-", 3000).await;
    let (pooler, redis) = (before(&database).await, sound_redis(&[]).await);
    let harkara = harkara(&redis.url(), &pooler.url(&database.url)).with("USER", "asha");

    let listed = harkara
        .json("events --json --limit 1000 --account acc_made_up")
        .await;
    assert_eq!(listed.as_array().unwrap().len(), 1000);
    let shown = harkara.json("events show dead-7 --json").await;
    assert_eq!(shown["status"], "failed");
    let failed = harkara.json("replay --status failed --yes --json").await;
    assert_eq!(failed["replayed"], 20);
    let all = harkara.json("replay --status processed --yes --json").await;
    assert_eq!(all["replayed"], 3000);
    assert_eq!(
        harkara.json("lag --json").await["total"]["ledger_due"],
        3020
    );

    harkara.stdout("adopt --yes").await;
    let doctor = harkara.run("doctor").await.ended_with(0).stdout();
    assert!(doctor.contains("as it should be"), "{doctor}");
    assert!(
        doctor.contains("there is one; nothing outlives"),
        "{doctor}"
    );
}
