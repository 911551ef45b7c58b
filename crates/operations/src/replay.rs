//! Replay: puts events back to pending, so that a worker processes them again.

use harkara_storage::Pool;
use harkara_storage::ledger::{self, ReplayCount};
use serde::Serialize;

use crate::{Actor, OperationError};

pub use harkara_storage::ledger::ReplaySelection;

/// What a replay did, or would do.
#[derive(Clone, Debug, Serialize)]
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
}

/// Counts what [`replay`] would do, and changes nothing.
pub async fn preview(
    pool: &Pool,
    selection: &ReplaySelection,
) -> Result<ReplayReport, OperationError> {
    let ReplayCount {
        replayable,
        already_pending,
    } = ledger::count_replayable(pool, selection).await?;
    match &selection.event_id {
        Some(id) if replayable + already_pending == 0 => {
            Err(OperationError::UnknownEvent(id.clone()))
        }
        _ => Ok(ReplayReport {
            dry_run: true,
            replayable,
            already_pending,
            replayed: 0,
            actor: None,
        }),
    }
}

/// Replays a selection that was previewed. Each event gets an audit row with the actor.
pub async fn replay(
    pool: &Pool,
    selection: &ReplaySelection,
    preview: ReplayReport,
    actor: Actor,
) -> Result<ReplayReport, OperationError> {
    let replayed = match preview.replayable {
        0 => 0,
        _ => ledger::replay(pool, selection, &actor.to_string()).await?,
    };
    Ok(ReplayReport {
        dry_run: false,
        replayed,
        actor: Some(actor),
        ..preview
    })
}
