//! Takes over pending entries.

use std::time::Duration;

use harkara_core::entry::EntryId;
use harkara_core::lane::{CONSUMER_GROUP, Lane};
use redis::Value;

use super::{ClaimedEntry, Group, claimed_entries, millis, reply, scripts};
use crate::group_error::GroupError;

/// Maximum entries that one script claims, which blocks Redis for about a millisecond.
const CLAIMED_PER_SCRIPT: usize = 100;

/// Idle entries that were moved to this consumer.
#[derive(Debug, PartialEq, Eq)]
pub struct Idle {
    /// The cursor of the next call; `0-0` starts over.
    pub next: String,
    /// The entries.
    pub ids: Vec<EntryId>,
    /// Entries that were pending, and that somebody deleted from the stream. They are pending no more. Redis
    /// before 7 does not tell; [`Group::claim_again`] finds them.
    pub deleted: Vec<EntryId>,
}

/// Pending entries that were claimed again.
#[derive(Debug, Default)]
pub struct Claimed {
    /// The entries with their fields.
    pub entries: Vec<ClaimedEntry>,
    /// Entries that were pending, and that somebody deleted from the stream. They are pending no more.
    pub deleted: Vec<EntryId>,
    /// How many of the ids were handled. The others were left as they are, because the bytes were used up.
    pub handled: usize,
}

impl Group {
    /// Moves up to `entries_max` entries that were idle for `idle` to this consumer, without counting that as a
    /// claim.
    pub async fn reclaim_idle(
        &self,
        lane: Lane,
        idle: Duration,
        cursor: &str,
        entries_max: usize,
    ) -> Result<Idle, GroupError> {
        let operation = "XAUTOCLAIM";
        let mut claim = self.for_consumer(operation, lane);
        claim.arg(millis(idle)).arg(cursor);
        claim.arg("COUNT").arg(entries_max).arg("JUSTID");
        let reply: Value = self.ask(&claim, operation).await?;
        reply::autoclaimed(reply).ok_or(GroupError::UnexpectedReply { operation })
    }

    /// Counts one more claim of pending entries and returns their fields, until they have `bytes_max` bytes
    /// together; the last entry may exceed that. Entries that are not pending any more are not returned.
    pub async fn claim_again(
        &self,
        lane: Lane,
        ids: &[EntryId],
        bytes_max: usize,
    ) -> Result<Claimed, GroupError> {
        let mut claimed = Claimed::default();
        let mut bytes = 0;
        for ids in ids.chunks(CLAIMED_PER_SCRIPT) {
            let part = self.claim_part(lane, ids, bytes_max - bytes).await?;
            claimed.handled += part.handled;
            claimed.deleted.extend(part.deleted);
            bytes += part.entries.iter().map(ClaimedEntry::bytes).sum::<usize>();
            claimed.entries.extend(part.entries);
            if bytes >= bytes_max {
                break;
            }
        }
        Ok(claimed)
    }

    async fn claim_part(
        &self,
        lane: Lane,
        ids: &[EntryId],
        bytes_max: usize,
    ) -> Result<Claimed, GroupError> {
        let operation = "XCLAIM";
        let mut claim = scripts::CLAIM_AGAIN.key(self.key(lane));
        claim.arg(CONSUMER_GROUP).arg(&self.consumer).arg(bytes_max);
        for id in ids {
            claim.arg(id.to_string());
        }
        let invoke = async |connection: &mut _| claim.invoke_async(connection).await;
        let (handled, entries, deleted): (usize, Value, Vec<String>) =
            self.over(operation, invoke).await?;
        let unexpected = GroupError::UnexpectedReply { operation };
        let (Some(entries), Some(deleted)) = (reply::entries(entries), reply::ids(&deleted)) else {
            return Err(unexpected);
        };
        Ok(Claimed {
            entries: claimed_entries(lane, entries).collect(),
            deleted,
            handled,
        })
    }
}
