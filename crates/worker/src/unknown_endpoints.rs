//! Entries of endpoints that the settings do not name. They may be another deployment's, or the worker has older
//! settings than the ingress. Either way they are left to workers that know the endpoint.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use harkara_core::causes::with_causes;
use harkara_core::entry::EntryId;
use harkara_core::lane::Lane;
use harkara_settings::Settings;
use harkara_storage::record::EventRecord;
use harkara_streams::GroupError;
use harkara_streams::consumer_group::Group;
use prometheus_client::metrics::counter::Counter;

use crate::decode;

/// Time between two log lines.
const LOGGED_EVERY: Duration = Duration::from_mins(1);

pub(crate) struct UnknownEndpoints {
    /// Empty if the settings name no endpoint, which a worker does not need. Then none is unknown.
    known: HashSet<String>,
    group: Arc<Group>,
    left: Counter,
    logged_at: Mutex<Option<Instant>>,
}

impl UnknownEndpoints {
    pub(crate) fn new(settings: &Settings, group: Arc<Group>, left: Counter) -> Self {
        let names = settings.endpoints.keys();
        Self {
            known: names.map(|name| name.as_str().to_owned()).collect(),
            group,
            left,
            logged_at: Mutex::new(None),
        }
    }

    /// Takes out the records of entries whose endpoint is unknown. These stay pending, their last claim does not
    /// count, and whoever reclaims idle entries gets them next, `worker.claim_idle_ms` from now.
    pub(crate) async fn leave(&self, records: &mut Vec<EventRecord>) {
        if records.iter().all(|record| self.is_known(record)) {
            return;
        }
        let unknown = records.extract_if(.., |record| !self.is_known(record));
        let unknown: Vec<EventRecord> = unknown.collect();
        self.left
            .inc_by(u64::try_from(unknown.len()).unwrap_or(u64::MAX));
        self.log(&unknown);
        for lane in Lane::ALL {
            let entries = unknown.iter().filter_map(|record| record.claimed.entry());
            let of_lane = entries.filter(|entry| entry.lane == lane);
            let ids: HashSet<EntryId> = of_lane.map(|entry| entry.id).collect();
            if let Err(error) = self.uncount(lane, &ids).await {
                tracing::debug!(%lane, error = with_causes(&error), "Could not take back a claim.");
            }
        }
    }

    fn is_known(&self, record: &EventRecord) -> bool {
        let event = &record.claimed;
        self.known.is_empty()
            || self.known.contains(&*event.endpoint)
            // What is in the ledger is this deployment's, and so is what nobody can read.
            || event.entry().is_none()
            || &*event.endpoint == decode::UNKNOWN
    }

    async fn uncount(&self, lane: Lane, ids: &HashSet<EntryId>) -> Result<(), GroupError> {
        let (Some(&first), Some(&last)) = (ids.iter().min(), ids.iter().max()) else {
            return Ok(());
        };
        let mut pending = self.group.own_pending(lane, Some((first, last))).await?;
        pending.retain(|entry| ids.contains(&entry.id));
        let is_untried = |_| true;
        self.group
            .hand_back(lane, &pending, is_untried, Duration::ZERO)
            .await
    }

    fn log(&self, unknown: &[EventRecord]) {
        let mut logged_at = self
            .logged_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if logged_at.is_some_and(|at| at.elapsed() < LOGGED_EVERY) {
            return;
        }
        *logged_at = Some(Instant::now());
        drop(logged_at);
        tracing::error!(
            entries = unknown.len(),
            endpoint = unknown.first().map(|record| &*record.claimed.endpoint),
            "Entries are for an endpoint that the settings of this worker do not name; leaving them in Redis to workers that know it."
        );
    }
}
