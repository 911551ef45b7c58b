//! Received events: listing them and showing one.

mod listing;
mod signature_check;

use chrono::{DateTime, Utc};
use harkara_settings::Settings;
use harkara_storage::Pool;
use harkara_storage::ledger::{self, EventDetail};
use serde::Serialize;

use crate::OperationError;

pub use harkara_storage::ledger::{Change, EventFilter, EventRow, EventStatus};
pub use listing::{EventPage, Listing, Older};
pub use signature_check::SignatureCheck;

/// An event without its body.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// Its ledger row.
    #[serde(flatten)]
    pub row: EventRow,
    /// Milliseconds from receipt to commit.
    pub commit_ms: Option<i64>,
    /// The trace id of its `traceparent`.
    pub trace_id: Option<String>,
}

/// One event with everything that is known about it.
#[derive(Clone, Debug, Serialize)]
pub struct EventDetails {
    /// The event.
    #[serde(flatten)]
    pub event: Event,
    /// Hex.
    pub body_sha256: String,
    /// The verified signature.
    pub signature: String,
    /// Whether it verifies now.
    pub signature_check: SignatureCheck,
    /// The rows that the event changed.
    pub changes: Vec<Change>,
}

/// Shows an event, and checks its signature with the secrets of the settings.
pub async fn show(
    pool: &Pool,
    settings: &Settings,
    event_id: &str,
) -> Result<EventDetails, OperationError> {
    let event = find(pool, event_id).await?;
    Ok(EventDetails {
        body_sha256: const_hex::encode(&event.body_sha256),
        signature_check: SignatureCheck::of(settings, &event),
        changes: ledger::changes(pool, &[event_id.to_owned()]).await?,
        signature: event.signature,
        event: event.row.into(),
    })
}

/// The exact bytes of an event's body.
pub async fn body(pool: &Pool, event_id: &str) -> Result<Vec<u8>, OperationError> {
    Ok(find(pool, event_id).await?.body)
}

async fn find(pool: &Pool, event_id: &str) -> Result<EventDetail, OperationError> {
    let found = ledger::find(pool, &[event_id.to_owned()]).await?;
    let event = found.into_iter().next();
    event.ok_or_else(|| OperationError::UnknownEvent(event_id.to_owned()))
}

impl From<EventRow> for Event {
    fn from(row: EventRow) -> Self {
        let committed_after = |at: DateTime<Utc>| (at - row.created_at).num_milliseconds();
        let traceparent = row.traceparent.as_deref();
        Self {
            commit_ms: row.processed_at.map(committed_after),
            trace_id: traceparent.and_then(|t| Some(t.split('-').nth(1)?.to_owned())),
            row,
        }
    }
}
