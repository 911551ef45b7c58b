//! The connection that reads the four lanes.

use std::sync::Arc;
use std::time::Duration;

use harkara_core::causes::with_causes;
use harkara_core::entry::EntryRef;
use harkara_core::lane::{LANES, Lane};
use harkara_core::retry::backoff;
use harkara_runtime::shutdown::Shutdown;
use harkara_settings::{RedisSettings, Settings};
use harkara_streams::GroupError;
use harkara_streams::consumer_group::{Group, PendingEntry, ReadBounds, Reader};
use prometheus_client::metrics::counter::Counter;

use super::read_ahead::{BatchBounds, ReadAhead};
use super::read_size::ReadSize;
use crate::active_claims::ActiveClaims;

/// First and longest wait before reading again after Redis failed.
const WAIT_FIRST: Duration = Duration::from_millis(50);
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Reads new entries.
pub(crate) struct LaneReader {
    group: Arc<Group>,
    claims: Arc<ActiveClaims>,
    groups_recreated: Counter,
    redis: RedisSettings,
    read_wait: Duration,
    claim_idle: Duration,
    batch: BatchBounds,
    connection: Option<Reader>,
    size: ReadSize,
    /// Failed reads in a row.
    failures: u32,
    /// Whether a lane's last read was full, so that more waits in its stream.
    left_more: [bool; LANES],
}

impl LaneReader {
    pub(crate) fn new(
        group: Arc<Group>,
        claims: Arc<ActiveClaims>,
        groups_recreated: Counter,
        settings: &Settings,
    ) -> Self {
        let worker = &settings.worker;
        let batch = BatchBounds::of(worker);
        Self {
            group,
            claims,
            groups_recreated,
            redis: settings.redis.clone(),
            read_wait: worker.read_wait,
            claim_idle: worker.claim_idle,
            batch,
            connection: None,
            size: ReadSize::new(batch),
            failures: 0,
            left_more: [false; LANES],
        }
    }

    /// Whether more than was read waits in a stream.
    pub(super) fn left_more(&self) -> bool {
        self.left_more.contains(&true)
    }

    /// Reads into `read_ahead`. Waits for entries only if it is empty.
    pub(super) async fn fill(&mut self, read_ahead: &mut ReadAhead) -> Result<(), GroupError> {
        let read = self.read(read_ahead).await;
        if let Err(error) = &read {
            self.connection = None;
            self.left_more = [false; LANES];
            self.failures += 1;
            self.size.failed(error);
            if matches!(error, GroupError::ReplyTooLarge { .. }) {
                self.hand_back_unread().await;
            }
        } else {
            self.failures = 0;
        }
        read
    }

    /// Reads in one command the lanes of which at most half a batch waits, so that no lane ever has much more
    /// than a batch waiting.
    async fn read(&mut self, read_ahead: &mut ReadAhead) -> Result<(), GroupError> {
        let lanes: Vec<Lane> = Lane::ALL
            .into_iter()
            .filter(|lane| read_ahead.has_room(*lane, self.batch))
            .collect();
        let Some(most_waiting) = lanes.iter().map(|lane| read_ahead.len_of(*lane)).max() else {
            return Ok(());
        };
        let entries = self.size.entries().min(self.batch.entries - most_waiting);
        let bounds = ReadBounds {
            entries,
            reply_bytes: self.size.reply_bytes(entries),
            block: read_ahead.is_empty().then_some(self.read_wait),
        };
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.group.reader(&self.redis, self.read_wait).await?),
        };
        let claimed = self.group.read(connection, &lanes, bounds).await?;
        self.claims
            .add_waiting(claimed.iter().map(|claimed| claimed.entry));
        self.size.succeeded(&claimed);
        for lane in &lanes {
            let of_lane = claimed.iter().filter(|claimed| claimed.entry.lane == *lane);
            self.left_more[lane.index()] = of_lane.count() >= entries;
        }
        for entry in claimed {
            read_ahead.push(entry);
        }
        Ok(())
    }

    /// Hands back the entries of a reply that was too large. They were not seen, so their claim does not count,
    /// and whoever looks for idle entries next takes them in parts. Otherwise they would wait until they are
    /// idle.
    async fn hand_back_unread(&self) {
        for lane in Lane::ALL {
            if let Err(error) = self.hand_back_unread_of(lane).await {
                tracing::warn!(%lane, error = with_causes(&error), "Could not hand back entries; they will be reclaimed when idle.");
            }
        }
    }

    async fn hand_back_unread_of(&self, lane: Lane) -> Result<(), GroupError> {
        let mut unread = self.group.own_pending(lane, None).await?;
        unread.retain(|&PendingEntry { id, claims }| {
            claims == 1 && !self.claims.contains(EntryRef { lane, id })
        });
        if unread.is_empty() {
            return Ok(());
        }
        let entries = unread.len();
        tracing::info!(%lane, entries, "Handing back the entries of a reply that was too large.");
        let is_untried = |_| true;
        self.group
            .hand_back(lane, &unread, is_untried, self.claim_idle)
            .await
    }

    /// After a failed read: recreates a lost group, or logs the error and backs off.
    pub(super) async fn recover(&self, error: &GroupError, shutdown: &Shutdown) {
        if matches!(error, GroupError::NoGroup) {
            match self.group.ensure().await {
                // Another worker was first, or two servers share one name: back off.
                Ok(0) => tracing::info!("The consumer group was missing and exists again."),
                Ok(created) => {
                    self.groups_recreated.inc_by(created);
                    tracing::error!(
                        groups = created,
                        "The consumer group was missing: Redis lost its data, or someone deleted it. Recreated it from the first entry."
                    );
                    return;
                }
                Err(error) => {
                    tracing::warn!(
                        error = with_causes(&error),
                        "Could not create the consumer group."
                    );
                }
            }
        } else {
            let failures = self.failures;
            tracing::warn!(
                error = with_causes(error),
                failures,
                "Could not read the lanes."
            );
        }
        let pause = backoff(WAIT_FIRST, WAIT_MAX, self.failures, rand::random());
        shutdown.sleep(pause).await;
    }
}
