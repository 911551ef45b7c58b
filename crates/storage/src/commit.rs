//! The one transaction of the hot path: a batch's ledger rows, projections and audit rows, or nothing.

mod duplicates;
mod identify;
mod ledger_rows;
mod repeats;
mod settle;

use std::collections::HashSet;

use diesel_async::{AsyncConnection, AsyncPgConnection};
use futures_util::try_join;
use harkara_core::entry::EntryRef;
use harkara_core::projection::{Projection, project};

use crate::projections;
pub use crate::projections::Applied;
use crate::record::{EventRecord, Origin, Verdict};
use crate::statement_times::{StatementTime, collected};
use crate::{Pool, StorageError};
pub use repeats::Repeats;

/// A batch whose transaction has committed.
///
/// Only [`commit`] makes one, after PostgreSQL confirmed, so holding it is the permission to
/// acknowledge its stream entries.
#[must_use = "its stream entries wait to be acknowledged"]
#[derive(Debug)]
pub struct CommittedBatch {
    entries: Vec<EntryRef>,
    outcome: Outcome,
    untouched: Untouched,
    statements: Vec<StatementTime>,
}

/// The positions of a batch's events that had no effect.
#[derive(Debug, Default)]
struct Untouched {
    repeated: HashSet<usize>,
    superseded: HashSet<usize>,
}

/// What became of a batch's events.
type Settled = (Outcome, Untouched);

/// What became of a batch's events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Applied to the tables.
    pub processed: usize,
    /// Stored as dead letters.
    pub failed: usize,
    /// Stored to be tried again.
    pub retried: usize,
    /// Stored to be looked into.
    pub held: usize,
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

    /// Whether the record at a position was a delivery of an event that was already known.
    #[must_use]
    pub fn is_repeated(&self, at: usize) -> bool {
        self.untouched.repeated.contains(&at)
    }

    /// Whether the record at a position was a ledger row that someone else had settled meanwhile.
    #[must_use]
    pub fn is_superseded(&self, at: usize) -> bool {
        self.untouched.superseded.contains(&at)
    }

    /// The times of its statements, in the order of their ends.
    #[must_use]
    pub fn statements(&self) -> &[StatementTime] {
        &self.statements
    }
}

/// Commits a batch in one transaction.
///
/// Stream entries become ledger rows unless their event is known, by its id or its body's digest;
/// pending ledger rows are settled unless someone settled them meanwhile. What is left of both is
/// folded to one row for each entity and merged into the tables. On an error nothing has happened,
/// except that a commit whose answer was lost may have; committing the same batch again is harmless.
///
/// Unless repeated deliveries are expected, all stream entries are first taken to be new, which saves
/// asking; where the ledger's uniqueness then refuses one, nothing has happened and the batch asks.
pub async fn commit(
    pool: &Pool,
    repeats: &Repeats,
    records: &mut [EventRecord],
) -> Result<CommittedBatch, StorageError> {
    let entries: Vec<EntryRef> = records
        .iter()
        .filter_map(|record| record.claimed.entry())
        .collect();
    let committing = pool.within("commit", async |connection| {
        if !repeats.are_expected()
            && let Some(order) = identify::all_distinct(records)
        {
            let applied = connection
                .transaction(async |connection| apply_new(connection, records, &order).await)
                .await;
            match applied {
                Err(error) if error.refuses_repeats() => repeats.expect(true),
                settled => return Ok((settled?, Untouched::default())),
            }
        }
        let (outcome, untouched) = connection
            .transaction(async |connection| apply(connection, records).await)
            .await?;
        // Ledger rows say nothing about fresh deliveries.
        if records.iter().any(identify::is_fresh) {
            repeats.expect(outcome.duplicates > 0);
        }
        Ok::<Settled, StorageError>((outcome, untouched))
    });
    let (settled, statements) = collected(committing).await;
    let (outcome, untouched) = settled?;
    Ok(CommittedBatch {
        entries,
        outcome,
        untouched,
        statements,
    })
}

/// Applies stream entries that are all taken to be new, with nothing to wait for in between: PostgreSQL
/// refuses the transaction if one is not.
async fn apply_new(
    connection: &AsyncPgConnection,
    records: &[EventRecord],
    order: &[usize],
) -> Result<Outcome, StorageError> {
    let all: Vec<usize> = (0..records.len()).collect();
    let projection = projection_of(records.iter());
    let ((), (), applied) = try_join!(
        identify::insert_new(connection, records, order),
        ledger_rows::insert(connection, records, &all),
        projections::write(connection, &projection),
    )?;
    let mut outcome = Outcome::of(records.iter());
    outcome.applied = applied;
    Ok(outcome)
}

async fn apply(
    connection: &mut AsyncPgConnection,
    records: &mut [EventRecord],
) -> Result<Settled, StorageError> {
    let identified = identify::fresh(connection, records).await?;
    let settled = settle::pending(connection, records).await?;
    let mine: HashSet<usize> = identified.fresh.iter().chain(&settled).copied().collect();
    let (applied, left): (Vec<_>, Vec<_>) = records
        .iter()
        .enumerate()
        .partition(|(at, _)| mine.contains(at));
    let applied = || applied.iter().map(|(_, record)| *record);
    let projection = projection_of(applied());
    let mut outcome = Outcome::of(applied());
    let of_ledger = |record: &EventRecord| matches!(record.claimed.origin, Origin::Ledger { .. });
    let superseded = left.iter().filter(|(_, record)| of_ledger(record));
    let untouched = Untouched {
        repeated: identified.repeated.iter().map(|(at, _)| *at).collect(),
        superseded: superseded.map(|(at, _)| *at).collect(),
    };
    outcome.duplicates = untouched.repeated.len();
    outcome.superseded = untouched.superseded.len();

    if !identified.repeated.is_empty() {
        // What is counted may be a row of this very batch; and ledger rows are locked before the rows of
        // entities, here as in a batch that settles rows.
        ledger_rows::insert(connection, records, &identified.fresh).await?;
        duplicates::count(connection, records, &identified.repeated).await?;
        outcome.applied = projections::write(connection, &projection).await?;
        return Ok((outcome, untouched));
    }
    // All at once: the server has the next statement when it has done with one, and the rows of that one
    // are laid out meanwhile.
    let connection = &*connection;
    let ((), applied) = try_join!(
        ledger_rows::insert(connection, records, &identified.fresh),
        projections::write(connection, &projection),
    )?;
    outcome.applied = applied;
    Ok((outcome, untouched))
}

impl Outcome {
    /// What becomes of records that are this batch's to apply.
    fn of<'a>(records: impl Iterator<Item = &'a EventRecord>) -> Self {
        let mut outcome = Self::default();
        for record in records {
            match record.verdict {
                Verdict::Project(_) => outcome.processed += 1,
                Verdict::Fail { .. } => outcome.failed += 1,
                Verdict::Retry { .. } => outcome.retried += 1,
                Verdict::Hold => outcome.held += 1,
            }
        }
        outcome
    }
}

fn projection_of<'a>(records: impl Iterator<Item = &'a EventRecord>) -> Projection {
    project(records.filter_map(|record| match &record.verdict {
        Verdict::Project(event) => Some((&record.claimed.event_id, event)),
        Verdict::Hold | Verdict::Fail { .. } | Verdict::Retry { .. } => None,
    }))
}
