//! The connection that reads the four lanes.

use std::sync::Arc;
use std::time::Duration;

use harkara_core::causes::with_causes;
use harkara_core::lane::{LANES, Lane};
use harkara_core::retry::backoff;
use harkara_runtime::shutdown::Shutdown;
use harkara_settings::{RedisSettings, Settings};
use harkara_streams::GroupError;
use harkara_streams::consumer_group::{Group, Reader};
use prometheus_client::metrics::counter::Counter;

use super::read_ahead::ReadAhead;
use crate::active_claims::ActiveClaims;

/// First and longest wait before reading again after Redis failed.
const WAIT_FIRST: Duration = Duration::from_millis(50);
const WAIT_MAX: Duration = Duration::from_secs(5);

/// A failed read divides the size of the next one by this.
const SHRINK_BY: usize = 4;

/// Successful reads after which a shrunk read has its full size again.
const GROWTH_STEPS: usize = 32;

/// Reads new entries. The size of its reads adapts to what Redis can answer in time.
pub(crate) struct LaneReader {
    group: Arc<Group>,
    claims: Arc<ActiveClaims>,
    groups_recreated: Counter,
    redis: RedisSettings,
    read_wait: Duration,
    batch_entries_max: usize,
    connection: Option<Reader>,
    /// Maximum entries of a lane in one read.
    entries_max: usize,
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
        let batch_entries_max = settings.worker.batch_entries_max;
        Self {
            group,
            claims,
            groups_recreated,
            redis: settings.redis.clone(),
            read_wait: settings.worker.read_wait,
            batch_entries_max,
            connection: None,
            entries_max: batch_entries_max,
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
        if read.is_ok() {
            let growth = self.batch_entries_max.div_ceil(GROWTH_STEPS);
            self.entries_max = (self.entries_max + growth).min(self.batch_entries_max);
            self.failures = 0;
        } else {
            self.connection = None;
            self.left_more = [false; LANES];
            self.failures += 1;
            // An answer that was too large to arrive in time must not be requested again.
            self.entries_max = (self.entries_max / SHRINK_BY).max(1);
        }
        read
    }

    /// Reads in one command the lanes of which at most half a batch waits, so that no lane ever has more than
    /// a batch waiting.
    async fn read(&mut self, read_ahead: &mut ReadAhead) -> Result<(), GroupError> {
        let lanes: Vec<Lane> = Lane::ALL
            .into_iter()
            .filter(|lane| read_ahead.len_of(*lane) <= self.batch_entries_max / 2)
            .collect();
        let Some(most_waiting) = lanes.iter().map(|lane| read_ahead.len_of(*lane)).max() else {
            return Ok(());
        };
        let entries_max = self.entries_max.min(self.batch_entries_max - most_waiting);
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(Reader::connect(&self.redis, self.read_wait).await?),
        };
        let block = read_ahead.is_empty().then_some(self.read_wait);
        let claimed = self
            .group
            .read(connection, &lanes, entries_max, block)
            .await?;
        self.claims
            .add_waiting(claimed.iter().map(|claimed| claimed.entry));
        for lane in &lanes {
            let of_lane = claimed.iter().filter(|claimed| claimed.entry.lane == *lane);
            self.left_more[lane.index()] = of_lane.count() >= entries_max;
        }
        for entry in claimed {
            read_ahead.push(entry);
        }
        Ok(())
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
