//! Pending entries of dead workers as a source of batches.

mod damage;

use std::sync::Arc;
use std::time::Duration;

use harkara_core::causes::with_causes;
use harkara_core::entry::{EntryId, EntryRef};
use harkara_core::lane::Lane;
use harkara_core::retry::{Handling, handling};
use harkara_runtime::shutdown::Shutdown;
use harkara_storage::Pool;
use harkara_streams::GroupError;
use harkara_streams::consumer_group::{Claimed, Group, PendingEntry};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::OwnedSemaphorePermit;

use crate::active_claims::{ActiveClaims, ClaimGuard};
use crate::batch_processor::BatchProcessor;
use crate::claim::BatchBounds;
pub(crate) use damage::Damage;

/// The cursor at which a scan for idle entries begins and ends.
const FROM_START: &str = "0-0";

/// Time between two checks whether PostgreSQL is available again.
const DATABASE_CHECK_EVERY: Duration = Duration::from_secs(1);

/// Reclaims entries that other workers left pending.
pub(crate) struct Reclaimer {
    pub(crate) group: Arc<Group>,
    pub(crate) database: Pool,
    pub(crate) processor: Arc<BatchProcessor>,
    pub(crate) claims: Arc<ActiveClaims>,
    pub(crate) reclaimed: Counter,
    /// Entries that became dead letters because they were claimed so often.
    pub(crate) set_aside: Counter,
    pub(crate) damage: Damage,
    pub(crate) batch: BatchBounds,
    pub(crate) claim_idle: Duration,
    pub(crate) every: Duration,
    pub(crate) claims_max: u64,
}

/// Entries that a predecessor of the same name left pending.
pub(crate) struct Inherited {
    lanes: Vec<(Lane, Vec<PendingEntry>)>,
    /// They are not handed back as unread with what is read from now on, which would reset how often they were
    /// claimed.
    _claims: ClaimGuard,
}

impl Reclaimer {
    /// Lists what is pending under this consumer's own name, including what the group had skipped. Call it
    /// before anything is read: entries that are being read are pending too, and once a later entry was read
    /// Redis may not know any more how many before it were deleted.
    pub(crate) async fn inherited(&self) -> Inherited {
        let mut lanes = Vec::new();
        for lane in Lane::ALL {
            let BatchBounds { entries, bytes } = self.batch;
            match self.group.repair(lane, entries, bytes).await {
                Ok(repaired) => self.damage.repaired(lane, &repaired),
                Err(error) => {
                    tracing::warn!(%lane, error = with_causes(&error), "Could not check the lane for skipped and deleted entries.");
                }
            }
            match self.group.own_pending(lane, None).await {
                Ok(pending) if pending.is_empty() => {}
                Ok(pending) => lanes.push((lane, pending)),
                Err(error) => {
                    tracing::warn!(%lane, error = with_causes(&error), "Could not list own pending entries; they will be reclaimed when idle.");
                }
            }
        }
        let entries = lanes.iter().flat_map(|(lane, pending)| {
            let lane = *lane;
            pending
                .iter()
                .map(move |entry| EntryRef { lane, id: entry.id })
        });
        Inherited {
            _claims: self.claims.hold(entries.collect()),
            lanes,
        }
    }

    /// Processes inherited entries, then reclaims the entries of dead consumers until shutdown.
    pub(crate) async fn run(self, inherited: Inherited, shutdown: Shutdown) {
        for (lane, pending) in &inherited.lanes {
            let lane = *lane;
            tracing::info!(%lane, entries = pending.len(), "Processing entries that a predecessor left pending.");
            for pending in pending.chunks(self.batch.entries) {
                if let Err(error) = self.process(lane, pending, &shutdown).await {
                    tracing::warn!(%lane, error = with_causes(&error), "Could not process own pending entries; they will be reclaimed when idle.");
                }
            }
        }
        drop(inherited);
        while !shutdown.is_requested() {
            // A worker that cannot commit must not take entries from those that can.
            if self.database.ping().await.is_err() {
                shutdown.sleep(DATABASE_CHECK_EVERY).await;
                continue;
            }
            // The mark may have changed since the last round.
            if self.group.check_owner().await.is_err() {
                shutdown.sleep(self.every).await;
                continue;
            }
            for lane in Lane::ALL {
                // The reader logs an outage of Redis at a higher level, and the start a command that is refused.
                if let Err(error) = self.repair(lane, &shutdown).await {
                    tracing::debug!(%lane, error = with_causes(&error), "Could not check the lane for skipped entries.");
                }
                if let Err(error) = self.reclaim(lane, &shutdown).await {
                    tracing::debug!(%lane, error = with_causes(&error), "Could not reclaim idle entries.");
                }
            }
            shutdown.sleep(self.every).await;
        }
    }

    /// Processes entries that the group has skipped, and reports what was deleted unread.
    async fn repair(&self, lane: Lane, shutdown: &Shutdown) -> Result<(), GroupError> {
        while !shutdown.is_requested() {
            let BatchBounds { entries, bytes } = self.batch;
            let repaired = self.group.repair(lane, entries, bytes).await?;
            self.damage.repaired(lane, &repaired);
            if repaired.skipped.is_empty() {
                break;
            }
            let unclaimed = |id| PendingEntry { id, claims: 0 };
            let skipped: Vec<_> = repaired.skipped.into_iter().map(unclaimed).collect();
            self.process(lane, &skipped, shutdown).await?;
        }
        Ok(())
    }

    async fn reclaim(&self, lane: Lane, shutdown: &Shutdown) -> Result<(), GroupError> {
        let mut cursor = FROM_START.to_owned();
        while !shutdown.is_requested() {
            let idle = self
                .group
                .reclaim_idle(lane, self.claim_idle, &cursor, self.batch.entries)
                .await?;
            self.damage.deleted_pending(lane, &idle.deleted);
            let (next, mut ids) = (idle.next, idle.ids);
            // Our own entries in flight, whose renewal failed, are alive.
            ids.retain(|&id| !self.claims.contains(EntryRef { lane, id }));
            if let (Some(&first), Some(&last)) = (ids.first(), ids.last()) {
                tracing::info!(%lane, entries = ids.len(), "Reclaiming entries of idle consumers.");
                let n_entries = u64::try_from(ids.len()).unwrap_or(u64::MAX);
                self.reclaimed.inc_by(n_entries);
                let mut pending = self.group.own_pending(lane, Some((first, last))).await?;
                pending.retain(|entry| ids.contains(&entry.id));
                self.process(lane, &pending, shutdown).await?;
            }
            if next == FROM_START {
                return Ok(());
            }
            cursor = next;
        }
        Ok(())
    }

    /// Processes entries together, alone or as dead letters, by how often they were claimed.
    async fn process(
        &self,
        lane: Lane,
        entries: &[PendingEntry],
        shutdown: &Shutdown,
    ) -> Result<(), GroupError> {
        // From here on their claims are renewed, however long they wait for a permit.
        let refs = entries.iter().map(|entry| EntryRef { lane, id: entry.id });
        let _guard = self.claims.hold(refs.collect());
        let handled = |wanted: Handling| {
            let entries = entries.iter().copied();
            entries.filter(move |entry| handling(entry.claims, self.claims_max) == wanted)
        };
        for entry in handled(Handling::DeadLetter) {
            if let Some((_permit, claimed)) = self.claim(lane, &[entry.id], shutdown).await? {
                for claimed in claimed.entries {
                    self.set_aside.inc();
                    self.processor.dead_letter(&claimed, entry.claims).await;
                }
            }
        }
        let together: Vec<EntryId> = handled(Handling::Batched).map(|entry| entry.id).collect();
        // One at a time: an entry that crashes this worker must not take others with it again. The rest
        // was not counted as claimed, and goes to the next worker unchanged.
        let alone = handled(Handling::Alone).map(|entry| vec![entry.id]);
        for ids in [together].into_iter().chain(alone) {
            let mut ids = &ids[..];
            while let Some((_permit, claimed)) = self.claim(lane, ids, shutdown).await? {
                self.processor.entries(claimed.entries).await;
                ids = &ids[claimed.handled..];
            }
        }
        Ok(())
    }

    /// Waits for a permit, then counts a claim of as many of these entries as have the bytes of a batch, and
    /// returns them; `None` if there are no ids, or on shutdown.
    async fn claim(
        &self,
        lane: Lane,
        ids: &[EntryId],
        shutdown: &Shutdown,
    ) -> Result<Option<(OwnedSemaphorePermit, Claimed)>, GroupError> {
        if ids.is_empty() {
            return Ok(None);
        }
        let Some(permit) = self.permit(shutdown).await else {
            return Ok(None);
        };
        let claimed = self.group.claim_again(lane, ids, self.batch.bytes).await?;
        self.damage.deleted_pending(lane, &claimed.deleted);
        Ok(Some((permit, claimed)))
    }

    /// Waits for a permit and for PostgreSQL: a claim that cannot lead to a commit would only count against
    /// the entry. `None` on shutdown.
    async fn permit(&self, shutdown: &Shutdown) -> Option<OwnedSemaphorePermit> {
        while !shutdown.is_requested() {
            let permit = self.processor.permit().await;
            if self.database.ping().await.is_ok() {
                return Some(permit);
            }
            drop(permit);
            shutdown.sleep(DATABASE_CHECK_EVERY).await;
        }
        None
    }
}
