//! Reports what somebody did to the lanes by hand.

use harkara_core::entry::EntryId;
use harkara_core::lane::Lane;
use harkara_streams::consumer_group::Repaired;
use prometheus_client::metrics::counter::Counter;

/// Maximum ids in one log line. A lane may lose thousands of entries at once.
const IDS_LOGGED_MAX: usize = 50;

/// Counts and logs entries that were deleted or skipped.
pub(crate) struct Damage {
    /// Entries that somebody deleted from their streams before they were acknowledged.
    pub(crate) deleted: Counter,
    /// Entries that the group had skipped.
    pub(crate) skipped: Counter,
}

impl Damage {
    /// Reports entries that were deleted while they were pending.
    pub(crate) fn deleted_pending(&self, lane: Lane, ids: &[EntryId]) {
        if ids.is_empty() {
            return;
        }
        self.deleted.inc_by(count(ids));
        tracing::error!(
            %lane,
            entries = ids.len(),
            ids = listed(ids),
            "Pending entries were deleted from the stream, by XDEL, XTRIM or the like. They were accepted, and are lost unless a worker still commits them."
        );
    }

    /// Reports what was repaired.
    pub(crate) fn repaired(&self, lane: Lane, repaired: &Repaired) {
        if repaired.was_ahead {
            tracing::error!(%lane, "The consumer group was ahead of the stream, by XGROUP SETID or the like; set it back.");
        }
        let skipped = &repaired.skipped;
        if !skipped.is_empty() {
            self.skipped.inc_by(count(skipped));
            tracing::error!(
                %lane,
                entries = skipped.len(),
                ids = listed(skipped),
                "The consumer group had skipped entries, by XGROUP SETID, XACK, XGROUP DELCONSUMER or the like; processing them."
            );
        }
        if repaired.deleted_unread > 0 {
            self.deleted.inc_by(repaired.deleted_unread);
            tracing::error!(
                %lane,
                entries = repaired.deleted_unread,
                "Entries were deleted from the stream before a worker read them, by XDEL, XTRIM or the like. They were accepted and are lost."
            );
        }
    }
}

fn count(ids: &[EntryId]) -> u64 {
    u64::try_from(ids.len()).unwrap_or(u64::MAX)
}

/// The first ids, separated by spaces.
fn listed(ids: &[EntryId]) -> String {
    let listed: Vec<String> = ids
        .iter()
        .take(IDS_LOGGED_MAX)
        .map(ToString::to_string)
        .collect();
    listed.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_line_lists_the_first_ids() {
        let ids = |n| (0..n).filter_map(|n| EntryId::parse(&format!("7-{n}")));
        let few: Vec<EntryId> = ids(2).collect();
        let many: Vec<EntryId> = ids(1000).collect();
        assert_eq!(listed(&few), "7-0 7-1");
        assert_eq!(listed(&many).split(' ').count(), IDS_LOGGED_MAX);
    }
}
