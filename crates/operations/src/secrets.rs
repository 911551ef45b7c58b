//! Webhook secrets: when each last verified an event, and which can be removed.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use chrono::{DateTime, TimeDelta, Utc};
use harkara_core::secret::Fingerprint;
use harkara_settings::Settings;
use harkara_storage::Pool;
use harkara_storage::ledger::{self, END, SecretUse, Walk, optional_time, stretch};
use serde::Serialize;

use crate::{Looked, OperationError};

/// The secret of the endpoint `default` in development. It is public, so signing with it gives nothing away.
pub const DEVELOPMENT_SECRET: &str = "harkara-dev-secret";

/// How long Razorpay signs retries of an event with the secret of its first attempt.
const RETRIED_FOR: TimeDelta = TimeDelta::hours(24);

/// The secrets of all endpoints.
#[derive(Debug, Serialize)]
pub struct SecretsReport {
    /// How many days of the ledger were read.
    pub days: u16,
    /// By endpoint: those configured, newest first, then those only the ledger knows.
    pub secrets: Vec<SecretReport>,
    /// Events of these days whose row does not name the secret.
    pub unrecorded_events: i64,
}

/// A secret of an endpoint.
#[derive(Debug, Serialize)]
pub struct SecretReport {
    /// The endpoint.
    pub endpoint: String,
    /// 0 is the newest; `None` if it is not configured here.
    pub position: Option<usize>,
    /// What names it.
    pub fingerprint: String,
    /// Events that it verified.
    pub events: i64,
    /// When the last of them was received.
    #[serde(serialize_with = "optional_time")]
    pub last_used_at: Option<DateTime<Utc>>,
    /// Unused for 24 hours, while a newer one has been in use for longer.
    pub can_go: bool,
}

/// Rows of one step: some 100 MB of usual bodies, which take a fraction of a second.
const ROWS_PER_STEP: u32 = 50_000;

/// Reads the last days of the ledger in steps, and then what was received since `now`; after each step it tells
/// `progress` how far it has come.
pub async fn secrets(
    pool: &Pool,
    settings: &Settings,
    days: u16,
    now: DateTime<Utc>,
    mut progress: impl FnMut(&Looked),
) -> Result<SecretsReport, OperationError> {
    let since = now - TimeDelta::days(days.into());
    let (mut uses, mut looked) = (Uses::new(), Looked::default());
    // A secret that is used during a long walk must not be reported as one that can go.
    for (since, end) in [(since, now), (now, END)] {
        let mut before = end;
        while let Some(stretch) = stretch(pool, &Walk::Events, since, before, ROWS_PER_STEP).await?
        {
            for used in ledger::secret_uses(pool, stretch).await? {
                add(&mut uses, used);
            }
            before = stretch.from;
            looked.add(&stretch);
            progress(&looked);
            if stretch.is_last {
                break;
            }
        }
    }
    let mut uses: Vec<SecretUse> = uses.into_values().collect();
    uses.sort_by(|a, b| (&a.endpoint, b.last_used_at).cmp(&(&b.endpoint, a.last_used_at)));
    let unrecorded = uses.iter().filter(|used| used.secret_fingerprint.is_none());
    Ok(SecretsReport {
        days,
        unrecorded_events: unrecorded.map(|used| used.events).sum(),
        secrets: report(settings, &uses, now),
    })
}

/// By endpoint and secret.
type Uses = BTreeMap<(String, Option<String>), SecretUse>;

fn add(sums: &mut Uses, used: SecretUse) {
    match sums.entry((used.endpoint.clone(), used.secret_fingerprint.clone())) {
        Entry::Vacant(vacant) => {
            vacant.insert(used);
        }
        Entry::Occupied(mut occupied) => {
            let sum = occupied.get_mut();
            sum.events += used.events;
            sum.first_used_at = sum.first_used_at.min(used.first_used_at);
            sum.last_used_at = sum.last_used_at.max(used.last_used_at);
        }
    }
}

fn report(settings: &Settings, uses: &[SecretUse], now: DateTime<Utc>) -> Vec<SecretReport> {
    let mut live: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, endpoint) in &settings.endpoints {
        let fingerprints = endpoint.secrets.iter().map(Fingerprint::of);
        live.insert(name.as_str(), fingerprints.map(|f| f.to_string()).collect());
    }
    for used in uses {
        live.entry(&used.endpoint).or_default();
    }
    let of_endpoint = |(endpoint, live): (&str, Vec<String>)| {
        let here = uses.iter().filter(|used| used.endpoint == endpoint);
        of_endpoint(endpoint, &live, &here.collect::<Vec<_>>(), now)
    };
    live.into_iter().flat_map(of_endpoint).collect()
}

fn of_endpoint(
    endpoint: &str,
    live: &[String],
    uses: &[&SecretUse],
    now: DateTime<Utc>,
) -> Vec<SecretReport> {
    let find = |fingerprint: &str| {
        let is_it = |used: &&&SecretUse| used.secret_fingerprint.as_deref() == Some(fingerprint);
        uses.iter().find(is_it)
    };
    let is_recent = |used: &SecretUse| used.last_used_at >= now - RETRIED_FOR;
    // Any secret may have verified an event whose secret is not known.
    let is_unknown = |used: &&SecretUse| used.secret_fingerprint.is_none() && is_recent(used);
    let all_are_known = !uses.iter().any(is_unknown);
    let row = |position: Option<usize>, fingerprint: &str| {
        let found = find(fingerprint);
        let newer = &live[..position.unwrap_or_default()];
        let had_time = |newer: &&SecretUse| newer.first_used_at < now - RETRIED_FOR;
        let newer_is_used = newer.iter().any(|newer| find(newer).is_some_and(had_time));
        SecretReport {
            endpoint: endpoint.to_owned(),
            position,
            fingerprint: fingerprint.to_owned(),
            events: found.map_or(0, |used| used.events),
            last_used_at: found.map(|used| used.last_used_at),
            can_go: newer_is_used && all_are_known && !found.is_some_and(|used| is_recent(used)),
        }
    };
    let configured = live
        .iter()
        .enumerate()
        .map(|(position, fingerprint)| row(Some(position), fingerprint));
    let others = uses
        .iter()
        .filter_map(|used| used.secret_fingerprint.as_deref())
        .filter(|fingerprint| live.iter().all(|live| live != fingerprint))
        .map(|fingerprint| row(None, fingerprint));
    configured.chain(others).collect()
}
