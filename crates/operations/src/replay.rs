//! Replay: puts events back to pending, so that a worker processes them again.

use chrono::{DateTime, Utc};
use harkara_storage::Pool;
use harkara_storage::ledger::{
    self, EventStatus, ReplayCount, ReplayTarget, Walk, optional_time, stretch,
};
use serde::Serialize;

use crate::{Actor, Looked, OperationError};

/// Rows that one step of a replay looks at, and at most changes, in a transaction of its own: some 4 MB of
/// usual bodies, which are written again.
const ROWS_PER_STEP: u32 = 2_000;

/// Which events to replay together. All conditions must hold.
#[derive(Clone, Debug)]
pub struct ReplaySelection {
    /// Their status.
    pub status: EventStatus,
    /// Their name.
    pub event_type: Option<String>,
    /// Received at or after this time.
    pub since: DateTime<Utc>,
    /// Received before this time.
    pub before: DateTime<Utc>,
}

/// What a replay did, or would do.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ReplayReport {
    /// Nothing was changed.
    pub dry_run: bool,
    /// Events that match and can be replayed.
    pub replayable: u64,
    /// Events that match and are pending already; they are left alone.
    pub already_pending: u64,
    /// Events that were put back to pending.
    pub replayed: u64,
    /// Who did it; `None` for a dry run.
    pub actor: Option<Actor>,
    /// If it was broken off: events received before this time are left.
    #[serde(
        serialize_with = "optional_time",
        skip_serializing_if = "Option::is_none"
    )]
    pub left_before: Option<DateTime<Utc>>,
}

/// Counts what [`replay_event`] would do, and changes nothing.
pub async fn preview_event(pool: &Pool, event_id: &str) -> Result<ReplayReport, OperationError> {
    let ReplayCount {
        replayable,
        already_pending,
    } = ledger::count_replayable(pool, &ReplayTarget::Event(event_id)).await?;
    if replayable + already_pending == 0 {
        return Err(OperationError::UnknownEvent(event_id.to_owned()));
    }
    Ok(ReplayReport {
        dry_run: true,
        replayable,
        already_pending,
        ..ReplayReport::default()
    })
}

/// Replays an event, which gets an audit row with the actor.
pub async fn replay_event(
    pool: &Pool,
    event_id: &str,
    actor: Actor,
) -> Result<ReplayReport, OperationError> {
    let preview = preview_event(pool, event_id).await?;
    let target = ReplayTarget::Event(event_id);
    let replayed = match preview.replayable {
        0 => 0,
        _ => ledger::replay(pool, &target, &actor.to_string()).await?,
    };
    Ok(ReplayReport {
        dry_run: false,
        replayed,
        actor: Some(actor),
        ..preview
    })
}

/// A replay of many events in steps, newest first, or a count of them. Each step is a transaction of its own,
/// so that what was done stays done, and little is locked at a time. Each event gets an audit row with the
/// actor.
#[derive(Debug)]
pub struct Replay {
    selection: ReplaySelection,
    /// `None` to count.
    actor: Option<Actor>,
    /// What it has not looked at is older.
    before: DateTime<Utc>,
    matching: u64,
    looked: Looked,
}

impl Replay {
    /// A count that changes nothing.
    #[must_use]
    pub fn count(selection: ReplaySelection) -> Self {
        Self::new(selection, None)
    }

    /// A replay by somebody.
    #[must_use]
    pub fn by(actor: Actor, selection: ReplaySelection) -> Self {
        Self::new(selection, Some(actor))
    }

    fn new(selection: ReplaySelection, actor: Option<Actor>) -> Self {
        Self {
            before: selection.before,
            selection,
            actor,
            matching: 0,
            looked: Looked::default(),
        }
    }

    /// Takes a step, unless all is done; returns whether it is.
    pub async fn step(&mut self, pool: &Pool) -> Result<bool, OperationError> {
        if self.looked.is_all {
            return Ok(true);
        }
        let walk = match self.selection.status {
            EventStatus::Failed => Walk::DeadLetters,
            EventStatus::Processed | EventStatus::Pending => Walk::Events,
        };
        let since = self.selection.since;
        let Some(stretch) = stretch(pool, &walk, since, self.before, ROWS_PER_STEP).await? else {
            self.looked.is_all = true;
            return Ok(true);
        };
        let target = ReplayTarget::Stretch {
            stretch,
            status: self.selection.status,
            event_type: self.selection.event_type.as_deref(),
        };
        self.matching += match &self.actor {
            Some(actor) => ledger::replay(pool, &target, &actor.to_string()).await?,
            None => ledger::count_replayable(pool, &target).await?.replayable,
        };
        self.before = stretch.from;
        self.looked.add(&stretch);
        Ok(self.looked.is_all)
    }

    /// How many events match so far, and what it has looked at.
    #[must_use]
    pub fn so_far(&self) -> (u64, &Looked) {
        (self.matching, &self.looked)
    }

    /// The result, which may be that of a part.
    #[must_use]
    pub fn report(&self) -> ReplayReport {
        let is_count = self.actor.is_none();
        ReplayReport {
            dry_run: is_count,
            replayable: self.matching,
            already_pending: 0,
            replayed: if is_count { 0 } else { self.matching },
            actor: self.actor.clone(),
            left_before: (!self.looked.is_all).then_some(self.before),
        }
    }
}
