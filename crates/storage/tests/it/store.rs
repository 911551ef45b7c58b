//! A database of one test, with the operations that tests repeat.

use std::ops::Deref;

use futures_util::future::join_all;
use harkara_simulator::SimulatedEvent;
use harkara_storage::commit::{self, CommittedBatch, DuplicateHint, Outcome};
use harkara_storage::ledger::{LeaseBounds, Leased, lease_due};
use harkara_storage::record::{ClaimedEvent, EventRecord};
use harkara_storage::{Pool, StorageError};
use harkara_testkit::TestDatabase;

use crate::records::{LEASE_BOUNDS, all_claimed};

/// A migrated database and a pool of connections to it.
pub(crate) struct Store {
    db: TestDatabase,
    pub(crate) pool: Pool,
}

impl Store {
    pub(crate) async fn migrated() -> Self {
        let db = TestDatabase::migrated().await;
        let pool = db.pool();
        Self { db, pool }
    }

    /// The database, without the pool and its sessions.
    pub(crate) fn into_database(self) -> TestDatabase {
        self.db
    }

    /// Commits a batch.
    pub(crate) async fn commit(&self, batch: Vec<EventRecord>) -> Outcome {
        commit(&self.pool, batch).await.unwrap().outcome()
    }

    /// Commits events as claimed from their streams, each with the verdict that it deserves.
    pub(crate) async fn deliver<'a>(
        &self,
        events: impl IntoIterator<Item = &'a SimulatedEvent>,
    ) -> Outcome {
        self.commit(all_claimed(events)).await
    }

    /// Leases up to `rows_max` due rows.
    pub(crate) async fn lease(&self, rows_max: usize) -> Vec<ClaimedEvent> {
        let bounds = LeaseBounds {
            rows_max,
            ..LEASE_BOUNDS
        };
        self.lease_within(bounds).await.events
    }

    pub(crate) async fn lease_within(&self, bounds: LeaseBounds) -> Leased {
        lease_due(&self.pool, &bounds).await.unwrap()
    }

    /// Updates ledger rows, with an optional condition.
    pub(crate) async fn set(&self, columns: &str) {
        let update = format!("UPDATE webhook_events SET {columns}");
        self.execute(&update).await;
    }

    /// The ledger rows in order of their ids: some columns without the nulls among them, joined by spaces.
    pub(crate) async fn ledger(&self, columns: &str) -> Vec<String> {
        self.column(&format!(
            "SELECT concat_ws(' ', {columns}) FROM webhook_events ORDER BY razorpay_event_id"
        ))
        .await
    }

    /// The duplicates that the ledger has counted.
    pub(crate) async fn duplicates(&self) -> usize {
        let sum = "SELECT sum(duplicates) FROM webhook_events";
        self.value::<i64>(sum).await.try_into().unwrap()
    }

    /// Counts the rows of a table, with an optional condition.
    pub(crate) async fn count(&self, table: &str) -> i64 {
        self.value(&format!("SELECT count(*) FROM {table}")).await
    }

    /// The rows of tables as JSON, in order.
    pub(crate) async fn tables(&self, names: &[&str]) -> Vec<Vec<String>> {
        let query = |name: &&str| format!("SELECT to_jsonb(t) AS row FROM {name} t ORDER BY 1");
        join_all(names.iter().map(async |name| self.rows(&query(name)).await)).await
    }
}

impl Deref for Store {
    type Target = TestDatabase;

    fn deref(&self) -> &TestDatabase {
        &self.db
    }
}

/// Processed, failed and retried events.
pub(crate) fn settled(outcome: Outcome) -> (usize, usize, usize) {
    (outcome.processed, outcome.failed, outcome.retried)
}

/// Processed events and duplicates of several commits together.
pub(crate) fn total(outcomes: &[Outcome]) -> (usize, usize) {
    let processed = outcomes.iter().map(|outcome| outcome.processed).sum();
    (
        processed,
        outcomes.iter().map(|outcome| outcome.duplicates).sum(),
    )
}

/// Commits a batch, expecting no duplicates.
pub(crate) async fn commit(
    pool: &Pool,
    batch: Vec<EventRecord>,
) -> Result<CommittedBatch, StorageError> {
    commit::commit(pool, &DuplicateHint::default(), &batch).await
}

/// The outcome of a batch of which every event is a duplicate.
pub(crate) fn only_duplicates(duplicates: usize) -> Outcome {
    Outcome {
        duplicates,
        ..Outcome::default()
    }
}
