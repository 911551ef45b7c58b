//! Accepted = stored, nothing twice: `operations::verification` compares what was accepted with the database,
//! which may hold nothing else; nothing is left in Redis. If only the ingress ran, what was accepted is in the
//! streams, and nothing else is.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Display;
use std::ops::Range;
use std::time::Duration;

use anyhow::{Context, Result};
use chrono::DateTime;
use harkara_load::{Corpus, LoadReport};
use harkara_operations::verification::{Expected, Scope, SentDelivery, compare};
use harkara_storage::{Pool, PoolSettings};
use harkara_testkit::pool_settings;
use serde::Serialize;

use crate::postgres_server::Database;
use crate::redis_server::RedisServer;

/// Bounds of one query: an audit reads whole tables of millions of rows.
const QUERY_MAX: Duration = Duration::from_mins(2);

/// The tables that the peer writes besides the ledger.
const PEER_TABLES: [&str; 2] = ["payment_orders", "payment_transactions"];

/// The audit of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct RunAudit {
    pub(crate) run: String,
    pub(crate) accepted: usize,
    /// Rows of the ledger, or entries of the streams if only the ingress ran.
    pub(crate) stored: usize,
    /// Empty if all is well.
    pub(crate) faults: Vec<String>,
}

/// An audit of a database, to which deliveries are added.
pub(crate) struct Auditor<'a> {
    audit: RunAudit,
    database: &'a Database,
    pool: Pool,
    scope: Scope,
    /// How many rows each table must have.
    rows: BTreeMap<&'static str, usize>,
}

impl<'a> Auditor<'a> {
    pub(crate) fn new(run: impl Display, database: &'a Database, scope: Scope) -> Result<Self> {
        let pool = Pool::new(&PoolSettings {
            application: "harkara-bench",
            connections_max: 1,
            statement_timeout: QUERY_MAX,
            ..pool_settings(&database.url)
        })?;
        Ok(Self {
            audit: RunAudit {
                run: run.to_string(),
                ..RunAudit::default()
            },
            database,
            pool,
            scope,
            rows: BTreeMap::new(),
        })
    }

    /// Compares deliveries of a corpus that were accepted. Entities of later calls must be others.
    pub(crate) async fn accepted(self, corpus: &Corpus, range: Range<usize>) -> Result<Self> {
        self.compare(corpus, range.map(|at| (at, Expected::Stored)))
            .await
    }

    /// Compares what the generator sent.
    pub(crate) async fn sent(self, corpus: &Corpus, report: &LoadReport) -> Result<Self> {
        let accepted = report.accepted.ones().map(|at| (at, Expected::Stored));
        let unknown = report.unknown.ones().map(|at| (at, Expected::Unknown));
        self.compare(corpus, accepted.chain(unknown)).await
    }

    async fn compare(
        mut self,
        corpus: &Corpus,
        deliveries: impl Iterator<Item = (usize, Expected)>,
    ) -> Result<Self> {
        let sent = deliveries.map(|(at, expected)| {
            let delivery = corpus.delivery(at);
            self.audit.accepted += usize::from(expected == Expected::Stored);
            SentDelivery::new(delivery.event_id, delivery.body, expected)
        });
        let sent: Vec<SentDelivery<'_>> = sent.collect();
        // The database is the run's own, so nothing in it is older.
        let found = compare(&self.pool, &sent, DateTime::UNIX_EPOCH, self.scope)
            .await
            .context("the database cannot be compared")?;
        let faults = found.faults.into_iter().map(String::from);
        self.audit.faults.extend(faults);
        self.audit.stored += found.stored;
        for (table, rows) in found.rows {
            *self.rows.entry(table).or_default() += rows;
        }
        Ok(self)
    }

    /// Checks that the stores hold nothing else.
    pub(crate) async fn finish(mut self, redis: &RedisServer) -> Result<RunAudit> {
        self.rows.insert("webhook_events", self.audit.stored);
        let is_written = |table: &str| {
            self.scope == Scope::AllTables
                || table == "webhook_events"
                || PEER_TABLES.contains(&table)
        };
        let faults = &mut self.audit.faults;
        for (table, expected) in self.rows.iter().filter(|(table, _)| is_written(table)) {
            let sql = format!("SELECT count(*) FROM {table}");
            let found: i64 = self.database.value(&sql, &[]).await?;
            if usize::try_from(found)? != *expected {
                faults.push(format!(
                    "{table}: {found} rows, where the accepted deliveries give {expected}"
                ));
            }
        }
        let duplicates = "SELECT coalesce(sum(duplicates), 0)::bigint FROM webhook_events";
        let duplicates: i64 = self.database.value(duplicates, &[]).await?;
        faults.extend(unwanted([
            (
                "deliveries counted as duplicates",
                u64::try_from(duplicates)?,
            ),
            (
                "entries left in the streams",
                redis.n_entries().await? as u64,
            ),
            ("pending entries", redis.n_pending().await?),
        ]));
        Ok(self.audit)
    }
}

/// A fault for each count that is not 0.
fn unwanted<const N: usize>(counts: [(&str, u64); N]) -> impl Iterator<Item = String> {
    let unwanted = counts.into_iter().filter(|(_, n)| *n > 0);
    unwanted.map(|(name, n)| format!("{name}: {n}"))
}

/// Compares the entries in the streams with the ids of what was accepted.
pub(crate) async fn audit_streams<'a>(
    run: &str,
    redis: &RedisServer,
    accepted: impl Iterator<Item = &'a str>,
) -> Result<RunAudit> {
    let mut missing: HashSet<&str> = accepted.collect();
    let accepted = missing.len();
    let (mut stored, mut not_accepted) = (0, 0);
    redis
        .event_ids(|event_id| {
            stored += 1;
            // Each id is removed once, so a second entry of one is one too many.
            if !missing.remove(event_id.as_str()) {
                not_accepted += 1;
            }
        })
        .await?;
    let faults = unwanted([
        ("accepted and in no stream", missing.len() as u64),
        ("in a stream and not accepted, or twice", not_accepted),
    ]);
    Ok(RunAudit {
        run: run.to_owned(),
        accepted,
        stored,
        faults: faults.collect(),
    })
}
