//! `harkara secrets`: which webhook secrets are in use, and which old one can go.

use std::collections::BTreeMap;

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use harkara_core::secret::Fingerprint;
use harkara_operations::wording::counted;
use harkara_settings::Settings;
use harkara_storage::Recovery;
use harkara_storage::ledger::{self, SecretUse};
use serde::Serialize;

use crate::arguments::now;
use crate::exit::Ending;
use crate::output::{self, Align, Table, rfc3339, rfc3339_seconds};
use harkara_operations::database;

/// Razorpay signs retries of an event with the secret of its first attempt for so long.
const RETRIED_FOR: TimeDelta = TimeDelta::hours(24);

/// Lists each endpoint's webhook secrets and when they last verified an event
///
/// A secret is named by its fingerprint, eight hex digits from which it cannot be had. An old one can
/// go when a newer one came into use 24 hours ago, which is as long as Razorpay retries what it signed
/// with the old one, and the old one has verified nothing since.
///
/// Counts the events in the ledger: not what workers have yet to commit, and of an event that was
/// delivered again only the first time. The metric `harkara_ingress_secret_used_total` counts every
/// delivery. Every event of the days asked for is read, so ask a large ledger for few.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct SecretsOptions {
    /// How many days of the ledger are looked at, 2 to 366
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u16).range(2..=366))]
    days: u16,

    /// Prints one JSON document: an object
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  harkara secrets
  harkara secrets --days 2 --json";

/// A secret of an endpoint, with what the ledger knows of it.
#[derive(Debug, Serialize)]
struct SecretJson {
    endpoint: String,
    /// 0 is the newest; null where it is not configured here.
    position: Option<usize>,
    fingerprint: String,
    events: i64,
    last_used_at: Option<String>,
    can_go: bool,
    #[serde(skip)]
    last_used: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize)]
struct SecretsJson {
    days: u16,
    secrets: Vec<SecretJson>,
    /// Events of these days whose row does not tell the secret.
    unrecorded_events: i64,
}

/// Lists the secrets.
pub(crate) async fn run(settings: &Settings, options: &SecretsOptions) -> anyhow::Result<Ending> {
    let pool = database::open(&settings.postgres).await?;
    let now = now();
    let since = now - TimeDelta::days(options.days.into());
    let uses = match ledger::secret_uses(&pool, since).await {
        Err(error) if error.recovery() == Recovery::Split => {
            return Err(error).context(
                "the ledger holds too many events to count them in time; ask for fewer --days, or raise \
                 postgres.statement_timeout_ms (HARKARA__POSTGRES__STATEMENT_TIMEOUT_MS)",
            );
        }
        uses => uses?,
    };
    let listed = SecretsJson {
        days: options.days,
        secrets: secrets(settings, &uses, now),
        unrecorded_events: uses
            .iter()
            .filter(|used| used.secret_fingerprint.is_none())
            .map(|used| used.events)
            .sum(),
    };
    if options.json {
        output::json(&listed)?;
    } else {
        write_table(&listed)?;
    }
    Ok(Ending::Done)
}

/// What is configured, in order, and for each endpoint after it what is not and was used all the same.
fn secrets(settings: &Settings, uses: &[SecretUse], now: DateTime<Utc>) -> Vec<SecretJson> {
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
) -> Vec<SecretJson> {
    let find = |fingerprint: &str| {
        uses.iter()
            .find(|used| used.secret_fingerprint.as_deref() == Some(fingerprint))
    };
    let is_recent = |used: &SecretUse| used.last_used_at >= now - RETRIED_FOR;
    // An event whose secret is not known may have been verified by any.
    let all_are_known = !uses
        .iter()
        .any(|used| used.secret_fingerprint.is_none() && is_recent(used));
    let row = |position: Option<usize>, fingerprint: &str| {
        let found = find(fingerprint);
        let newer = &live[..position.unwrap_or_default()];
        let had_time = |newer: &&SecretUse| newer.first_used_at < now - RETRIED_FOR;
        let newer_is_used = newer.iter().any(|newer| find(newer).is_some_and(had_time));
        SecretJson {
            endpoint: endpoint.to_owned(),
            position,
            fingerprint: fingerprint.to_owned(),
            events: found.map_or(0, |used| used.events),
            last_used_at: found.map(|used| rfc3339(used.last_used_at)),
            can_go: newer_is_used && all_are_known && !found.is_some_and(|used| is_recent(used)),
            last_used: found.map(|used| used.last_used_at),
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

fn write_table(listed: &SecretsJson) -> anyhow::Result<()> {
    if listed.secrets.is_empty() {
        output::line(
            "no endpoint is configured here, and no event of these days tells its secret",
        )?;
    } else {
        let columns = [
            ("ENDPOINT", Align::Left),
            ("SECRET", Align::Left),
            ("POSITION", Align::Left),
            ("EVENTS", Align::Right),
            ("LAST USED", Align::Left),
        ];
        let mut table = Table::new(&columns);
        for secret in &listed.secrets {
            let position = match secret.position {
                Some(0) => "1, the newest".to_owned(),
                Some(position) => (position + 1).to_string(),
                None => "not configured".to_owned(),
            };
            table.row([
                secret.endpoint.clone(),
                secret.fingerprint.clone(),
                position,
                secret.events.to_string(),
                secret.last_used.map_or_else(
                    || format!("not within {}", counted(listed.days.into(), "day")),
                    rfc3339_seconds,
                ),
            ]);
            if secret.can_go {
                table.below("unused for 24 hours, and a newer one in use for longer: it can go");
            }
        }
        table.print()?;
    }
    if listed.unrecorded_events > 0 {
        let events = counted(listed.unrecorded_events.try_into()?, "event");
        output::line(format!(
            "\n{events} of these days came before secrets were recorded, and may have been verified by any"
        ))?;
    }
    Ok(())
}
