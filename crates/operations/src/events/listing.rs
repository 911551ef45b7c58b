//! A listing of events, newest first.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use harkara_storage::Pool;
use harkara_storage::ledger::{
    self, BEGINNING, END, EventFilter, EventRow, EventStatus, Source, Walk, few_are_pending,
    stretch,
};

use super::Event;
use crate::{Looked, OperationError};

/// Rows of one step: some 40 MB of usual bodies, which take a fraction of a second.
const ROWS_PER_STEP: u32 = 20_000;

/// Changes of an entity that one step looks up, in every partition.
const CHANGES_PER_STEP: u32 = 500;

/// A listing in steps, each of which reads a bounded part of the ledger, so that it can be followed and broken
/// off.
#[derive(Debug)]
pub struct Listing {
    filter: EventFilter,
    limit: usize,
    way: Way,
    /// What the walk has not looked at is older.
    before: DateTime<Utc>,
    found: Vec<EventRow>,
    looked: Looked,
}

/// How the events are found.
#[derive(Debug)]
enum Way {
    /// An index leads to them.
    Directly,
    /// There are few pending events.
    AmongPending,
    /// Any event may match.
    Through(Walk),
    /// By the changes of an entity.
    ByChangesOf(String),
}

/// A part of a listing.
#[derive(Clone, Debug)]
pub struct EventPage {
    /// Newest first.
    pub events: Vec<Event>,
    /// If there are older events: where the next page begins.
    pub older: Option<Older>,
    /// What it looked at.
    pub looked: Looked,
}

/// Where the next page of a listing begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Older {
    /// With the events received before this time.
    Before(DateTime<Utc>),
    /// After this event: the time of its receipt and its id. Many events may have been received at that time.
    After(DateTime<Utc>, String),
}

impl Listing {
    /// A listing of at most `limit` events; of an entity, those that changed its status.
    pub async fn begin(
        pool: &Pool,
        filter: EventFilter,
        entity_id: Option<String>,
        limit: u32,
    ) -> Result<Self, OperationError> {
        let others = [&filter.event_type, &filter.account_id, &filter.endpoint];
        let is_selective = others.iter().any(|condition| condition.is_some());
        let way = match (entity_id, filter.status) {
            (Some(entity_id), _) => Way::ByChangesOf(entity_id),
            (None, None | Some(EventStatus::Failed)) if !is_selective => Way::Directly,
            (None, Some(EventStatus::Failed)) => Way::Through(Walk::DeadLetters),
            (None, Some(EventStatus::Pending)) if few_are_pending(pool, ROWS_PER_STEP).await? => {
                Way::AmongPending
            }
            (None, _) => Way::Through(Walk::Events),
        };
        Ok(Self {
            before: match way {
                Way::ByChangesOf(_) => END,
                _ => filter.before,
            },
            filter,
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            way,
            found: Vec::new(),
            looked: Looked::default(),
        })
    }

    /// Takes a step, unless the listing is complete; returns whether it is.
    pub async fn step(&mut self, pool: &Pool) -> Result<bool, OperationError> {
        if self.looked.is_all {
            return Ok(true);
        }
        match &self.way {
            Way::Directly => self.all_of(pool, Source::Ledger).await?,
            Way::AmongPending => {
                self.all_of(pool, Source::Pending(ROWS_PER_STEP)).await?;
                if !few_are_pending(pool, ROWS_PER_STEP).await? {
                    // There are more by now than it has looked through.
                    (self.way, self.looked.is_all) = (Way::Through(Walk::Events), false);
                    self.found.clear();
                }
            }
            Way::Through(walk) => {
                let walk = walk.clone();
                self.walk(pool, &walk).await?;
            }
            Way::ByChangesOf(entity_id) => {
                let entity_id = entity_id.clone();
                self.look_up(pool, entity_id).await?;
            }
        }
        Ok(self.looked.is_all)
    }

    /// How many events match so far, and what the listing has looked at.
    #[must_use]
    pub fn so_far(&self) -> (usize, &Looked) {
        (self.found.len(), &self.looked)
    }

    /// What was found.
    #[must_use]
    pub fn page(mut self) -> EventPage {
        let has_next = self.found.len() > self.limit;
        self.found.truncate(self.limit);
        let last = self.found.last().filter(|_| has_next);
        let last = last.map(|row| Older::After(row.created_at, row.razorpay_event_id.clone()));
        let is_broken_off = !self.looked.is_all && matches!(self.way, Way::Through(_));
        let goes_on = is_broken_off.then_some(Older::Before(self.before));
        EventPage {
            events: self.found.into_iter().map(Event::from).collect(),
            older: last.or(goes_on),
            looked: self.looked,
        }
    }

    /// One more than asked for, which shows whether there are more.
    fn rows_max(&self) -> u32 {
        u32::try_from(self.limit + 1).unwrap_or(u32::MAX)
    }

    async fn all_of(&mut self, pool: &Pool, source: Source<'_>) -> Result<(), OperationError> {
        self.found = ledger::list(pool, &self.filter, source, self.rows_max()).await?;
        self.looked.is_all = true;
        Ok(())
    }

    async fn walk(&mut self, pool: &Pool, walk: &Walk) -> Result<(), OperationError> {
        let since = self.filter.since;
        let Some(stretch) = stretch(pool, walk, since, self.before, ROWS_PER_STEP).await? else {
            self.looked.is_all = true;
            return Ok(());
        };
        let here = EventFilter {
            since: stretch.from,
            before: stretch.before,
            ..self.filter.clone()
        };
        let found = ledger::list(pool, &here, Source::Ledger, self.rows_max()).await?;
        self.found.extend(found);
        self.before = stretch.from;
        self.looked.add(&stretch);
        self.looked.is_all |= self.found.len() > self.limit;
        Ok(())
    }

    /// The changes are not in the order of receipt, so all are looked at.
    async fn look_up(&mut self, pool: &Pool, entity_id: String) -> Result<(), OperationError> {
        let walk = Walk::ChangesOf(entity_id);
        let stretch = stretch(pool, &walk, BEGINNING, self.before, CHANGES_PER_STEP).await?;
        let (Some(stretch), Walk::ChangesOf(entity_id)) = (stretch, &walk) else {
            self.looked.is_all = true;
            return Ok(());
        };
        let source = Source::Changes(entity_id, stretch);
        let found = ledger::list(pool, &self.filter, source, self.rows_max()).await?;
        let rows = self.found.drain(..).chain(found);
        // An event may have changed the entity more than once.
        let by_id: BTreeMap<String, EventRow> = rows
            .map(|row| (row.razorpay_event_id.clone(), row))
            .collect();
        self.found = by_id.into_values().collect();
        self.found
            .sort_by_key(|row| std::cmp::Reverse(row.created_at));
        self.found.truncate(self.limit + 1);
        self.before = stretch.from;
        self.looked.add(&stretch);
        Ok(())
    }
}
