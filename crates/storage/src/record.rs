//! A claimed event on its way into the ledger: its origin, its contents and its verdict.

use bytes::Bytes;
use std::time::Duration;

use harkara_core::durability::Durability;
use harkara_core::entry::EntryRef;
use harkara_core::event::Event;
use harkara_core::ids::{AccountId, EventId};
use harkara_core::lane::Lane;
use harkara_core::projection::project;
use harkara_core::secret::Fingerprint;
use harkara_core::text::Text;
use harkara_core::time::{EventTime, ReceivedAt};
use harkara_core::trace::TraceContext;

use crate::ledger::EventStatus;
use crate::projections;

/// An event as it was claimed, from whichever source, before its body is decoded.
#[derive(Clone, Debug)]
pub struct ClaimedEvent {
    /// Its source.
    pub origin: Origin,
    /// The endpoint that received the delivery, or `unknown`.
    pub endpoint: Text,
    /// Its lane.
    pub lane: Lane,
    /// Its id.
    pub event_id: EventId,
    /// Its name, or `unknown`.
    pub event_type: Text,
    /// When its delivery was received.
    pub received_at: ReceivedAt,
    /// The verified signature, in hex.
    pub signature: String,
    /// The delivery's trace context.
    pub trace: TraceContext,
    /// How durable it was when its delivery was answered; `None` where that is unknown, or already in its
    /// ledger row.
    pub durability: Option<Durability>,
    /// The secret that verified it; `None` where that is unknown, or already in its ledger row.
    pub secret_fingerprint: Option<Fingerprint>,
    /// The exact body.
    pub body: Bytes,
    /// The body's digest.
    pub body_sha256: [u8; 32],
}

impl ClaimedEvent {
    /// Its stream entry; `None` for events from elsewhere.
    #[must_use]
    pub fn entry(&self) -> Option<EntryRef> {
        match self.origin {
            Origin::Stream(entry) => Some(entry),
            Origin::Inbox | Origin::Ledger { .. } => None,
        }
    }

    /// Whether it is a delivery, and no row of the ledger yet.
    #[must_use]
    pub(crate) fn is_delivery(&self) -> bool {
        !matches!(self.origin, Origin::Ledger { .. })
    }

    /// Attempts to process it, including this one; storing it in the inbox is none.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        match self.origin {
            Origin::Stream(_) => 1,
            Origin::Inbox => 0,
            Origin::Ledger { attempts, .. } => attempts,
        }
    }
}

/// A claimed event with its decoded head and its verdict.
#[derive(Clone, Debug)]
pub struct EventRecord {
    /// The event as it was claimed.
    pub claimed: ClaimedEvent,
    /// The account that it belongs to, if the body names it.
    pub account_id: Option<AccountId>,
    /// When it happened, if the body says so.
    pub occurred_at: Option<EventTime>,
    /// How to commit it.
    pub verdict: Verdict,
}

/// The source of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A stream entry: a fresh delivery, acknowledged after the commit.
    Stream(EntryRef),
    /// A fresh delivery from the ingress, which Redis did not confirm.
    Inbox,
    /// A pending ledger row: a retry or a replay.
    Ledger {
        /// Its attempts, including this one.
        attempts: u32,
        /// When the lease ends, in microseconds since 1970. No two leases of a row end at the same time, so
        /// this identifies the lease.
        leased_until_micros: i64,
        /// `created_at` of the row in microseconds since 1970; with the event id, the key of the row.
        created_at_micros: i64,
        /// Whether this is the first attempt: a delivery from the inbox, and no retry or replay.
        is_first: bool,
    },
}

/// How to commit an event.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Store it as pending, due immediately: it is not decoded yet.
    Defer,
    /// Apply it to the tables.
    Project(Event),
    /// Store it as a dead letter.
    Fail {
        /// The problem, for the operator.
        error: String,
    },
    /// Store it as pending, and try again.
    Retry {
        /// The problem, for the operator.
        error: String,
        /// How long to wait.
        after: Duration,
    },
    /// Store it as pending, without counting the attempt: a table that it changes cannot be written. Made by
    /// [`Verdict::postpone`].
    Postpone {
        /// The table.
        table: &'static str,
        /// The problem, for the operator; it begins with the table.
        error: String,
        /// When it comes due, unless [`crate::ledger::recall`] makes it due before.
        after: Duration,
    },
}

/// How the error of an event begins that is postponed because of this table.
pub(crate) fn postponed_for(table: &str) -> String {
    format!("postponed while {table} cannot be written: ")
}

impl EventRecord {
    /// The tables that the event changes, by name; none unless its verdict is to project it.
    #[must_use]
    pub fn tables(&self) -> Vec<&'static str> {
        match &self.verdict {
            Verdict::Project(event) => {
                let projection = project([(&self.claimed.event_id, event)]);
                projections::tables_of(&projection).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The attempts to store: a postponed event was not attempted.
    pub(crate) fn attempts(&self) -> u32 {
        let attempts = self.claimed.attempts();
        match self.verdict {
            Verdict::Postpone { .. } => attempts.saturating_sub(1),
            _ => attempts,
        }
    }
}

impl Verdict {
    /// Postpones an event because a table that it changes cannot be written, for this reason.
    #[must_use]
    pub fn postpone(table: &'static str, reason: &str, after: Duration) -> Self {
        Self::Postpone {
            table,
            error: postponed_for(table) + reason,
            after,
        }
    }

    pub(crate) fn status(&self) -> EventStatus {
        match self {
            Self::Project(_) => EventStatus::Processed,
            Self::Fail { .. } => EventStatus::Failed,
            Self::Defer | Self::Retry { .. } | Self::Postpone { .. } => EventStatus::Pending,
        }
    }

    pub(crate) fn error(&self) -> Option<&str> {
        match self {
            Self::Defer | Self::Project(_) => None,
            Self::Fail { error } | Self::Retry { error, .. } | Self::Postpone { error, .. } => {
                Some(error)
            }
        }
    }

    pub(crate) fn retry_after_millis(&self) -> Option<i64> {
        match self {
            Self::Defer => Some(0),
            Self::Project(_) | Self::Fail { .. } => None,
            Self::Retry { after, .. } | Self::Postpone { after, .. } => {
                Some(i64::try_from(after.as_millis()).unwrap_or(i64::MAX / 2))
            }
        }
    }
}
