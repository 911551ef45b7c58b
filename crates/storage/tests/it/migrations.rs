//! Bringing the schema up to date, and refusing to work on an unknown one.

use harkara_core::secret::Secret;
use harkara_storage::migrations::{SchemaState, check, ensure_partitions, migrate};
use harkara_testkit::TestDatabase;

use crate::records::{bodies, claimed, commit, deliver, payment};

async fn migrated(db: &TestDatabase) -> Vec<String> {
    migrate(&Secret::new(&db.url), None).await.unwrap()
}

#[tokio::test]
async fn an_empty_database_is_migrated_once_and_then_left_alone() {
    let db = TestDatabase::empty().await;
    let first = migrated(&db).await;
    assert!(first.len() >= 3, "{first:?}");
    assert!(first.is_sorted());
    assert_eq!(migrated(&db).await, Vec::<String>::new());
    assert_eq!(check(&db.pool()).await.unwrap(), SchemaState::Fits);
}

#[tokio::test]
async fn of_eight_migrations_at_once_one_works_and_the_others_find_it_done() {
    let db = TestDatabase::empty().await;
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let url = Secret::new(&db.url);
            tokio::spawn(async move { migrate(&url, None).await.unwrap() })
        })
        .collect();
    let mut worked = 0;
    for task in tasks {
        worked += usize::from(!task.await.unwrap().is_empty());
    }
    assert_eq!(worked, 1);
    assert_eq!(check(&db.pool()).await.unwrap(), SchemaState::Fits);
}

#[tokio::test]
async fn an_empty_database_is_behind_and_the_remedy_is_named() {
    let db = TestDatabase::empty().await;
    let state = check(&db.pool()).await.unwrap();
    let SchemaState::Behind { missing } = &state else {
        panic!("{state:?}")
    };
    let problem = state.problem().unwrap();
    assert!(
        problem.contains("harkara migrate") && problem.contains(&missing[0]),
        "{problem}"
    );
    assert_eq!(SchemaState::Fits.problem(), None);
}

#[tokio::test]
async fn a_schema_that_excludes_this_binary_is_ahead() {
    let db = TestDatabase::migrated().await;
    db.execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000001')")
        .await;
    assert_eq!(
        check(&db.pool()).await.unwrap(),
        SchemaState::Fits,
        "newer and compatible"
    );
    db.execute("UPDATE harkara_schema SET compatible_from = '29990101000001'")
        .await;
    let state = check(&db.pool()).await.unwrap();
    assert_eq!(
        state,
        SchemaState::Ahead {
            compatible_from: "29990101000001".to_owned()
        }
    );
    assert!(
        state.problem().unwrap().contains("newer version"),
        "{state:?}"
    );
}

#[tokio::test]
async fn a_wrong_password_or_host_is_told_and_not_waited_for() {
    let error = migrate(
        &Secret::new("postgres://harkara:secret-word@127.0.0.1:1/none"),
        None,
    )
    .await
    .unwrap_err();
    assert!(
        error.full().contains("no connection to PostgreSQL"),
        "{}",
        error.full()
    );
    assert!(!error.full().contains("secret-word"), "{}", error.full());
}

#[tokio::test]
async fn partitions_stand_ready_from_last_month_to_two_months_ahead() {
    let db = TestDatabase::migrated().await;
    ensure_partitions(&db.pool()).await.unwrap();
    for table in ["webhook_events", "audit_logs"] {
        let missing: Vec<String> = db
            .column(&format!(
                "SELECT name FROM (SELECT '{table}_' || to_char(date_trunc('month', now() AT TIME ZONE 'UTC') \
                   + make_interval(months => n), 'YYYY_MM') AS name FROM generate_series(-1, 2) n) wanted \
                 WHERE to_regclass(name) IS NULL"
            ))
            .await;
        assert_eq!(missing, Vec::<String>::new());
    }
}

#[tokio::test]
async fn partitions_are_ensured_from_many_places_at_once() {
    let db = TestDatabase::migrated().await;
    db.execute(
        "DO $$ DECLARE child regclass; BEGIN \
           FOR child IN SELECT inhrelid FROM pg_inherits WHERE inhparent IN ('webhook_events'::regclass, 'audit_logs'::regclass) \
             AND inhrelid::regclass::text NOT LIKE '%default' LOOP EXECUTE format('DROP TABLE %s', child); END LOOP; END $$",
    )
    .await;
    let pool = db.pool();
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { ensure_partitions(&pool).await.unwrap() })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let children: i64 = db
        .value("SELECT count(*) FROM pg_inherits WHERE inhparent = 'webhook_events'::regclass")
        .await;
    assert_eq!(children, 5);
}

#[tokio::test]
async fn a_delivery_from_a_month_without_partition_still_goes_in() {
    let db = TestDatabase::migrated().await;
    let mut bodies = bodies();
    let (old, new) = (
        bodies.event("payment.captured"),
        bodies.event("payment.captured"),
    );
    let received = |event, millis| {
        let mut record = claimed(event);
        record.claimed.received_at = harkara_core::time::ReceivedAt::from_millis(millis);
        record
    };
    let batch = vec![received(&old, 0), received(&new, i64::MAX)];
    let committed = commit(&db.pool(), batch).await.unwrap();
    assert_eq!(committed.outcome().processed, 2);
    let partitions: Vec<String> = db
        .column("SELECT tableoid::regclass::text FROM webhook_events")
        .await;
    assert_eq!(
        partitions,
        ["webhook_events_default", "webhook_events_default"]
    );

    let again = deliver(&db.pool(), &[&old, &new]).await;
    assert_eq!((again.processed, again.duplicates), (0, 2));
    let counted: i64 = db.value("SELECT sum(duplicates) FROM webhook_events").await;
    assert_eq!(counted, 2);
}

/// Nobody ran the maintenance for some months: their rows went to the default partition.
#[tokio::test]
async fn a_partition_is_made_late_and_takes_its_rows_over() {
    let db = TestDatabase::migrated().await;
    db.execute(
        "DO $$ BEGIN EXECUTE 'DROP TABLE webhook_events_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM'); \
         EXECUTE 'DROP TABLE audit_logs_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM'); END $$",
    )
    .await;
    let (pool, mut bodies) = (db.pool(), bodies());
    let event = bodies.event("payment.captured");
    deliver(&pool, &[&event]).await;
    let rows = "SELECT * FROM webhook_events";
    let before = db.rows(rows).await;
    ensure_partitions(&pool).await.unwrap();
    assert_eq!(db.rows(rows).await, before);
    for table in ["webhook_events", "audit_logs"] {
        let left: i64 = db
            .value(&format!("SELECT count(*) FROM {table}_default"))
            .await;
        assert_eq!(left, 0, "{table}");
        let all: i64 = db.value(&format!("SELECT count(*) FROM {table}")).await;
        assert_eq!(all, 1, "{table}");
    }
    assert_eq!(deliver(&pool, &[&event]).await.duplicates, 1);
}

#[tokio::test]
async fn a_database_that_confirms_commits_too_early_is_made_to_wait() {
    for (default, used) in [("off", "on"), ("local", "local")] {
        let db = TestDatabase::migrated().await;
        db.execute(&format!(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = {default}', current_database()); END $$; \
             CREATE TABLE seen (value text); \
             CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS \
               $$ BEGIN INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$; \
             CREATE TRIGGER see AFTER INSERT ON webhook_events FOR EACH STATEMENT EXECUTE FUNCTION see()",
        ))
        .await;
        deliver(&db.pool(), &[&payment("evt", "pay_1", "captured", 10)]).await;
        assert_eq!(db.value::<String>("SELECT value FROM seen").await, used);
    }
}

#[tokio::test]
async fn settings_under_which_a_commit_may_be_lost_are_told() {
    // The test server waits for no disk.
    let db = TestDatabase::migrated().await;
    let risks = harkara_storage::durability_risks::risks(&db.pool())
        .await
        .unwrap();
    let told: Vec<String> = risks.iter().map(ToString::to_string).collect();
    assert!(
        told.iter().any(|risk| risk.contains("fsync = off")),
        "{told:?}"
    );
}
