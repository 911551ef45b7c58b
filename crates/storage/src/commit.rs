//! The one transaction of the hot path: a batch's ledger rows, projections and audit rows, or nothing.

mod duplicates;
mod identify;
mod ledger_rows;
mod settle;

use std::collections::HashSet;

use diesel_async::{AsyncConnection, AsyncPgConnection};
use futures_util::try_join;
use harkara_core::entry::EntryRef;
use harkara_core::projection::project;

use crate::projections;
pub use crate::projections::Applied;
use crate::record::{EventRecord, Origin, Verdict};
use crate::{Pool, StorageError};

/// A batch whose transaction has committed.
///
/// Only [`commit`] makes one, after PostgreSQL confirmed, so holding it is the permission to
/// acknowledge its stream entries.
#[must_use = "its stream entries wait to be acknowledged"]
#[derive(Debug)]
pub struct CommittedBatch {
    entries: Vec<EntryRef>,
    outcome: Outcome,
}

/// What became of a batch's events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Applied to the tables.
    pub processed: usize,
    /// Stored as dead letters.
    pub failed: usize,
    /// Stored to be tried again.
    pub retried: usize,
    /// Deliveries of events that were already known, by id or by body: no effect.
    pub duplicates: usize,
    /// Ledger rows that someone else had settled meanwhile: no effect.
    pub superseded: usize,
    /// What the snapshots of the applied events changed.
    pub applied: Applied,
}

impl CommittedBatch {
    /// The stream entries that may now be acknowledged.
    #[must_use]
    pub fn entries(&self) -> &[EntryRef] {
        &self.entries
    }

    /// What became of the events.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }
}

/// Commits a batch in one transaction.
///
/// Stream entries become ledger rows unless their event is known, by its id or its body's digest;
/// pending ledger rows are settled unless someone settled them meanwhile. What is left of both is
/// folded to one row for each entity and merged into the tables. On an error nothing has happened,
/// except that a commit whose answer was lost may have; committing the same batch again is harmless.
pub async fn commit(
    pool: &Pool,
    records: &mut [EventRecord],
) -> Result<CommittedBatch, StorageError> {
    let entries = records
        .iter()
        .filter_map(|record| record.claimed.entry())
        .collect();
    let outcome = pool
        .within("commit", async {
            let mut connection = pool.get().await?;
            connection
                .transaction::<_, StorageError, _>(async |connection| {
                    apply(connection, records).await
                })
                .await
        })
        .await?;
    Ok(CommittedBatch { entries, outcome })
}

async fn apply(
    connection: &mut AsyncPgConnection,
    records: &mut [EventRecord],
) -> Result<Outcome, StorageError> {
    let is_fresh = |record: &EventRecord| matches!(record.claimed.origin, Origin::Stream(_));
    let identified = identify::fresh(connection, records).await?;
    let settled = settle::pending(connection, records).await?;
    let mine: HashSet<usize> = identified.fresh.iter().chain(&settled).copied().collect();

    let mut outcome = Outcome {
        duplicates: identified.repeated.len(),
        ..Outcome::default()
    };
    for (at, record) in records.iter().enumerate() {
        if !mine.contains(&at) {
            outcome.superseded += usize::from(!is_fresh(record));
            continue;
        }
        match record.verdict {
            Verdict::Project(_) => outcome.processed += 1,
            Verdict::Fail { .. } => outcome.failed += 1,
            Verdict::Retry { .. } => outcome.retried += 1,
        }
    }
    let to_project = records
        .iter()
        .enumerate()
        .filter(|(at, _)| mine.contains(at))
        .filter_map(|(_, record)| match &record.verdict {
            Verdict::Project(event) => Some((&record.claimed.event_id, event)),
            Verdict::Fail { .. } | Verdict::Retry { .. } => None,
        });
    let projection = project(to_project);

    if !identified.repeated.is_empty() {
        // What is counted may be a row of this very batch; and ledger rows are locked before the rows of
        // entities, here as in a batch that settles rows.
        ledger_rows::insert(connection, records, &identified.fresh).await?;
        duplicates::count(connection, records, &identified.repeated).await?;
        outcome.applied = projections::write(connection, &projection).await?;
        return Ok(outcome);
    }
    // All at once: the server has the next statement when it has done with one, and the rows of that one
    // are laid out meanwhile.
    let connection = &*connection;
    let ((), applied) = try_join!(
        ledger_rows::insert(connection, records, &identified.fresh),
        projections::write(connection, &projection),
    )?;
    outcome.applied = applied;
    Ok(outcome)
}
