//! Fresh deliveries: one reader on the four lanes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use harkara_core::lane::{LANES, Lane, shares};
use harkara_core::retry::backoff;
use harkara_runtime::admin::Progress;
use harkara_runtime::clock;
use harkara_runtime::redis::connect_blocking;
use harkara_runtime::settings::{RedisSettings, WorkerSettings};
use harkara_runtime::stop::Stop;
use redis::aio::MultiplexedConnection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use crate::decode;
use crate::error::GroupError;
use crate::group::ClaimedEntry;
use crate::road::Road;

/// Wait before reading again after Redis failed, and the longest such wait.
const WAIT_FIRST: Duration = Duration::from_millis(50);
const WAIT_MAX: Duration = Duration::from_secs(5);

/// How often a loop that waits for a permit shows that it is alive.
const TICK: Duration = Duration::from_secs(1);

/// Batches in flight: a permit each, shared by all sources. Dropping a permit, even by a panic,
/// gives it back.
pub(crate) type Permits = Arc<Semaphore>;

/// Reads the lanes and sends batches down the road.
pub(crate) struct Claimer {
    pub(crate) road: Arc<Road>,
    pub(crate) redis: RedisSettings,
    pub(crate) settings: WorkerSettings,
    pub(crate) permits: Permits,
    pub(crate) in_flight: TaskTracker,
    pub(crate) progress: Progress,
}

/// Entries claimed and not yet in a batch, by lane.
#[derive(Default)]
struct Waiting([VecDeque<ClaimedEntry>; LANES]);

impl Claimer {
    /// Runs until told to stop; what it had claimed by then still goes down the road.
    pub(crate) async fn run(self, stop: Stop) {
        let mut connection: Option<MultiplexedConnection> = None;
        let mut waiting = Waiting::default();
        let mut failures = 0;
        loop {
            let stopping = stop.is_requested();
            if stopping && waiting.is_empty() {
                return;
            }
            let permit = self.permit().await;
            if !stopping {
                match self.fill(&mut connection, &mut waiting).await {
                    Ok(()) => failures = 0,
                    Err(error) => {
                        connection = None;
                        failures += 1;
                        self.recover(&error, failures, &stop).await;
                    }
                }
            }
            let batch = waiting.take(self.settings.batch_entries_max, self.settings.lane_weights);
            self.send(batch, permit);
        }
    }

    async fn permit(&self) -> OwnedSemaphorePermit {
        let mut ticks = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                permit = self.permits.clone().acquire_owned() => {
                    self.progress.touch();
                    return permit.expect("the semaphore is never closed");
                }
                _ = ticks.tick() => self.progress.touch(),
            }
        }
    }

    /// Reads every lane of which nothing waits, in one command. Only while nothing waits at all does
    /// the read block, so a higher lane is looked at before each batch.
    async fn fill(
        &self,
        connection: &mut Option<MultiplexedConnection>,
        waiting: &mut Waiting,
    ) -> Result<(), GroupError> {
        let lanes: Vec<Lane> = Lane::ALL
            .into_iter()
            .filter(|lane| waiting.0[lane.index()].is_empty())
            .collect();
        if lanes.is_empty() {
            return Ok(());
        }
        let connection = match connection {
            Some(connection) => connection,
            None => connection.insert(
                connect_blocking(&self.redis, self.settings.read_wait)
                    .await
                    .map_err(GroupError::of("connect"))?,
            ),
        };
        let block = waiting.is_empty().then_some(self.settings.read_wait);
        let claimed = self
            .road
            .group
            .read(connection, &lanes, self.settings.batch_entries_max, block)
            .await?;
        self.road
            .held
            .add(claimed.iter().map(|claimed| claimed.entry));
        for entry in claimed {
            waiting.0[entry.entry.lane.index()].push_back(entry);
        }
        Ok(())
    }

    async fn recover(&self, error: &GroupError, failures: u32, stop: &Stop) {
        if matches!(error, GroupError::NoGroup) {
            match self.road.group.ensure().await {
                Ok(created) => {
                    self.road.counters.groups_recreated.inc_by(created);
                    tracing::error!(
                        groups = created,
                        "The consumer group was gone: Redis lost its data, or someone deleted it. Created anew from the first entry."
                    );
                    return;
                }
                Err(error) => tracing::warn!(%error, "The consumer group could not be created."),
            }
        } else {
            tracing::warn!(%error, failures, "The lanes could not be read.");
        }
        let pause = backoff(WAIT_FIRST, WAIT_MAX, failures, rand::random());
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.requested() => {}
        }
    }

    fn send(&self, batch: Vec<ClaimedEntry>, permit: OwnedSemaphorePermit) {
        if batch.is_empty() {
            return;
        }
        let road = self.road.clone();
        self.in_flight.spawn(async move {
            let now = clock::now();
            let records = batch
                .into_iter()
                .map(|entry| decode::entry(entry, &road.retries, now))
                .collect();
            road.take(records).await;
            drop(permit);
        });
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.0.iter().all(VecDeque::is_empty)
    }

    /// Takes a batch, shared among the lanes by weight, the highest first.
    fn take(&mut self, entries_max: usize, weights: [usize; LANES]) -> Vec<ClaimedEntry> {
        let shares = shares(entries_max, self.0.each_ref().map(VecDeque::len), weights);
        self.0
            .iter_mut()
            .zip(shares)
            .flat_map(|(lane, share)| lane.drain(..share))
            .collect()
    }
}
