//! The monthly partitions: added ahead of time, and made of the default partition where that was too late.

mod conversion;

use std::time::Duration;

use futures_util::future::join_all;
use harkara_core::time::ReceivedAt;
use harkara_storage::partitions::{DefaultRows, default_rows, ensure};
use harkara_testkit::TestDatabase;

use crate::failures::pool_of_one;
use crate::records::{all_claimed, bodies};
use crate::store::{Store, only_duplicates};

/// The suffix of this month's partitions.
pub(crate) const THIS_MONTH: &str = "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')";

/// A store without this month's partitions, and the suffix of their names.
pub(crate) async fn without_this_month() -> (Store, String) {
    let store = Store::migrated().await;
    let month: String = store.value(THIS_MONTH).await;
    let drop = format!("DROP TABLE webhook_events_{month}, audit_logs_{month}");
    store.execute(&drop).await;
    (store, month)
}

/// Rows that the ledger has received at a time, an SQL expression of `n`.
pub(crate) async fn receive(store: &Store, prefix: &str, rows: u32, at: &str) {
    let insert = format!(
        "INSERT INTO webhook_events (razorpay_event_id, event_type, endpoint, lane, status, body, body_sha256, \
           signature, created_at) \
         SELECT '{prefix}' || n, 'made.up', 'default', 'default', 'processed', '{{}}', '', '', {at} \
         FROM generate_series(1, {rows}) n"
    );
    store.execute(&insert).await;
}

/// The rows of each partition of the ledger that has some, by its name.
async fn rows_by_partition(store: &Store) -> Vec<String> {
    store
        .column(
            "SELECT tableoid::regclass || ' ' || count(*) FROM webhook_events GROUP BY tableoid \
             ORDER BY tableoid::regclass::text",
        )
        .await
}

#[tokio::test]
async fn partitions_exist_from_last_month_to_two_months_ahead() {
    let db = TestDatabase::migrated().await;
    ensure(&db.pool()).await.unwrap();
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
async fn partitions_are_ensured_concurrently() {
    let db = TestDatabase::migrated().await;
    db.execute(
        "DO $$ DECLARE child regclass; BEGIN \
           FOR child IN SELECT inhrelid FROM pg_inherits WHERE inhparent IN ('webhook_events'::regclass, 'audit_logs'::regclass) \
             AND inhrelid::regclass::text NOT LIKE '%default' LOOP EXECUTE format('DROP TABLE %s', child); END LOOP; END $$",
    )
    .await;
    let pool = db.pool();
    for ensured in join_all((0..4).map(|_| ensure(&pool))).await {
        ensured.unwrap();
    }
    let children: i64 = db
        .value("SELECT count(*) FROM pg_inherits WHERE inhparent = 'webhook_events'::regclass")
        .await;
    assert_eq!(children, 5);
}

#[tokio::test]
async fn a_delivery_from_a_month_without_partition_is_stored() {
    let (store, mut bodies) = (Store::migrated().await, bodies());
    let events = [(); 2].map(|()| bodies.event("payment.captured"));
    let mut batch = all_claimed(&events);
    batch[0].claimed.received_at = ReceivedAt::from_millis(0);
    batch[1].claimed.received_at = ReceivedAt::from_millis(i64::MAX);
    assert_eq!(store.commit(batch).await.processed, 2);
    let partitions = store.ledger("tableoid::regclass").await;
    assert_eq!(partitions, ["webhook_events_default"; 2]);

    assert_eq!(store.deliver(&events).await, only_duplicates(2));
    assert_eq!(store.duplicates().await, 2);
}

/// The maintenance has not run for some months: their rows went to the default partition.
#[tokio::test]
async fn a_partition_that_is_created_late_receives_its_rows() {
    let (store, month) = without_this_month().await;
    let event = bodies().event("payment.captured");
    store.deliver([&event]).await;
    let before = store.tables(&["webhook_events"]).await;
    let converted = ensure(&store.pool).await.unwrap();
    let expected = ["webhook_events", "audit_logs"].map(|table| format!("{table}_{month}"));
    assert_eq!(converted, expected);
    assert_eq!(store.tables(&["webhook_events"]).await, before);
    for table in ["webhook_events", "audit_logs"] {
        assert_eq!(store.count(&format!("{table}_default")).await, 0, "{table}");
        assert_eq!(store.count(table).await, 1, "{table}");
    }
    assert_eq!(store.deliver([&event]).await.duplicates, 1);
}

#[tokio::test]
async fn a_default_partition_is_converted_once_by_several_at_a_time() {
    let (store, month) = without_this_month().await;
    receive(&store, "now", 300, "now()").await;
    receive(&store, "july", 10, "'2019-07-01 00:00Z'").await;
    // They take turns at one connection, each some steps behind the one before it.
    let minute = Duration::from_mins(1);
    let pool = pool_of_one(&store.url, minute, minute);
    let ensuring = (0..8).map(async |steps_behind| {
        for _ in 0..steps_behind {
            pool.ping().await.unwrap();
        }
        ensure(&pool).await
    });
    let mut converted = Vec::new();
    for names in join_all(ensuring).await {
        converted.extend(names.unwrap());
    }
    converted.extend(ensure(&pool).await.unwrap());
    converted.sort_unstable();
    let expected = [
        "webhook_events_2019_07".to_owned(),
        format!("webhook_events_{month}"),
    ];
    assert_eq!(converted, expected);
}

/// Until then, months before the last were left where they were.
#[tokio::test]
async fn rows_of_any_month_get_their_partition() {
    let (store, month) = without_this_month().await;
    receive(&store, "now", 30, "now()").await;
    receive(&store, "epoch", 1, "'1970-01-01 00:00Z'").await;
    receive(&store, "june", 20, "'2019-06-30 23:59:59Z'").await;
    receive(&store, "july", 20, "'2019-07-01 00:00Z'").await;
    receive(&store, "end", 1, "'2100-01-01 00:00Z'").await;
    let before = store.tables(&["webhook_events"]).await;
    let converted = ensure(&store.pool).await.unwrap();
    assert_eq!(converted.len(), 5, "{converted:?}");
    assert_eq!(store.tables(&["webhook_events"]).await, before);
    let expected = [
        "webhook_events_1970_01 1".to_owned(),
        "webhook_events_2019_06 20".to_owned(),
        "webhook_events_2019_07 20".to_owned(),
        format!("webhook_events_{month} 30"),
        "webhook_events_2100_01 1".to_owned(),
    ];
    assert_eq!(rows_by_partition(&store).await, expected);
    let none = |table| DefaultRows { table, rows: 0 };
    let found = default_rows(&store.pool).await.unwrap();
    assert_eq!(found, ["webhook_events", "audit_logs"].map(none));
    nothing_is_left_of_a_conversion(&store).await;
    assert_eq!(ensure(&store.pool).await.unwrap(), Vec::<String>::new());
}

/// No table, trigger, function or constraint.
async fn nothing_is_left_of_a_conversion(store: &Store) {
    let left: Vec<String> = store
        .column(
            "SELECT relname::text FROM pg_class WHERE relname ~ '^(webhook_events|audit_logs)_default_' AND relkind IN ('r', 'p') \
             UNION ALL SELECT tgname::text FROM pg_trigger WHERE NOT tgisinternal \
             UNION ALL SELECT proname::text FROM pg_proc WHERE proname ~ '^(webhook_events|audit_logs)_default_' \
             UNION ALL SELECT conname::text FROM pg_constraint WHERE conname = 'harkara_month' OR NOT convalidated",
        )
        .await;
    assert_eq!(left, Vec::<String>::new());
}

/// More than one conversion takes.
#[tokio::test]
async fn rows_of_many_months_get_their_partitions_in_turns() {
    let (store, _) = without_this_month().await;
    receive(
        &store,
        "some",
        400,
        "'2017-01-15 00:00Z'::timestamptz + (n % 20) * interval '1 month'",
    )
    .await;
    let before = store.tables(&["webhook_events"]).await;
    assert_eq!(ensure(&store.pool).await.unwrap().len(), 20);
    assert_eq!(store.tables(&["webhook_events"]).await, before);
    let partitions = rows_by_partition(&store).await;
    assert_eq!(partitions.len(), 20);
    assert_eq!(partitions[19], "webhook_events_2018_08 20");
    nothing_is_left_of_a_conversion(&store).await;
}

/// A partition that somebody made by hand covers a part of the month.
#[tokio::test]
async fn rows_beside_a_partition_made_by_hand_get_one() {
    let store = Store::migrated().await;
    store
        .execute(
            "CREATE TABLE by_hand PARTITION OF webhook_events \
             FOR VALUES FROM ('2019-07-10 00:00Z') TO ('2019-07-20 00:00Z')",
        )
        .await;
    let at = "'2019-06-30 12:00Z'::timestamptz + n * interval '1 day'";
    receive(&store, "july", 31, at).await;
    ensure(&store.pool).await.unwrap();
    let expected = [
        "by_hand 10",
        "webhook_events_2019_07 9",
        "webhook_events_2019_07_2 12",
    ];
    assert_eq!(rows_by_partition(&store).await, expected);
}

#[tokio::test]
async fn the_new_partitions_have_the_indexes_of_their_table() {
    let (store, _) = without_this_month().await;
    receive(&store, "now", 10, "now()").await;
    receive(&store, "july", 10, "'2019-07-01 00:00Z'").await;
    ensure(&store.pool).await.unwrap();
    // The indexes of the parent have those of every partition, old and new.
    let unattached: i64 = store
        .value(
            "SELECT count(*) FROM pg_index i JOIN pg_inherits p ON p.inhrelid = i.indrelid \
             WHERE p.inhparent = 'webhook_events'::regclass \
               AND NOT EXISTS (SELECT FROM pg_inherits q WHERE q.inhrelid = i.indexrelid)",
        )
        .await;
    assert_eq!(unattached, 0);
}

/// Rows of the audit have no key that is unique.
#[tokio::test]
async fn rows_of_the_audit_are_copied_once_each() {
    let (store, month) = without_this_month().await;
    store
        .execute(
            "INSERT INTO audit_logs (at, actor, action, entity_type, entity_id) \
             SELECT now(), 'worker', 'made_up', 'payment', 'pay_' || n / 3 FROM generate_series(1, 600) n",
        )
        .await;
    ensure(&store.pool).await.unwrap();
    assert_eq!(store.count(&format!("audit_logs_{month}")).await, 600);
    assert_eq!(store.count("audit_logs").await, 600);
}

/// A partition that is detached, such as for an archive, keeps its name and its rows.
#[tokio::test]
async fn a_table_that_has_the_name_already_is_left_alone() {
    let store = Store::migrated().await;
    let month: String = store.value(THIS_MONTH).await;
    receive(&store, "old", 5, "now()").await;
    let detach = format!("ALTER TABLE webhook_events DETACH PARTITION webhook_events_{month}");
    store.execute(&detach).await;
    receive(&store, "new", 7, "now()").await;
    ensure(&store.pool).await.unwrap();
    assert_eq!(
        rows_by_partition(&store).await,
        [format!("webhook_events_{month}_2 7")]
    );
    assert_eq!(store.count(&format!("webhook_events_{month}")).await, 5);
}
