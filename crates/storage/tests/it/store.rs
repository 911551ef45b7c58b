//! A database of one test, with the operations that tests repeat.

use std::ops::Deref;

use harkara_simulator::SimulatedEvent;
use harkara_storage::commit::{self, CommittedBatch, DuplicateHint, Outcome};
use harkara_storage::ledger::{LeaseBounds, lease_due};
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
        lease_due(&self.pool, &bounds).await.unwrap().events
    }

    /// Counts the rows of a table, with an optional condition.
    pub(crate) async fn count(&self, table: &str) -> i64 {
        self.value(&format!("SELECT count(*) FROM {table}")).await
    }

    /// Reads the rows of several queries.
    pub(crate) async fn all_rows(&self, queries: &[&str]) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        for query in queries {
            found.push(self.rows(query).await);
        }
        found
    }
}

impl Deref for Store {
    type Target = TestDatabase;

    fn deref(&self) -> &TestDatabase {
        &self.db
    }
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
