//! The one transaction of the hot path: a batch's ledger rows, projections and audit rows, or nothing.

mod duplicate_hint;
mod duplicates;
mod identify;
mod ledger_rows;
mod settle;

use std::collections::{HashMap, HashSet};

use diesel_async::{AsyncConnection, AsyncPgConnection};
use futures_util::try_join;
use harkara_core::entry::EntryRef;
use harkara_core::ids::EventId;
use harkara_core::projection::{Projection, project};

use crate::projections;
pub use crate::projections::{Applied, tables};
use crate::record::{EventRecord, Verdict};
use crate::statement_times::{StatementTime, collected};
use crate::{Pool, StorageError};
pub use duplicate_hint::DuplicateHint;
use identify::{Identified, IdentityMode};

/// A batch whose transaction has committed.
///
/// Only [`commit`] makes one, after PostgreSQL confirmed, so holding it is the permission to
/// acknowledge its stream entries.
#[must_use = "its stream entries wait to be acknowledged"]
#[derive(Debug)]
pub struct CommittedBatch {
    entries: Vec<EntryRef>,
    effects: Effects,
    statements: Vec<StatementTime>,
}

/// What a transaction did with the records of its batch. Records are known by their positions.
#[derive(Debug)]
struct Effects {
    outcome: Outcome,
    duplicates: HashSet<usize>,
    superseded: HashSet<usize>,
    /// Ids that differ from those that the events came under.
    contested: HashMap<usize, EventId>,
}

/// Counts of a batch's events by their outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Applied to the tables.
    pub processed: usize,
    /// Stored as dead letters.
    pub failed: usize,
    /// Stored for another attempt.
    pub retried: usize,
    /// Stored for a first attempt.
    pub deferred: usize,
    /// Stored until a table can be written again.
    pub postponed: usize,
    /// Deliveries of events that were already known, by id or by body: no effect.
    pub duplicates: usize,
    /// Ledger rows that someone else had settled in the meantime: no effect.
    pub superseded: usize,
    /// Changes by the snapshots of the applied events.
    pub applied: Applied,
}

impl CommittedBatch {
    /// The stream entries that may now be acknowledged.
    #[must_use]
    pub fn entries(&self) -> &[EntryRef] {
        &self.entries
    }

    /// The counts of its events by outcome.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.effects.outcome
    }

    /// Whether the record at a position was a delivery of an event that was already known.
    #[must_use]
    pub fn is_duplicate(&self, at: usize) -> bool {
        self.effects.duplicates.contains(&at)
    }

    /// Whether the record at a position was a ledger row that someone else had settled in the meantime.
    #[must_use]
    pub fn is_superseded(&self, at: usize) -> bool {
        self.effects.superseded.contains(&at)
    }

    /// The id under which the event at a position was stored, if it came under the id of another body.
    #[must_use]
    pub fn contested_id(&self, at: usize) -> Option<&EventId> {
        self.effects.contested.get(&at)
    }

    /// The times of its statements, in the order in which they ended.
    #[must_use]
    pub fn statements(&self) -> &[StatementTime] {
        &self.statements
    }
}

/// Commits a batch in one transaction.
///
/// Deliveries become ledger rows unless their event is known, by its id or its body's digest; leased
/// ledger rows are settled unless someone settled them in the meantime. The events of both are folded to
/// one row for each entity and merged into the tables. On an error nothing has happened, except that a
/// commit whose answer was lost may have; committing the same batch again is harmless.
///
/// Identities are inserted optimistically unless duplicates are expected, which saves a round trip; on a
/// conflict nothing has happened and the transaction runs again, this time checking them.
pub async fn commit(
    pool: &Pool,
    hint: &DuplicateHint,
    records: &[EventRecord],
) -> Result<CommittedBatch, StorageError> {
    let entries: Vec<EntryRef> = records
        .iter()
        .filter_map(|record| record.claimed.entry())
        .collect();
    let committing = pool.within("commit", async |connection| {
        let mut mode = IdentityMode::choose(hint, records);
        loop {
            let applied = connection
                .transaction(async |connection| apply(connection, records, &mode).await)
                .await;
            match applied {
                Err(error) if mode.is_optimistic() && error.is_identity_conflict() => {
                    hint.expect_duplicates(true);
                    mode = IdentityMode::Checked;
                }
                applied => return Ok::<_, StorageError>((applied?, mode)),
            }
        }
    });
    let (committed, statements) = collected(committing).await;
    let (effects, mode) = committed?;
    // Ledger rows say nothing about the deliveries to come.
    if !mode.is_optimistic() && records.iter().any(|record| record.claimed.is_delivery()) {
        hint.expect_duplicates(effects.outcome.duplicates > 0);
    }
    Ok(CommittedBatch {
        entries,
        effects,
        statements,
    })
}

/// Runs the statements that insert new deliveries without any, on a connection of the pool: it is then open and
/// has prepared them. Writes nothing.
pub async fn rehearse(pool: &Pool) -> Result<(), StorageError> {
    let none = Identified::default();
    pool.within("rehearse commit", async |connection| {
        none.insert_all(connection, &[], &[]).await?;
        ledger_rows::insert_all(connection, &[], &none).await
    })
    .await
}

async fn apply(
    connection: &AsyncPgConnection,
    records: &[EventRecord],
    mode: &IdentityMode,
) -> Result<Effects, StorageError> {
    let (identified, to_insert) = match mode {
        IdentityMode::Optimistic(order) => (Identified::all_new(records), order.as_slice()),
        IdentityMode::Checked => (identify::checked(connection, records).await?, &[][..]),
    };
    let rows = settle::pending(connection, records).await?;
    let ours = || identified.new.iter().chain(&rows.settled).copied();
    let projection = project(ours().filter_map(|at| match &records[at].verdict {
        Verdict::Project(event) => Some((identified.event_id(records, at), event)),
        _ => None,
    }));

    let applied = write(connection, records, &identified, to_insert, &projection).await?;
    let outcome = Outcome {
        duplicates: identified.duplicates.len(),
        superseded: rows.superseded.len(),
        applied,
        ..Outcome::of(ours().map(|at| &records[at].verdict))
    };
    Ok(Effects {
        outcome,
        duplicates: identified.duplicates.iter().map(|(at, _)| *at).collect(),
        superseded: rows.superseded.into_iter().collect(),
        contested: identified.contested,
    })
}

/// Writes identities that are still to insert, ledger rows and projections.
async fn write(
    connection: &AsyncPgConnection,
    records: &[EventRecord],
    identified: &Identified,
    to_insert: &[usize],
    projection: &Projection,
) -> Result<Applied, StorageError> {
    if identified.duplicates.is_empty() {
        // Pipelined: PostgreSQL has the next statement when it is done with one.
        let ((), (), applied) = try_join!(
            identified.insert_optimistically(connection, records, to_insert),
            ledger_rows::insert(connection, records, identified),
            projections::write(connection, projection),
        )?;
        return Ok(applied);
    }
    // A duplicate may repeat a row of this very batch; and ledger rows are locked before the rows of
    // entities, here as in a batch that settles rows.
    ledger_rows::insert(connection, records, identified).await?;
    duplicates::count(connection, records, &identified.duplicates).await?;
    projections::write(connection, projection).await
}

impl Outcome {
    fn of<'a>(verdicts: impl Iterator<Item = &'a Verdict>) -> Self {
        let mut outcome = Self::default();
        for verdict in verdicts {
            match verdict {
                Verdict::Project(_) => outcome.processed += 1,
                Verdict::Fail { .. } => outcome.failed += 1,
                Verdict::Retry { .. } => outcome.retried += 1,
                Verdict::Defer => outcome.deferred += 1,
                Verdict::Postpone { .. } => outcome.postponed += 1,
            }
        }
        outcome
    }
}
