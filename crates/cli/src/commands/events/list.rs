//! `harkara events list`.

use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use harkara_operations::database;
use harkara_operations::events::{EventFilter, EventPage, EventRow, EventStatus, Listing, Older};
use harkara_settings::Settings;
use harkara_storage::Pool;

use crate::arguments::{moment, status};
use crate::exit::Ending;
use crate::output::{self, Table, rfc3339, rfc3339_seconds, shortened};
use crate::walk::{Interrupt, Progress, far};

/// Maximum events in one listing.
const LIMIT_MAX: i64 = 1000;

/// Longest event name in the table, for lines of at most 100 characters. All typed events fit.
const NAME_CHARACTERS: usize = 34;

/// Longest error below a row.
const ERROR_CHARACTERS: usize = 96;

#[derive(Debug, Args)]
pub(crate) struct ListOptions {
    /// Only events with this status
    #[arg(long, value_parser = status(&[EventStatus::Processed, EventStatus::Pending, EventStatus::Failed]))]
    status: Option<EventStatus>,

    /// Only events with this name
    #[arg(long = "type", value_name = "EVENT")]
    event_type: Option<String>,

    /// Only events of this account, such as `acc_BFQ7uQEaa7j2z7`
    #[arg(long, value_name = "ID")]
    account: Option<String>,

    /// Only events received by this endpoint
    #[arg(long, value_name = "NAME")]
    endpoint: Option<String>,

    /// Only events that changed this entity, such as `pay_DESlfW9H8K9uqM`
    #[arg(long, value_name = "ID")]
    entity: Option<String>,

    /// Received since this time (RFC 3339) or duration before now (90m, 1h, 7d)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<DateTime<Utc>>,

    /// Received before this time (RFC 3339) or duration before now;
    /// TIME,ID: what a listing has after this event
    #[arg(long, value_name = "TIME", value_parser = place, verbatim_doc_comment)]
    before: Option<Older>,

    /// Maximum number of events, up to 1000
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=LIMIT_MAX))]
    limit: u32,

    /// Prints one JSON document: an array of objects
    #[arg(long)]
    json: bool,
}

/// Lists events, newest first.
pub(super) async fn run(settings: &Settings, options: &ListOptions) -> anyhow::Result<Ending> {
    let all = EventFilter::all();
    let (before, after) = match options.before.clone() {
        None => (all.before, None),
        Some(Older::Before(time)) => (time, None),
        Some(Older::After(time, id)) => (time + TimeDelta::microseconds(1), Some((time, id))),
    };
    let filter = EventFilter {
        status: options.status,
        event_type: options.event_type.clone(),
        account_id: options.account.clone(),
        endpoint: options.endpoint.clone(),
        since: options.since.unwrap_or(all.since),
        before,
        after,
    };
    let pool = database::open(&settings.postgres).await?;
    let listing = Listing::begin(&pool, filter, options.entity.clone(), options.limit).await?;
    let page = complete(&pool, listing).await?;
    if options.json {
        output::json(&page.events)?;
    } else {
        write_table(&page)?;
    }
    Ok(Ending::of(page.looked.is_all))
}

/// Takes all steps of a listing, and tells how far they went if there were several, or if Ctrl-C ended them.
async fn complete(pool: &Pool, mut listing: Listing) -> anyhow::Result<EventPage> {
    let (interrupt, mut progress, mut steps) = (Interrupt::listen(), Progress::begin(), 1);
    while !listing.step(pool).await? && !interrupt.is_seen() {
        let (found, looked) = listing.so_far();
        progress.tell(looked, || format!("{found} found, Ctrl-C shows them"));
        steps += 1;
    }
    let page = listing.page();
    if !page.looked.is_all {
        output::note(format!(
            "interrupted: {}; there may be more",
            far(&page.looked)
        ));
    } else if steps > 1 {
        output::note(far(&page.looked));
    }
    Ok(page)
}

fn write_table(page: &EventPage) -> anyhow::Result<()> {
    if page.events.is_empty() {
        output::line(match &page.older {
            None => "no event matches".to_owned(),
            Some(older) => format!("no event matches yet; go on with --before {}", text(older)),
        })?;
        return Ok(());
    }
    // The id is last: it may be long, and must be whole to be of use.
    let columns = &["RECEIVED", "EVENT", "LANE", "STATUS", "AGAIN", "EVENT ID"];
    let mut table = Table::new(columns, &[4]);
    for event in &page.events {
        let row = &event.row;
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
    if let Some(older) = &page.older {
        let (n, before) = (page.events.len(), text(older));
        output::line(format!("\n{n} shown; older ones: --before {before}"))?;
    }
    Ok(())
}

/// Parses a moment, or one with an event's id.
fn place(text: &str) -> Result<Older, String> {
    Ok(match text.split_once(',') {
        None => Older::Before(moment(text)?),
        Some((time, id)) => Older::After(moment(time)?, id.to_owned()),
    })
}

/// As [`place`] parses it.
fn text(older: &Older) -> String {
    match older {
        Older::Before(time) => rfc3339(*time),
        Older::After(time, id) => {
            let time = rfc3339(*time);
            // An id may contain anything that a header can.
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-~:.,".contains(c);
            if id.chars().all(is_plain) {
                format!("{time},{id}")
            } else {
                format!("'{time},{}'", id.replace('\'', r"'\''"))
            }
        }
    }
}

/// Deliveries beyond the first, under any event id.
fn again(row: &EventRow) -> String {
    match row.duplicates + row.other_id_duplicates {
        0 => String::new(),
        n => n.to_string(),
    }
}
