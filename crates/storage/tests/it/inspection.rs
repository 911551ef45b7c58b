//! Inspection of the server and the schema.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use harkara_storage::inspection::{
    INDEXES, IndexProblem, Partitions, admits_anybody, index_problems, newest_applied, partitions,
    server_state, time,
};
use harkara_storage::migrations::{self, migrate};
use harkara_storage::partitions::ensure;
use harkara_testkit::{PostgresServer, TestDatabase, pool_settings, wait_until};

use crate::partitions::THIS_MONTH;

#[tokio::test]
async fn the_list_of_indexes_matches_the_migrations() {
    let db = TestDatabase::migrated().await;
    let made: Vec<String> = db
        .column(
            "SELECT concat_ws(' ', t.relname, c.relname, i.indisunique) \
             FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid \
             WHERE t.relnamespace = 'public'::regnamespace AND NOT t.relispartition \
               AND t.relname <> '__diesel_schema_migrations' \
             ORDER BY t.relname::text COLLATE \"C\", c.relname::text COLLATE \"C\"",
        )
        .await;
    let listed = INDEXES.iter().map(|index| {
        let unique = if index.is_unique { "t" } else { "f" };
        format!("{} {} {unique}", index.table, index.name)
    });
    assert_eq!(made, listed.collect::<Vec<_>>());
    assert_eq!(index_problems(&db.pool()).await.unwrap(), []);
}

#[tokio::test]
async fn an_index_that_is_missing_or_unfinished_is_found() {
    let db = TestDatabase::migrated().await;
    // An index made on the parent alone is invalid until every partition has its part.
    db.execute(
        "DROP INDEX payment_refunds_payment; \
         CREATE INDEX by_hand ON ONLY audit_logs (actor)",
    )
    .await;
    let problems = index_problems(&db.pool()).await.unwrap();
    let [
        IndexProblem::Missing(missing),
        IndexProblem::Invalid { table, name },
    ] = &problems[..]
    else {
        panic!("{problems:?}")
    };
    assert_eq!(missing.name, "payment_refunds_payment");
    assert_eq!((table.as_str(), name.as_str()), ("audit_logs", "by_hand"));
}

#[tokio::test]
async fn missing_or_detached_partitions_are_named_until_they_exist() {
    let db = TestDatabase::migrated().await;
    let pool = db.pool();
    let sound = Partitions {
        defaults_in_use: Some(Vec::new()),
        ..Partitions::default()
    };
    assert_eq!(partitions(&pool).await.unwrap(), sound);
    let month: String = db.value(THIS_MONTH).await;
    let [dropped, detached] =
        ["webhook_events", "audit_logs"].map(|table| format!("{table}_{month}"));
    db.execute(&format!(
        "DROP TABLE {dropped}; INSERT INTO audit_logs (at, actor, action, entity_type, entity_id) \
         VALUES ('2020-01-01', 'nobody', 'replay', 'event', 'x')"
    ))
    .await;
    let found = partitions(&pool).await.unwrap();
    assert_eq!(found.missing, [dropped]);
    assert_eq!(found.defaults_in_use.unwrap(), ["audit_logs_default"]);
    ensure(&pool).await.unwrap();
    assert!(partitions(&pool).await.unwrap().missing.is_empty());
    db.execute(&format!(
        "ALTER TABLE audit_logs DETACH PARTITION {detached}"
    ))
    .await;
    assert_eq!(partitions(&pool).await.unwrap().missing, [detached]);
}

#[tokio::test]
async fn a_role_that_cannot_add_partitions_is_found() {
    let server = PostgresServer::start(&["fsync=off"]).await;
    let owner = server.superuser_url();
    migrate(&pool_settings(&owner)).await.unwrap();
    let owner = TestDatabase::at(owner).await;
    owner
        .execute(
            "ALTER SCHEMA public OWNER TO postgres; GRANT SELECT ON audit_logs_default TO harkara",
        )
        .await;
    let pool = TestDatabase::at(server.url()).await.pool();
    let found = partitions(&pool).await.unwrap();
    assert_eq!(
        found.rights_missing,
        [
            "the rights of postgres, who owns audit_logs, audit_logs_default, webhook_events, webhook_events_default",
            "CREATE on the schema public",
            "SELECT on webhook_events_default",
        ]
    );
    owner.execute("GRANT postgres TO harkara").await;
    let sound = Partitions {
        defaults_in_use: Some(Vec::new()),
        ..Partitions::default()
    };
    assert_eq!(partitions(&pool).await.unwrap(), sound);
}

#[tokio::test]
async fn a_plain_role_sees_the_limits_of_the_server() {
    let db = TestDatabase::migrated().await;
    let pool = db.pool();
    let state = server_state(&pool).await.unwrap();
    assert!(!state.is_standby && !state.is_read_only, "{state:?}");
    assert!(state.version_number >= 120_000, "{state:?}");
    let bound: i32 = db
        .value("SELECT current_setting('max_connections')::integer")
        .await;
    assert_eq!(state.connections_max, bound);
    assert!(state.connections_reserved >= 3, "{state:?}");
    // The connection of this test has another application name.
    assert!(state.other_connections >= 1, "{state:?}");
    assert_eq!(
        newest_applied(&pool).await.unwrap(),
        Some(migrations::newest())
    );
    let apart = time(&pool).await.unwrap() - Utc::now();
    assert!(apart.abs() < TimeDelta::seconds(60), "{apart}");
}

#[tokio::test]
async fn a_server_that_asks_for_passwords_admits_nobody_without() {
    let server = PostgresServer::start(&["fsync=off"]).await;
    let owner = TestDatabase::at(server.superuser_url()).await;
    owner.execute("ALTER ROLE harkara PASSWORD 'p'").await;
    let url = server.url().replace("//harkara@", "//harkara:p@");
    assert!(admits_anybody(&pool_settings(&url)).await.unwrap());
    server.write_file("pg_hba.conf", "host all all all scram-sha-256\n");
    server.reload();
    wait_until("the file is read", Duration::from_secs(30), async || {
        matches!(admits_anybody(&pool_settings(&url)).await, Ok(false))
    })
    .await;
    let pool = TestDatabase::at(url).await.pool();
    pool.ping().await.unwrap();
}
