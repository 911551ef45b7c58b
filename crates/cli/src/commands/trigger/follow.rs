//! Waits until sent events are processed, and shows what each did.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use harkara_core::delivery::body_sha256;
use harkara_core::ids::EventId;
use harkara_operations::events::{Change, Event, EventStatus};
use harkara_simulator::delivery::Signed;
use harkara_storage::ledger;
use harkara_storage::{Pool, StorageError};
use serde::Serialize;

use super::report::{LINES_MAX, NAME_CHARACTERS, median_and_max};
use crate::exit::Ending;
use crate::output::{self, Table};

/// Longest wait for the events to be processed.
const WAIT_MAX: Duration = Duration::from_mins(1);

/// Time between two queries.
const POLL_EVERY: Duration = Duration::from_millis(100);

/// Longest wait without an explanation.
const SILENT_MAX: Duration = Duration::from_secs(5);

/// Maximum events in one query, which returns their bodies.
const QUERIED_MAX: usize = 500;

/// Longest line, so that it does not wrap on a usual terminal.
const LINE_CHARACTERS: u16 = 120;

/// Longest error below a row, which is indented by four.
const ERROR_CHARACTERS: usize = 116;

/// Tables whose rows are shown last: after the subject of an event come other entities that it changes, then the
/// current state of an entity whose table is a history.
const LAST_TABLES: [&str; 3] = ["payment_orders", "payment_transactions", "entity_snapshots"];

/// An event that was sent, and its ledger row as last seen.
struct Followed<'a> {
    name: &'a str,
    event_id: EventId,
    body_sha256: [u8; 32],
    stored: Option<Event>,
    changes: Vec<Change>,
}

/// Waits for the events of the deliveries, and shows each with the rows that it changed.
pub(super) async fn follow(
    pool: &Pool,
    deliveries: &[Signed],
    json: bool,
) -> anyhow::Result<Ending> {
    let mut events = distinct(deliveries);
    wait(pool, &mut events).await?;
    add_changes(pool, &mut events).await?;
    if json {
        write_json(&events)?;
    } else {
        write_table(&events)?;
    }
    Ok(Ending::of(events.iter().all(Followed::is_processed)))
}

fn distinct(deliveries: &[Signed]) -> Vec<Followed<'_>> {
    let mut seen = HashSet::new();
    deliveries
        .iter()
        .filter(|delivery| seen.insert(delivery.event_id.as_str()))
        .map(|delivery| Followed {
            name: &delivery.name,
            event_id: EventId::stored(delivery.event_id.clone()),
            body_sha256: body_sha256(&delivery.body),
            stored: None,
            changes: Vec::new(),
        })
        .collect()
}

async fn wait(pool: &Pool, events: &mut [Followed<'_>]) -> Result<(), StorageError> {
    let began = Instant::now();
    let mut is_explained = false;
    loop {
        refresh(pool, events).await?;
        let n_open = events.iter().filter(|event| !event.is_settled()).count();
        if n_open == 0 || began.elapsed() >= WAIT_MAX {
            return Ok(());
        }
        if !is_explained && began.elapsed() >= SILENT_MAX {
            is_explained = true;
            output::note(format!(
                "Waiting for {n_open} of {} events, for at most {} s; is the worker running?",
                events.len(),
                WAIT_MAX.as_secs()
            ));
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}

/// Reads every event that is not settled yet.
async fn refresh(pool: &Pool, events: &mut [Followed<'_>]) -> Result<(), StorageError> {
    let mut open: Vec<&mut Followed<'_>> = events
        .iter_mut()
        .filter(|event| !event.is_settled())
        .collect();
    for chunk in open.chunks_mut(QUERIED_MAX) {
        // If another body already has the id, as after the same --seed, ours is stored under the second.
        let ids = chunk.iter().flat_map(|event| {
            let contested = event.event_id.contested(&event.body_sha256);
            [&event.event_id, &contested].map(|id| id.as_str().to_owned())
        });
        let ids: Vec<String> = ids.collect();
        let found = ledger::find(pool, &ids).await?.into_iter();
        let found = found.map(|detail| (detail.body_sha256, Event::from(detail.row)));
        let mut found: HashMap<Vec<u8>, Event> = found.collect();
        for event in chunk {
            event.stored = found.remove(event.body_sha256.as_slice());
        }
    }
    Ok(())
}

async fn add_changes(pool: &Pool, events: &mut [Followed<'_>]) -> Result<(), StorageError> {
    for chunk in events.chunks_mut(QUERIED_MAX) {
        let ids: Vec<String> = chunk.iter().filter_map(Followed::stored_id).collect();
        let changes = ledger::changes(pool, &ids).await?;
        for event in chunk {
            let id = event.stored_id();
            let is_of_event = |change: &&Change| Some(&change.razorpay_event_id) == id.as_ref();
            event.changes = changes.iter().filter(is_of_event).cloned().collect();
        }
    }
    Ok(())
}

impl Followed<'_> {
    /// `None` while no worker has committed it.
    fn status(&self) -> Option<EventStatus> {
        self.stored.as_ref().map(|event| event.row.status)
    }

    fn status_text(&self) -> &'static str {
        self.status().map_or("not stored", EventStatus::as_str)
    }

    fn is_processed(&self) -> bool {
        self.status() == Some(EventStatus::Processed)
    }

    fn is_settled(&self) -> bool {
        matches!(
            self.status(),
            Some(EventStatus::Processed | EventStatus::Failed)
        )
    }

    /// The id under which it is stored.
    fn stored_id(&self) -> Option<String> {
        let event = self.stored.as_ref()?;
        Some(event.row.razorpay_event_id.clone())
    }

    fn commit_ms(&self) -> Option<i64> {
        self.stored.as_ref()?.commit_ms
    }
}

#[derive(Serialize)]
struct FollowedJson<'a> {
    event_id: &'a str,
    status: &'a str,
    stored: Option<&'a Event>,
    changes: &'a [Change],
}

fn write_json(events: &[Followed<'_>]) -> anyhow::Result<()> {
    let events = events.iter().map(|event| FollowedJson {
        event_id: event.event_id.as_str(),
        status: event.status_text(),
        stored: event.stored.as_ref(),
        changes: &event.changes,
    });
    Ok(output::json(&events.collect::<Vec<_>>())?)
}

fn write_table(events: &[Followed<'_>]) -> anyhow::Result<()> {
    // Of many events only those are worth a line with which something is wrong.
    let is_shown = |event: &&Followed<'_>| events.len() <= LINES_MAX || !event.is_processed();
    let shown: Vec<&Followed<'_>> = events.iter().filter(is_shown).take(LINES_MAX).collect();
    if !shown.is_empty() {
        table(&shown).print()?;
        output::line("")?;
    }
    let times = events.iter().filter_map(Followed::commit_ms).collect();
    let times = median_and_max(times).map(|(median, slowest)| {
        format!("; from receipt to commit {median} ms in the median, {slowest} ms at most")
    });
    let times = times.unwrap_or_default();
    let n_processed = events.iter().filter(|event| event.is_processed()).count();
    output::line(format!(
        "{n_processed} of {} processed{times}",
        events.len()
    ))?;
    if n_processed < events.len() {
        output::note(
            "harkara: not all events were processed; `harkara events --status failed` lists dead letters, and \
             events that are not stored wait for a worker: see its /readyz",
        );
    }
    Ok(())
}

fn table(events: &[&Followed<'_>]) -> Table {
    let columns = &["EVENT", "LANE", "STATUS", "MS", "ROWS CHANGED"];
    let mut table = Table::new(columns, &[3]).within(LINE_CHARACTERS);
    for event in events {
        let row = event.stored.as_ref().map(|event| &event.row);
        let ms = event.commit_ms().map(|ms| ms.to_string());
        table.row([
            output::shortened(event.name, NAME_CHARACTERS),
            row.map(|row| row.lane.clone()).unwrap_or_default(),
            event.status_text().to_owned(),
            ms.unwrap_or_default(),
            changed_rows(&event.changes),
        ]);
        if let Some(error) = row.and_then(|row| row.error.as_deref()) {
            table.below(&output::shortened(error, ERROR_CHARACTERS));
        }
    }
    table
}

/// `payment_orders(paid) payment_transactions(captured)`.
fn changed_rows(changes: &[Change]) -> String {
    let mut changes: Vec<&Change> = changes.iter().collect();
    changes.sort_by_key(|change| {
        LAST_TABLES
            .iter()
            .position(|table| *table == change.table_name)
            .map_or(0, |at| at + 1)
    });
    let rows = changes.iter().map(|change| match &change.to_status {
        Some(status) => format!("{}({status})", change.table_name),
        None => change.table_name.clone(),
    });
    rows.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::{Change, changed_rows};

    #[test]
    fn the_subject_of_the_event_comes_first() {
        let change = |table: &str, status: Option<&str>| Change {
            razorpay_event_id: "e".to_owned(),
            table_name: table.to_owned(),
            entity_id: "x".to_owned(),
            from_status: None,
            to_status: status.map(str::to_owned),
        };
        let changes = [
            change("entity_snapshots", None),
            change("payment_transactions", Some("captured")),
            change("payment_orders", Some("paid")),
            change("invoice_events", Some("paid")),
        ];
        assert_eq!(
            changed_rows(&changes),
            "invoice_events(paid) payment_orders(paid) payment_transactions(captured) entity_snapshots"
        );
    }
}
