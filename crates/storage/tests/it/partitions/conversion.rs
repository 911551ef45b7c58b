//! The conversion of a default partition: what others notice of it, and what is left when it is broken off.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use harkara_core::time::ReceivedAt;
use harkara_storage::partitions::ensure;
use harkara_testkit::{TestDatabase, wait_until};

use super::{nothing_is_left_of_a_conversion, receive, rows_by_partition, without_this_month};
use crate::records::{bodies, claimed_ago, payment, with_verdict};
use crate::store::{Store, only_duplicates};

/// Begins a conversion and breaks it off, as a crash does.
async fn begin(store: &Store) {
    let begun = "SELECT to_regclass('webhook_events_default_copy') IS NOT NULL";
    tokio::select! {
        ensured = ensure(&store.pool) => panic!("not broken off: {ensured:?}"),
        () = wait_until("a conversion begins", Duration::from_secs(30), async || {
            store.value(begun).await
        }) => {}
    }
}

#[tokio::test]
async fn a_reader_that_stays_is_noticed_before_the_work() {
    let (store, _) = without_this_month().await;
    receive(&store, "now", 10, "now()").await;
    let reader = TestDatabase::at(store.url.clone()).await;
    // As pg_dump does.
    reader
        .execute("BEGIN; SELECT count(*) FROM webhook_events")
        .await;
    let error = ensure(&store.pool).await.unwrap_err().full();
    assert!(error.contains("55P03"), "{error}");
    nothing_is_left_of_a_conversion(&store).await;
    // The audit has no reader.
    let audit: i64 = store
        .value("SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit_logs'::regclass")
        .await;
    assert_eq!(audit, 5);
}

#[tokio::test]
async fn a_reader_in_the_way_of_the_swap_is_not_waited_for_and_the_next_call_goes_on() {
    let (store, month) = without_this_month().await;
    receive(&store, "now", 20_000, "now()").await;
    begin(&store).await;
    let reader = TestDatabase::at(store.url.clone()).await;
    reader
        .execute("BEGIN; SELECT count(*) FROM webhook_events")
        .await;
    let error = ensure(&store.pool).await.unwrap_err().full();
    assert!(error.contains("55P03"), "{error}");
    let event = bodies().event("payment.captured");
    assert_eq!(store.deliver([&event]).await.processed, 1);
    assert_eq!(
        rows_by_partition(&store).await,
        ["webhook_events_default 20001"]
    );
    // The work is done, and only the swap is left.
    assert_eq!(store.count("webhook_events_default_copy").await, 20_000);
    reader.execute("COMMIT").await;
    ensure(&store.pool).await.unwrap();
    assert_eq!(
        rows_by_partition(&store).await,
        [format!("webhook_events_{month} 20001")]
    );
    nothing_is_left_of_a_conversion(&store).await;
}

/// What was copied before the crash has changed since: rows were added, updated and deleted.
#[tokio::test]
async fn what_a_crash_left_half_done_is_finished() {
    let (store, month) = without_this_month().await;
    receive(&store, "now", 20_000, "now()").await;
    begin(&store).await;
    receive(&store, "more", 10, "now()").await;
    receive(&store, "july", 10, "'2019-07-01 00:00Z'").await;
    store
        .set("duplicates = 7 WHERE razorpay_event_id ~ '3$'")
        .await;
    store
        .execute("DELETE FROM webhook_events WHERE razorpay_event_id ~ '5$'")
        .await;
    let before = store.tables(&["webhook_events"]).await;
    ensure(&store.pool).await.unwrap();
    assert_eq!(store.tables(&["webhook_events"]).await, before);
    let expected = [
        "webhook_events_2019_07 9".to_owned(),
        format!("webhook_events_{month} 18009"),
    ];
    assert_eq!(rows_by_partition(&store).await, expected);
    nothing_is_left_of_a_conversion(&store).await;
}

/// Somebody has emptied the default partition since.
#[tokio::test]
async fn rows_that_were_removed_meanwhile_do_not_come_back() {
    let (store, _) = without_this_month().await;
    receive(&store, "now", 20_000, "now()").await;
    begin(&store).await;
    store.execute("TRUNCATE webhook_events_default").await;
    ensure(&store.pool).await.unwrap();
    assert_eq!(store.count("webhook_events").await, 0);
    nothing_is_left_of_a_conversion(&store).await;
}

/// Rows that were not copied yet are in pages that were.
#[tokio::test]
async fn a_default_partition_that_is_rewritten_meanwhile_loses_no_row() {
    let (store, month) = without_this_month().await;
    receive(&store, "now", 20_000, "now()").await;
    begin(&store).await;
    tokio::select! {
        ensured = ensure(&store.pool) => panic!("not broken off: {ensured:?}"),
        () = wait_until("pages are copied", Duration::from_secs(30), async || {
            store.value("SELECT next_page > 0 FROM webhook_events_default_pages").await
        }) => {}
    }
    store
        .execute("DELETE FROM webhook_events WHERE substr(razorpay_event_id, 4)::int <= 10000")
        .await;
    store.execute("VACUUM FULL webhook_events_default").await;
    ensure(&store.pool).await.unwrap();
    let expected = [format!("webhook_events_{month} 10000")];
    assert_eq!(rows_by_partition(&store).await, expected);
    nothing_is_left_of_a_conversion(&store).await;
}

#[tokio::test]
async fn a_former_default_partition_is_kept_until_the_table_has_all_of_its_rows() {
    let (store, _) = without_this_month().await;
    receive(&store, "now", 3, "now()").await;
    store
        .execute("CREATE TABLE webhook_events_default_former AS TABLE webhook_events")
        .await;
    store
        .execute("DELETE FROM webhook_events WHERE razorpay_event_id = 'now2'")
        .await;
    let error = ensure(&store.pool).await.unwrap_err().full();
    assert!(
        error.contains("webhook_events_default_former has rows that webhook_events lacks"),
        "{error}"
    );
    assert_eq!(store.count("webhook_events_default_former").await, 3);
    store
        .execute("DELETE FROM webhook_events_default_former WHERE razorpay_event_id = 'now2'")
        .await;
    ensure(&store.pool).await.unwrap();
    nothing_is_left_of_a_conversion(&store).await;
}

/// The copies were made for a table that has another column now.
#[tokio::test]
async fn copies_that_do_not_fit_any_more_are_made_again() {
    let (store, month) = without_this_month().await;
    receive(&store, "now", 20_000, "now()").await;
    begin(&store).await;
    store
        .execute("ALTER TABLE webhook_events ADD COLUMN further text")
        .await;
    let error = ensure(&store.pool).await.unwrap_err().full();
    assert!(error.contains("SQLSTATE 42"), "{error}");
    nothing_is_left_of_a_conversion(&store).await;
    ensure(&store.pool).await.unwrap();
    let expected = [format!("webhook_events_{month} 20000")];
    assert_eq!(rows_by_partition(&store).await, expected);
}

/// Delivers events of this month and of another, each twice, until it is done; returns their number.
async fn deliver(store: Arc<Store>, is_done: Arc<AtomicBool>) -> usize {
    for n in 0.. {
        if is_done.load(Ordering::Relaxed) {
            return n;
        }
        let event = payment(&format!("evt{n}"), &format!("pay{n}"), "captured", 10);
        let mut record = claimed_ago(&event, 0);
        if n % 2 == 1 {
            record.claimed.received_at = ReceivedAt::from_millis(1_558_000_000_000);
        }
        assert_eq!(store.commit(vec![record]).await.processed, 1);
        assert_eq!(store.deliver([&event]).await, only_duplicates(1));
    }
    unreachable!("the loop has no end")
}

/// Attempts due events, until it is done; returns their number.
async fn retry(store: Arc<Store>, is_done: Arc<AtomicBool>) -> usize {
    let mut settled = 0;
    while !is_done.load(Ordering::Relaxed) {
        let leased = store.lease(3).await;
        let records: Vec<_> = leased.into_iter().map(with_verdict).collect();
        let outcome = store.commit(records).await;
        assert_eq!(outcome.superseded, 0);
        settled += outcome.processed + outcome.failed;
    }
    settled
}

/// Reads the whole ledger, until it is done; returns how often.
async fn read(store: Arc<Store>, is_done: Arc<AtomicBool>) -> usize {
    let reader = TestDatabase::at(store.url.clone()).await;
    let (mut reads, mut before) = (0, store.count("webhook_events").await);
    while !is_done.load(Ordering::Relaxed) {
        let seen = "SELECT array[count(*), count(DISTINCT razorpay_event_id)] FROM webhook_events";
        let seen: Vec<i64> = reader.value(seen).await;
        assert_eq!(seen[0], seen[1]);
        assert!(seen[0] >= before, "{seen:?} after {before}");
        (reads, before) = (reads + 1, seen[0]);
    }
    reads
}

#[tokio::test]
async fn nobody_who_reads_or_writes_meanwhile_fails_misses_a_row_or_sees_it_twice() {
    let (store, _) = without_this_month().await;
    receive(&store, "now", 20_000, "now()").await;
    receive(&store, "july", 12_000, "'2019-07-01 00:00Z'").await;
    receive(&store, "may", 5_000, "'2019-05-01 00:00Z'").await;
    store
        .set("status = 'pending', next_attempt_at = now() WHERE razorpay_event_id LIKE 'july%'")
        .await;
    let (store, is_done) = (Arc::new(store), Arc::new(AtomicBool::new(false)));
    let others = [
        tokio::spawn(deliver(store.clone(), is_done.clone())),
        tokio::spawn(retry(store.clone(), is_done.clone())),
        tokio::spawn(read(store.clone(), is_done.clone())),
    ];
    // A reader or a commit may be in the way of a lock.
    while let Err(error) = ensure(&store.pool).await {
        assert!(error.full().contains("55P03"), "{}", error.full());
    }
    is_done.store(true, Ordering::Relaxed);
    let [delivered, settled, reads] = futures_util::future::try_join_all(others)
        .await
        .unwrap()
        .try_into()
        .unwrap();
    assert!(delivered > 0 && settled > 0 && reads > 0);
    let all = i64::try_from(37_000 + delivered).unwrap();
    assert_eq!(store.count("webhook_events").await, all);
    assert_eq!(store.duplicates().await, delivered);
    let pending = store.count("webhook_events WHERE status = 'pending'").await;
    assert_eq!(pending, i64::try_from(12_000 - settled).unwrap());
    let changes = store.count("audit_logs WHERE entity_id LIKE 'pay%'").await;
    assert_eq!(changes, i64::try_from(delivered).unwrap());
    ensure(&store.pool).await.unwrap();
    assert_eq!(store.count("webhook_events_default").await, 0);
    assert_eq!(store.count("webhook_events").await, all);
}
