//! Finds and repairs what somebody did to a lane by hand.

use harkara_core::entry::EntryId;
use harkara_core::lane::{CONSUMER_GROUP, Lane};

use super::{Group, reply, scripts};
use crate::group_error::GroupError;

/// What was found wrong with a lane, and repaired. The same damage is reported once, to one consumer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// The group was ahead of the stream's latest id, so that no new entry would have been delivered. It is not
    /// any more.
    pub was_ahead: bool,
    /// Entries that the group has passed without having them pending. They are pending with this consumer now,
    /// unclaimed so far. There may be more behind them.
    pub skipped: Vec<EntryId>,
    /// Entries that were deleted from the stream before a consumer claimed them. Redis before 7.4 and Valkey do not know.
    pub deleted_unread: u64,
}

/// Pending entries behind which a repair looks.
const PASSED_PENDING_MAX: usize = 100;

impl Group {
    /// Repairs a lane. Only the front of the stream is examined, with a hundred pending entries: others get there
    /// when the entries before them are done. Adopts up to `entries_max` skipped entries, until they have `bytes_max` bytes
    /// together.
    pub async fn repair(
        &self,
        lane: Lane,
        entries_max: usize,
        bytes_max: usize,
    ) -> Result<Repaired, GroupError> {
        let operation = "XINFO";
        let mut repair = scripts::REPAIR.key(self.key(lane));
        repair.arg(CONSUMER_GROUP).arg(&self.consumer);
        repair
            .arg(entries_max)
            .arg(bytes_max)
            .arg(PASSED_PENDING_MAX);
        let invoke = async |connection: &mut _| repair.invoke_async(connection).await;
        let (was_ahead, deleted_unread, skipped): (bool, u64, Vec<String>) =
            self.over(operation, invoke).await?;
        let skipped = reply::ids(&skipped).ok_or(GroupError::UnexpectedReply { operation })?;
        Ok(Repaired {
            was_ahead,
            skipped,
            deleted_unread,
        })
    }
}
