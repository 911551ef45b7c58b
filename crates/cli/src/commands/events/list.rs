//! `harkara events list`.

use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, ValueEnum};
use harkara_settings::Settings;
use harkara_storage::ledger::{self, EventFilter, EventRow, EventStatus};

use crate::arguments::moment;
use crate::commands::event_json::EventJson;
use crate::exit::Ending;
use crate::output::{self, Align, Table, rfc3339, rfc3339_seconds, shortened};
use harkara_operations::database;

/// Most events in one listing.
const LIMIT_MAX: i64 = 1000;

/// Longest name of an event in the table, so that its lines have at most 100 characters. The typed
/// events all fit.
const NAME_CHARACTERS: usize = 34;

/// Longest error below a row.
const ERROR_CHARACTERS: usize = 96;

#[derive(Debug, Args)]
pub(crate) struct ListOptions {
    /// Only events of this status
    #[arg(long)]
    status: Option<Status>,

    /// Only events of this name
    #[arg(long = "type", value_name = "EVENT")]
    event_type: Option<String>,

    /// Only events of this account, such as `acc_BFQ7uQEaa7j2z7`
    #[arg(long, value_name = "ID")]
    account: Option<String>,

    /// Only events that came to this endpoint
    #[arg(long, value_name = "NAME")]
    endpoint: Option<String>,

    /// Only events that changed this entity's status, such as `pay_DESlfW9H8K9uqM`
    #[arg(long, value_name = "ID")]
    entity: Option<String>,

    /// Received since this time (RFC 3339) or span back from now (90m, 1h, 7d)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<DateTime<Utc>>,

    /// Received before this time (RFC 3339) or span back from now
    #[arg(long, value_name = "TIME", value_parser = moment)]
    before: Option<DateTime<Utc>>,

    /// Most events listed, at most 1000
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=LIMIT_MAX))]
    limit: u32,

    /// Prints one JSON document: an array of objects
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Status {
    Processed,
    Pending,
    Failed,
}

impl From<Status> for EventStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Processed => Self::Processed,
            Status::Pending => Self::Pending,
            Status::Failed => Self::Failed,
        }
    }
}

/// Lists events, newest first.
pub(super) async fn run(settings: &Settings, options: &ListOptions) -> anyhow::Result<Ending> {
    let pool = database::open(&settings.postgres).await?;
    let filter = EventFilter {
        status: options.status.map(EventStatus::from),
        event_type: options.event_type.clone(),
        account_id: options.account.clone(),
        endpoint: options.endpoint.clone(),
        since: options.since,
        before: options.before,
        entity_id: options.entity.clone(),
    };
    // One more than is shown tells whether there are more, and where they begin.
    let mut rows = ledger::list(&pool, &filter, options.limit + 1).await?;
    let limit = usize::try_from(options.limit)?;
    let next = rows.get(limit).map(|row| row.created_at);
    rows.truncate(limit);
    if options.json {
        output::json(&rows.iter().map(EventJson::from).collect::<Vec<_>>())?;
    } else {
        write_table(&rows, next)?;
    }
    Ok(Ending::Done)
}

fn write_table(rows: &[EventRow], next: Option<DateTime<Utc>>) -> anyhow::Result<()> {
    if rows.is_empty() {
        output::line("no event matches")?;
        return Ok(());
    }
    // The id comes last: it may be long, must be whole to be of use, and pushes nothing aside there.
    let columns = [
        ("RECEIVED", Align::Left),
        ("EVENT", Align::Left),
        ("LANE", Align::Left),
        ("STATUS", Align::Left),
        ("AGAIN", Align::Right),
        ("EVENT ID", Align::Left),
    ];
    let mut table = Table::new(&columns);
    for row in rows {
        table.row([
            rfc3339_seconds(row.created_at),
            shortened(&row.event_type, NAME_CHARACTERS),
            row.lane.clone(),
            row.status.to_string(),
            again(row),
            row.razorpay_event_id.clone(),
        ]);
        if let Some(error) = &row.error {
            table.below(&shortened(error, ERROR_CHARACTERS));
        }
    }
    table.print()?;
    if let Some(next) = next {
        // A page may repeat events of one instant, but never leaves one out.
        let before = next + TimeDelta::microseconds(1);
        output::line(format!(
            "\n{} shown; older ones: --before {}",
            rows.len(),
            rfc3339(before)
        ))?;
    }
    Ok(())
}

/// Deliveries beyond the first, under whatever event id.
fn again(row: &EventRow) -> String {
    match row.duplicates + row.other_id_duplicates {
        0 => String::new(),
        n => n.to_string(),
    }
}
