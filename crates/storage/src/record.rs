//! A claimed event on its way into the ledger: where it came from, what it holds, what became of it.

use bytes::Bytes;
use std::time::Duration;

use harkara_core::durability::Durability;
use harkara_core::entry::EntryRef;
use harkara_core::event::Event;
use harkara_core::ids::{AccountId, EventId};
use harkara_core::lane::Lane;
use harkara_core::secret::Fingerprint;
use harkara_core::text::Text;
use harkara_core::time::{EventTime, ReceivedAt};
use harkara_core::trace::TraceContext;

/// An event as it was claimed, from whichever source: everything but what its body means.
#[derive(Clone, Debug)]
pub struct ClaimedEvent {
    /// Where it was claimed.
    pub origin: Origin,
    /// The endpoint that took the delivery, or `unknown`.
    pub endpoint: Text,
    /// The lane it came by.
    pub lane: Lane,
    /// Its id.
    pub event_id: EventId,
    /// Its name, or `unknown`.
    pub event_type: Text,
    /// When its delivery was received.
    pub received_at: ReceivedAt,
    /// The signature that was verified, in hex.
    pub signature: String,
    /// The delivery's trace context.
    pub trace: TraceContext,
    /// How durable it was when its delivery was answered; `None` where that is not known, or stands in its
    /// ledger row already.
    pub durability: Option<Durability>,
    /// The secret that verified it; `None` where that is not known, or stands in its ledger row already.
    pub secret_fingerprint: Option<Fingerprint>,
    /// The exact body.
    pub body: Bytes,
    /// The body's digest.
    pub body_sha256: [u8; 32],
}

impl ClaimedEvent {
    /// The stream entry that it came in; `None` for others.
    #[must_use]
    pub fn entry(&self) -> Option<EntryRef> {
        match self.origin {
            Origin::Stream(entry) => Some(entry),
            Origin::Inbox | Origin::Ledger { .. } => None,
        }
    }

    /// Whether it is a delivery, and no row of the ledger yet.
    #[must_use]
    pub fn is_delivery(&self) -> bool {
        !matches!(self.origin, Origin::Ledger { .. })
    }

    /// Attempts to process it, this one included; none is made of what goes to the inbox.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        match self.origin {
            Origin::Stream(_) => 1,
            Origin::Inbox => 0,
            Origin::Ledger { attempts, .. } => attempts,
        }
    }
}

/// A claimed event with what its body says and what is to be done about it.
#[derive(Clone, Debug)]
pub struct EventRecord {
    /// As it was claimed.
    pub claimed: ClaimedEvent,
    /// The account that it belongs to, where the body tells.
    pub account_id: Option<AccountId>,
    /// When it happened, where the body tells.
    pub occurred_at: Option<EventTime>,
    /// What is to be done about it.
    pub verdict: Verdict,
}

/// Where an event comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A stream entry: a fresh delivery, acknowledged after the commit.
    Stream(EntryRef),
    /// A fresh delivery that Redis could not take, straight from the ingress.
    Inbox,
    /// A pending ledger row: a retry or a replay.
    Ledger {
        /// Its attempts including this one.
        attempts: u32,
        /// When the lease ends, in microseconds since 1970. No two leases of a row end at the same
        /// time, so this tells whether the row is still this lease's.
        leased_until_micros: i64,
        /// `created_at` of the row in microseconds since 1970, which with the event id is its key.
        created_at_micros: i64,
        /// Whether nobody has tried it before: a fresh delivery that was stored in the inbox, and no retry or
        /// replay.
        is_first: bool,
    },
}

/// What is to be done about an event.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Keep it pending, due at once: nobody has looked into it yet.
    Hold,
    /// Apply it to the tables.
    Project(Event),
    /// Keep it as a dead letter.
    Fail {
        /// What is wrong with it, for the operator.
        error: String,
    },
    /// Keep it pending and try again.
    Retry {
        /// What went wrong, for the operator.
        error: String,
        /// How long to wait.
        after: Duration,
    },
}

impl Verdict {
    pub(crate) fn status(&self) -> &'static str {
        match self {
            Self::Project(_) => "processed",
            Self::Fail { .. } => "failed",
            Self::Hold | Self::Retry { .. } => "pending",
        }
    }

    pub(crate) fn error(&self) -> Option<&str> {
        match self {
            Self::Hold | Self::Project(_) => None,
            Self::Fail { error } | Self::Retry { error, .. } => Some(error),
        }
    }

    pub(crate) fn retry_after_millis(&self) -> Option<i64> {
        match self {
            Self::Hold => Some(0),
            Self::Project(_) | Self::Fail { .. } => None,
            Self::Retry { after, .. } => {
                Some(i64::try_from(after.as_millis()).unwrap_or(i64::MAX / 2))
            }
        }
    }
}
