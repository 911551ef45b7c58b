//! Entries whose consumer is gone, and the signs of life that keep our own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use harkara_core::entry::{EntryId, EntryRef};
use harkara_core::lane::Lane;
use harkara_core::retry::{Handling, handling};
use harkara_runtime::clock;
use harkara_runtime::shutdown::Shutdown;
use tokio::sync::OwnedSemaphorePermit;

use crate::batch_processor::BatchProcessor;
use crate::decode;
use crate::spans::BatchTimes;
use harkara_streams::GroupError;
use harkara_streams::consumer_group::PendingEntry;

/// Renewals within one claim time: two may fail before an entry looks abandoned.
const RENEWALS_PER_CLAIM_TIME: u32 = 3;

/// Where looking for idle entries begins.
const FROM_START: &str = "0-0";

/// Takes over what others left pending.
pub(crate) struct Reclaimer {
    pub(crate) processor: Arc<BatchProcessor>,
    pub(crate) entries_max: usize,
    pub(crate) claim_idle: Duration,
    pub(crate) every: Duration,
    pub(crate) claims_max: u64,
}

/// Entries that a predecessor of the same name left pending.
pub(crate) type Inherited = Vec<(Lane, Vec<PendingEntry>)>;

impl Reclaimer {
    /// Lists what is pending under this consumer's own name. To be called before anything is read: what
    /// is being read just now is pending too.
    pub(crate) async fn inherited(&self) -> Inherited {
        let mut inherited = Vec::new();
        for lane in Lane::ALL {
            match self.own(lane).await {
                Ok(pending) if pending.is_empty() => {}
                Ok(pending) => inherited.push((lane, pending)),
                Err(error) => {
                    tracing::warn!(%lane, %error, "Own pending entries could not be listed; they will be taken over when idle.");
                }
            }
        }
        inherited
    }

    async fn own(&self, lane: Lane) -> Result<Vec<PendingEntry>, GroupError> {
        let (mut own, mut from) = (Vec::new(), "-".to_owned());
        loop {
            let page = self
                .processor
                .group
                .own_pending(lane, &from, self.entries_max)
                .await?;
            let Some(last) = page.last() else {
                return Ok(own);
            };
            from = format!("({}", last.id);
            own.extend(page);
        }
    }

    /// Takes back what was inherited, then takes over the entries of dead consumers, again and again
    /// until told to stop.
    pub(crate) async fn run(self, inherited: Inherited, stop: Shutdown) {
        for (lane, pending) in inherited {
            tracing::info!(%lane, entries = pending.len(), "Taking back entries that a predecessor left pending.");
            for some in pending.chunks(self.entries_max) {
                if let Err(error) = self.process(lane, some, &stop).await {
                    tracing::warn!(%lane, %error, "Own pending entries could not be taken back; they will be taken over when idle.");
                }
            }
        }
        while !stop.is_requested() {
            // A worker that cannot commit must not take entries from those that can.
            if self.processor.database.ping().await.is_err() {
                stop.sleep(DATABASE_LOOK_EVERY).await;
                continue;
            }
            for lane in Lane::ALL {
                if let Err(error) = self.reclaim_idle(lane, &stop).await {
                    // The reader logs what is wrong with Redis; here it only means: later.
                    tracing::debug!(%lane, %error, "Idle entries could not be taken over.");
                }
            }
            stop.sleep(self.every).await;
        }
    }

    async fn reclaim_idle(&self, lane: Lane, stop: &Shutdown) -> Result<(), GroupError> {
        let mut cursor = FROM_START.to_owned();
        while !stop.is_requested() {
            let (next, mut ids) = self
                .processor
                .group
                .reclaim_idle(lane, self.claim_idle, &cursor, self.entries_max)
                .await?;
            // Our own on their way, whose renewal failed: they are alive.
            ids.retain(|&id| !self.processor.held.holds(EntryRef { lane, id }));
            if let (Some(first), Some(last)) = (ids.first(), ids.last()) {
                tracing::info!(%lane, entries = ids.len(), "Taking over entries of consumers that show no life.");
                self.processor
                    .counters
                    .reclaimed
                    .inc_by(u64::try_from(ids.len()).unwrap_or(u64::MAX));
                let pending = self.claims_of(lane, *first, *last, &ids).await?;
                self.process(lane, &pending, stop).await?;
            }
            if next == FROM_START {
                return Ok(());
            }
            cursor = next;
        }
        Ok(())
    }

    /// How often each of our pending entries from `first` to `last` was claimed.
    async fn claims_of(
        &self,
        lane: Lane,
        first: EntryId,
        last: EntryId,
        ids: &[EntryId],
    ) -> Result<Vec<PendingEntry>, GroupError> {
        let mut found = Vec::with_capacity(ids.len());
        let mut from = first.to_string();
        loop {
            let pending = self
                .processor
                .group
                .own_pending(lane, &from, self.entries_max)
                .await?;
            let Some(furthest) = pending.last().map(|entry| entry.id) else {
                break;
            };
            found.extend(pending.into_iter().filter(|entry| ids.contains(&entry.id)));
            if furthest >= last {
                break;
            }
            from = format!("({furthest}");
        }
        Ok(found)
    }

    /// Sends entries down the processor: together, alone, or aside, by how often they were claimed.
    async fn process(
        &self,
        lane: Lane,
        entries: &[PendingEntry],
        stop: &Shutdown,
    ) -> Result<(), GroupError> {
        // From here on their claims are renewed, however long they wait for their turn.
        let refs = entries
            .iter()
            .map(|entry| EntryRef { lane, id: entry.id })
            .collect();
        let _holding = self.processor.held.until_dropped(refs);
        let judged = |wanted: Handling| -> Vec<PendingEntry> {
            let of = |entry: &PendingEntry| handling(entry.claims, self.claims_max);
            entries
                .iter()
                .copied()
                .filter(|entry| of(entry) == wanted)
                .collect()
        };
        for entry in judged(Handling::DeadLetter) {
            self.set_aside(lane, entry, stop).await?;
        }
        self.take_up(lane, &judged(Handling::Batched), stop).await?;
        // One at a time: an entry that ends this worker must not take others with it again. The rest
        // was not counted as claimed, and goes to the next worker as it is.
        for entry in judged(Handling::Alone) {
            self.take_up(lane, &[entry], stop).await?;
        }
        Ok(())
    }

    async fn take_up(
        &self,
        lane: Lane,
        entries: &[PendingEntry],
        stop: &Shutdown,
    ) -> Result<(), GroupError> {
        if entries.is_empty() {
            return Ok(());
        }
        let Some(permit) = self.permit(stop).await else {
            return Ok(());
        };
        let ids: Vec<EntryId> = entries.iter().map(|entry| entry.id).collect();
        let claimed = self.processor.group.claim_again(lane, &ids).await?;
        let claimed_at = Instant::now();
        let now = clock::now();
        let records = claimed
            .iter()
            .map(|entry| decode::entry(entry, &self.processor.retries, now))
            .collect();
        let trail = BatchTimes::decoded(claimed_at, claimed_at);
        self.processor.take(records, trail).await;
        drop(permit);
        Ok(())
    }

    async fn set_aside(
        &self,
        lane: Lane,
        entry: PendingEntry,
        stop: &Shutdown,
    ) -> Result<(), GroupError> {
        let Some(permit) = self.permit(stop).await else {
            return Ok(());
        };
        for claimed in self.processor.group.claim_again(lane, &[entry.id]).await? {
            self.processor.counters.set_aside.inc();
            let record = decode::set_aside(&claimed, entry.claims, clock::now());
            let trail = BatchTimes::decoded(claimed.claimed_at, claimed.claimed_at);
            self.processor.take(vec![record], trail).await;
        }
        drop(permit);
        Ok(())
    }

    /// A permit, once the database answers: a claim that cannot lead to a commit would only count
    /// against the entry. `None` when told to stop.
    async fn permit(&self, stop: &Shutdown) -> Option<OwnedSemaphorePermit> {
        while !stop.is_requested() {
            let permit = self.processor.permit().await;
            if self.processor.database.ping().await.is_ok() {
                return Some(permit);
            }
            drop(permit);
            stop.sleep(DATABASE_LOOK_EVERY).await;
        }
        None
    }
}

/// Time between two looks whether the database is back.
const DATABASE_LOOK_EVERY: Duration = Duration::from_secs(1);

/// Renews the claims of everything that this process holds, and shows that it is at work where it holds
/// nothing, for as long as it is polled.
pub(crate) async fn keep_claims(processor: Arc<BatchProcessor>, claim_idle: Duration) {
    loop {
        if let Err(error) = processor.group.show_life().await {
            tracing::debug!(%error, "No sign of life could be given.");
        }
        for (lane, ids) in processor.held.to_renew(claim_idle) {
            for some in ids.chunks(IDS_PER_RENEWAL) {
                if let Err(error) = processor.group.renew(lane, some).await {
                    tracing::debug!(%lane, %error, "Claims could not be renewed.");
                }
            }
        }
        tokio::time::sleep(claim_idle / RENEWALS_PER_CLAIM_TIME).await;
    }
}

/// Most ids in one renewal command.
const IDS_PER_RENEWAL: usize = 1000;
