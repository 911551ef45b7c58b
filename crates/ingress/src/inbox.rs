//! The inbox: deliveries that Redis did not take become pending rows of the ledger, which workers process.
//!
//! Deliveries gather while others are being stored, so that one transaction serves many. It is the commit
//! of the workers, with the verdict that the event is not processed yet. If Redis has a delivery too,
//! because only its confirmation was lost, that is a duplicate like any other.

use std::sync::Arc;
use std::time::Duration;

use harkara_core::causes::with_causes;
use harkara_core::delivery::body_sha256;
use harkara_core::durability::Durability;
use harkara_settings::Settings;
use harkara_storage::commit::{CommittedBatch, DuplicateHint, commit, rehearse};
use harkara_storage::record::{ClaimedEvent, EventRecord, Origin, Verdict};
use harkara_storage::{Pool, PoolSettings, Recovery, StorageError};
use harkara_telemetry::catalogue::INGRESS_INBOX_WAITING;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::APPLICATION;
use crate::metrics::InFlight;
use crate::routed_delivery::RoutedDelivery;

/// Maximum deliveries in one transaction, the same as a worker's.
const GROUP_ENTRIES_MAX: usize = 400;

/// Maximum deliveries that wait for their transaction; more are refused.
const WAITING_MAX: usize = 4096;

/// Maximum bytes of bodies that wait or are being stored; more are refused.
const WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How often its connections are used, so that neither a server nor a firewall closes them as idle.
const WARM_EVERY: Duration = Duration::from_secs(10);

/// The event type of a delivery without an event name.
const UNKNOWN: &str = "unknown";

/// Stores deliveries in PostgreSQL. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Inbox {
    pool: Pool,
    connections_max: usize,
    waiting: mpsc::Sender<Waiting>,
    bytes: Arc<Semaphore>,
    timeout: Duration,
    in_flight: Gauge,
}

/// The proof that a delivery is committed to PostgreSQL.
#[must_use]
pub(crate) struct StoredDelivery(());

/// Why a delivery is not known to be stored.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum NotStored {
    /// Too many deliveries, or bytes, wait already.
    #[error("the inbox is full")]
    Full,
    /// PostgreSQL did not confirm in time.
    #[error("PostgreSQL did not confirm in time")]
    Timeout,
    /// PostgreSQL is unavailable, or refused.
    #[error("PostgreSQL did not take the delivery")]
    Postgres(#[source] Arc<StorageError>),
}

struct Waiting {
    record: EventRecord,
    confirm: oneshot::Sender<Result<(), NotStored>>,
    _bytes: OwnedSemaphorePermit,
}

impl Inbox {
    /// The inbox; `None` if the settings disable it. Connects with the first delivery. Must be called within
    /// the tokio runtime that will store deliveries.
    pub(crate) fn open(
        settings: &Settings,
        registry: &mut Registry,
    ) -> Result<Option<Self>, StorageError> {
        let in_flight = INGRESS_INBOX_WAITING.registered(registry, Gauge::default());
        let connections_max = settings.ingress.inbox_connections_max;
        if connections_max == 0 {
            return Ok(None);
        }
        // A connection may take longer than a request waits; otherwise none would ever be made over a slow
        // link.
        let pool = Pool::new(&PoolSettings {
            connections_max,
            statement_timeout: settings.ingress.inbox_timeout,
            ..PoolSettings::of(&settings.postgres, APPLICATION)
        })?;
        let (sender, waiting) = mpsc::channel(WAITING_MAX);
        tokio::spawn(gather(pool.clone(), waiting, connections_max));
        Ok(Some(Self {
            pool,
            connections_max,
            waiting: sender,
            bytes: Arc::new(Semaphore::new(WAITING_BYTES_MAX)),
            timeout: settings.ingress.inbox_timeout,
            in_flight,
        }))
    }

    /// Stores a delivery. After an error it may be stored nevertheless.
    pub(crate) async fn store(
        &self,
        delivery: RoutedDelivery<'_>,
    ) -> Result<StoredDelivery, NotStored> {
        let _in_flight = InFlight::new(&self.in_flight);
        let n_bytes = u32::try_from(delivery.verified.body().len()).map_err(|_| NotStored::Full)?;
        let bytes = self.bytes.clone().try_acquire_many_owned(n_bytes);
        let (confirm, confirmed) = oneshot::channel();
        let waiting = Waiting {
            record: record(delivery),
            confirm,
            _bytes: bytes.map_err(|_| NotStored::Full)?,
        };
        self.waiting
            .try_send(waiting)
            .map_err(|_| NotStored::Full)?;
        match tokio::time::timeout(self.timeout, confirmed).await {
            Ok(Ok(outcome)) => outcome.map(|()| StoredDelivery(())),
            // The process is ending, or time is up.
            Ok(Err(_)) | Err(_) => Err(NotStored::Timeout),
        }
    }

    /// The longest that storing takes.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Keeps all connections open and the statements of a commit prepared, forever: an outage of Redis must not
    /// begin with connecting, which takes long on a busy machine, while deliveries wait.
    pub(crate) async fn keep_warm(self) {
        let mut ticks = interval(WARM_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // At the same time, so that each uses another connection.
            let mut rehearsals = JoinSet::new();
            for _ in 0..self.connections_max {
                let pool = self.pool.clone();
                rehearsals.spawn(async move { rehearse(&pool).await });
            }
            for rehearsed in rehearsals.join_all().await {
                if let Err(error) = rehearsed {
                    let error = with_causes(&error);
                    tracing::debug!(error, "Could not keep the inbox connected.");
                }
            }
        }
    }

    /// Whether PostgreSQL answers.
    pub(crate) async fn ping(&self) -> Result<(), StorageError> {
        self.pool.ping().await
    }
}

/// Commits waiting deliveries, one group for each connection. Ends with the last [`Inbox`].
async fn gather(pool: Pool, mut waiting: mpsc::Receiver<Waiting>, groups_in_flight_max: usize) {
    let duplicate_hint = Arc::new(DuplicateHint::default());
    let in_flight = Arc::new(Semaphore::new(groups_in_flight_max));
    loop {
        let permit = in_flight.clone().acquire_owned().await;
        let permit = permit.expect("the semaphore is never closed");
        let mut group = Vec::new();
        if waiting.recv_many(&mut group, GROUP_ENTRIES_MAX).await == 0 {
            return;
        }
        let (pool, duplicate_hint) = (pool.clone(), duplicate_hint.clone());
        tokio::spawn(async move {
            store(&pool, &duplicate_hint, group, groups_in_flight_max).await;
            drop(permit);
        });
    }
}

/// Commits a group and answers each delivery in it. A group that PostgreSQL refuses for its content is
/// halved, so that a bad delivery does not affect the others. A commit over a connection that a restart of
/// PostgreSQL has broken is repeated.
async fn store(
    pool: &Pool,
    duplicate_hint: &DuplicateHint,
    group: Vec<Waiting>,
    connections_max: usize,
) {
    let mut broken_max = connections_max;
    let mut groups = vec![group];
    while let Some(mut group) = groups.pop() {
        // Those that waited too long have been answered.
        group.retain(|waiting| !waiting.confirm.is_closed());
        if group.is_empty() {
            continue;
        }
        let records: Vec<_> = group.iter().map(|w| w.record.clone()).collect();
        match commit(pool, duplicate_hint, &records).await {
            Ok(committed) => confirm(group, &committed),
            Err(error) if error.recovery() != Recovery::Wait && group.len() > 1 => {
                groups.push(group.split_off(group.len() / 2));
                groups.push(group);
            }
            Err(error) if error.ended_the_connection() && broken_max > 0 => {
                broken_max -= 1;
                groups.push(group);
            }
            Err(error) => {
                let error = NotStored::Postgres(Arc::new(error));
                answer(group, &Err(error));
            }
        }
    }
}

/// Takes the proof that the group's transaction has committed.
fn confirm(group: Vec<Waiting>, _: &CommittedBatch) {
    answer(group, &Ok(()));
}

fn answer(group: Vec<Waiting>, outcome: &Result<(), NotStored>) {
    for waiting in group {
        // A client that went away needs no answer.
        waiting.confirm.send(outcome.clone()).ok();
    }
}

fn record(delivery: RoutedDelivery<'_>) -> EventRecord {
    let event_type = match delivery.event_name {
        "" => UNKNOWN,
        name => name,
    };
    let RoutedDelivery { verified, lane, .. } = delivery;
    EventRecord {
        claimed: ClaimedEvent {
            origin: Origin::Inbox,
            endpoint: verified.endpoint().as_str().into(),
            lane,
            event_id: verified.event_id().clone(),
            event_type: event_type.into(),
            received_at: verified.received_at(),
            signature: verified.signature().to_owned(),
            trace: verified.trace().clone(),
            durability: Some(Durability::Stored),
            secret_fingerprint: Some(verified.secret_fingerprint()),
            body_sha256: body_sha256(verified.body()),
            body: verified.body().clone(),
        },
        account_id: None,
        occurred_at: None,
        verdict: Verdict::Defer,
    }
}
