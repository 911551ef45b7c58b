//! The monthly partitions: added ahead of time, and made of the default partition where that was too late.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use harkara_core::time::ReceivedAt;
use harkara_storage::partitions::{DefaultRows, default_rows, ensure};
use harkara_testkit::TestDatabase;

use crate::failures::pool_of_one;
use crate::records::{all_claimed, bodies, claimed_ago, payment};
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
    assert_eq!(converted.len(), 4, "{converted:?}");
    assert_eq!(store.tables(&["webhook_events"]).await, before);
    let expected = [
        "webhook_events_1970_01 1".to_owned(),
        "webhook_events_2019_06_to_2019_07 40".to_owned(),
        format!("webhook_events_{month} 30"),
        "webhook_events_2100_01 1".to_owned(),
    ];
    assert_eq!(rows_by_partition(&store).await, expected);
    let none = |table| DefaultRows { table, rows: 0 };
    let found = default_rows(&store.pool).await.unwrap();
    assert_eq!(found, ["webhook_events", "audit_logs"].map(none));
    // Nothing is left of the way there.
    let constraints: Vec<String> = store
        .column("SELECT conname::text FROM pg_constraint WHERE conname LIKE 'harkara_months%' OR NOT convalidated")
        .await;
    assert_eq!(constraints, Vec::<String>::new());
    assert_eq!(ensure(&store.pool).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn rows_of_this_month_are_not_moved_since_their_table_becomes_the_partition() {
    let (store, month) = without_this_month().await;
    receive(&store, "now", 1000, "now()").await;
    receive(&store, "july", 10, "'2019-07-01 00:00Z'").await;
    let file = "SELECT pg_relation_filenode('webhook_events_default')::bigint";
    let before: i64 = store.value(file).await;
    ensure(&store.pool).await.unwrap();
    let after = file.replace("default", &month);
    assert_eq!(store.value::<i64>(&after).await, before);
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

#[tokio::test]
async fn a_reader_that_stays_is_not_waited_for_and_the_next_call_goes_on() {
    let (store, month) = without_this_month().await;
    receive(&store, "now", 10, "now()").await;
    let reader = TestDatabase::at(store.url.clone()).await;
    // As pg_dump does.
    reader
        .execute("BEGIN; SELECT count(*) FROM webhook_events")
        .await;
    let error = ensure(&store.pool).await.unwrap_err().full();
    assert!(error.contains("55P03"), "{error}");
    let event = bodies().event("payment.captured");
    assert_eq!(store.deliver([&event]).await.processed, 1);
    assert_eq!(
        rows_by_partition(&store).await,
        ["webhook_events_default 11"]
    );
    reader.execute("COMMIT").await;
    ensure(&store.pool).await.unwrap();
    assert_eq!(
        rows_by_partition(&store).await,
        [format!("webhook_events_{month} 11")]
    );
}

#[tokio::test]
async fn what_a_crash_left_half_done_is_finished() {
    let (store, month) = without_this_month().await;
    receive(&store, "now", 10, "now()").await;
    receive(&store, "july", 10, "'2019-07-01 00:00Z'").await;
    store
        .execute(
            "ALTER TABLE webhook_events_default ADD CONSTRAINT harkara_months_2019_07 \
             CHECK (created_at >= '2019-07-01 00:00Z' AND created_at < '2019-08-01 00:00Z') NOT VALID",
        )
        .await;
    ensure(&store.pool).await.unwrap();
    let expected = [
        "webhook_events_2019_07 10".to_owned(),
        format!("webhook_events_{month} 10"),
    ];
    assert_eq!(rows_by_partition(&store).await, expected);
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

/// Deliveries of this month, duplicates among them, and a reader of the whole ledger, while the default
/// partition with rows of three months is dealt with.
#[tokio::test]
async fn nobody_who_reads_or_writes_meanwhile_misses_a_row_or_sees_it_twice() {
    let (store, _) = without_this_month().await;
    receive(&store, "now", 20_000, "now()").await;
    receive(&store, "july", 12_000, "'2019-07-01 00:00Z'").await;
    receive(&store, "may", 5_000, "'2019-05-01 00:00Z'").await;
    let is_done = Arc::new(AtomicBool::new(false));
    let store = Arc::new(store);

    let writing = {
        let (store, is_done) = (store.clone(), is_done.clone());
        async move {
            let mut events = Vec::new();
            while !is_done.load(Ordering::Relaxed) {
                let n = events.len();
                let event = payment(&format!("evt{n}"), &format!("pay{n}"), "captured", 10);
                let outcome = store.commit(vec![claimed_ago(&event, 0)]).await;
                assert_eq!(outcome.processed, 1);
                assert_eq!(store.deliver([&event]).await, only_duplicates(1));
                events.push(event);
            }
            events.len()
        }
    };
    let reading = {
        let (url, is_done) = (store.url.clone(), is_done.clone());
        async move {
            let reader = TestDatabase::at(url).await;
            let (mut reads, mut before) = (0, 37_000);
            while !is_done.load(Ordering::Relaxed) {
                let seen = "SELECT count(*), count(DISTINCT razorpay_event_id) FROM webhook_events";
                let seen = format!(
                    "SELECT array[count, distinct_ids] FROM ({seen}) s (count, distinct_ids)"
                );
                let seen: Vec<i64> = reader.value(&seen).await;
                assert_eq!(seen[0], seen[1]);
                assert!(seen[0] >= before, "{seen:?} after {before}");
                (reads, before) = (reads + 1, seen[0]);
            }
            reads
        }
    };
    let (writing, reading) = (tokio::spawn(writing), tokio::spawn(reading));
    // A reader or a commit may be in the way of a swap.
    while let Err(error) = ensure(&store.pool).await {
        assert!(error.full().contains("55P03"), "{}", error.full());
    }
    is_done.store(true, Ordering::Relaxed);
    let (written, reads) = (writing.await.unwrap(), reading.await.unwrap());
    assert!(written > 0 && reads > 0);
    let all = i64::try_from(37_000 + written).unwrap();
    assert_eq!(store.count("webhook_events").await, all);
    assert_eq!(store.duplicates().await, written);
    assert_eq!(store.count("webhook_events_default").await, 0);
}
