//! Verifies a load: every accepted delivery is in the ledger as it was sent and took effect once, and none
//! with a bad signature left anything. Queries only what was sent, so the database may hold anything else.

mod expected_rows;
mod findings;
mod retrying_reader;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use harkara_core::delivery::body_sha256;
use harkara_storage::ledger;
use harkara_storage::verification::{
    duplicate_bodies, duplicate_changes, history_rows, identities, merged_rows, stored_events,
};
use harkara_storage::{Pool, StorageError};
use serde::Serialize;

use expected_rows::ExpectedRows;
use findings::Findings;
use retrying_reader::RetryingReader;

/// Deliveries in one query.
const QUERIED_MAX: usize = 1_000;

/// How far the ingress's clock may be behind this machine's.
const CLOCK_SKEW_MAX: TimeDelta = TimeDelta::hours(1);

/// A delivery that was sent.
#[derive(Clone, Copy, Debug)]
pub struct SentDelivery<'a> {
    event_id: &'a str,
    body: &'a [u8],
    digest: [u8; 32],
    expected: Expected,
}

/// What must be stored of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The event: the delivery was answered with a 2xx.
    Stored,
    /// The event or nothing: no answer was a 2xx.
    Unknown,
    /// Nothing: its signature is bad.
    Nothing,
}

/// Which tables are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The ledger, and every table that the worker writes.
    AllTables,
    /// The ledger alone.
    Ledger,
}

/// The result of a verification.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verification {
    /// Ledger rows of validly signed deliveries.
    pub stored: usize,
    /// In the ledger, and not processed.
    pub unprocessed: usize,
    /// Accepted, and not in the ledger.
    pub lost: usize,
    /// In the ledger with other bytes.
    pub altered: usize,
    /// Stored twice, or with effects other than those of each event once.
    pub doubled: usize,
    /// Badly signed, and in the ledger.
    pub refused_stored: usize,
    /// Milliseconds until every accepted delivery was processed.
    pub settled_ms: Option<u64>,
    /// Ledger rows by the durability level of their answer.
    pub durability: BTreeMap<String, usize>,
    /// The first [`FAULTS_MAX`] faults.
    pub faults: Vec<VerificationFault>,
    /// How many rows the events must have in each table besides the ledger.
    #[serde(skip)]
    pub rows: BTreeMap<&'static str, usize>,
}

/// Maximum faults in a [`Verification`]; all are counted.
pub const FAULTS_MAX: usize = 20;

/// One thing that is not as promised. Serialised as its sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct VerificationFault {
    /// The promise that is broken.
    pub kind: FaultKind,
    /// What exactly is wrong.
    pub sentence: String,
}

/// A broken promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is a count of `Verification`")]
pub enum FaultKind {
    Lost,
    Altered,
    Doubled,
    RefusedStored,
    Unprocessed,
}

/// How long a verification waits for what is not stored yet.
#[derive(Clone, Copy, Debug)]
pub struct Patience<'a> {
    /// Longest wait until all accepted deliveries are processed.
    pub settle: Duration,
    /// How long after a clean comparison everything is compared once more; zero for not at all.
    pub again_after: Duration,
    /// Set to end every wait.
    pub interrupted: &'a AtomicBool,
}

/// How far a verification has come.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// Waiting until this many accepted events are processed.
    Settling(usize),
    /// Comparing with the database.
    Comparing {
        /// Deliveries compared.
        done: usize,
        /// Deliveries in all.
        of: usize,
    },
}

/// Waits until all accepted deliveries are processed, then compares.
///
/// Deliveries without an answer may still be on their way: while there are any, faults are checked again
/// until the waiting time is over. `began` is when the first delivery was sent.
pub async fn verify(
    pool: &Pool,
    sent: &[SentDelivery<'_>],
    began: DateTime<Utc>,
    patience: Patience<'_>,
    progress: impl Fn(Step),
) -> Result<Verification, StorageError> {
    let start = Instant::now();
    let reader = RetryingReader::new(
        pool,
        start + patience.settle + patience.again_after,
        patience.interrupted,
    );
    let accepted = sent.iter().filter(|s| s.expected == Expected::Stored);
    let mut waiting: Vec<&str> = accepted.map(|sent| sent.event_id).collect();
    let mut is_last = patience.again_after.is_zero();
    let mut settled_ms = None;
    loop {
        reader.settle(&mut waiting, &progress).await?;
        if waiting.is_empty() && settled_ms.is_none() {
            settled_ms = u64::try_from(start.elapsed().as_millis()).ok();
        }
        let (mut found, may_change) =
            compare_with(&reader, sent, began, Scope::AllTables, &progress).await?;
        found.settled_ms = settled_ms;
        if found.is_clean() && !is_last {
            is_last = true;
            tokio::time::sleep(patience.again_after).await;
        } else if found.is_clean() || !may_change || reader.is_over() {
            return Ok(found);
        } else {
            reader.pause().await;
        }
    }
}

/// Compares once, without waiting for anything to settle.
pub async fn compare(
    pool: &Pool,
    sent: &[SentDelivery<'_>],
    began: DateTime<Utc>,
    scope: Scope,
) -> Result<Verification, StorageError> {
    let interrupted = AtomicBool::new(false);
    let reader = RetryingReader::new(pool, Instant::now(), &interrupted);
    let (found, _) = compare_with(&reader, sent, began, scope, &|_| {}).await?;
    Ok(found)
}

/// Compares everything once; returns also whether a valid delivery is not settled yet.
async fn compare_with(
    reader: &RetryingReader<'_>,
    sent: &[SentDelivery<'_>],
    began: DateTime<Utc>,
    scope: Scope,
    progress: &impl Fn(Step),
) -> Result<(Verification, bool), StorageError> {
    let mut findings = Findings::default();
    let mut effects = ExpectedRows::default();
    for (at, chunk) in sent.chunks(QUERIED_MAX).enumerate() {
        progress(Step::Comparing {
            done: at * QUERIED_MAX,
            of: sent.len(),
        });
        let ids: Vec<&str> = chunk.iter().map(|sent| sent.event_id).collect();
        let stored = reader.read(async |pool| stored_events(pool, &ids).await);
        let stored = stored.await?;
        let processed = findings.compare_ledger(chunk, &stored);
        let projection = effects.add(&processed);
        if scope == Scope::AllTables {
            compare_rows(reader, chunk, &ids, &mut findings).await?;
            let history = reader.read(async |pool| history_rows(pool, &ids).await);
            findings.compare_history(&projection, &history.await?);
        }
    }
    let since = began - CLOCK_SKEW_MAX;
    let duplicates = reader.read(async |pool| duplicate_bodies(pool, since).await);
    findings.compare_bodies(sent, &duplicates.await?);
    let mut row_counts: BTreeMap<_, _> = effects.history_counts().collect();
    for (table, rows) in effects.rows() {
        row_counts.insert(table.name(), rows.len());
        if scope == Scope::Ledger {
            continue;
        }
        for chunk in rows.chunks(QUERIED_MAX) {
            let kinds: Vec<&str> = chunk.iter().map(|row| row.entity_type.as_str()).collect();
            let ids: Vec<&str> = chunk.iter().map(|row| row.entity_id.as_str()).collect();
            let found = reader.read(async |pool| merged_rows(pool, table, &kinds, &ids).await);
            findings.compare_merged(table, chunk, &found.await?);
        }
    }
    let (mut found, may_change) = findings.finish();
    found.rows = row_counts;
    Ok((found, may_change))
}

/// Compares identities and audit rows of some deliveries.
async fn compare_rows(
    reader: &RetryingReader<'_>,
    sent: &[SentDelivery<'_>],
    ids: &[&str],
    findings: &mut Findings,
) -> Result<(), StorageError> {
    let digests: Vec<&[u8]> = sent.iter().map(|sent| &sent.digest[..]).collect();
    let known = reader.read(async |pool| identities(pool, ids, &digests).await);
    findings.compare_identities(sent, &known.await?);
    let duplicates = reader.read(async |pool| duplicate_changes(pool, ids).await);
    findings.compare_changes(&duplicates.await?);
    let bad = sent.iter().filter(|s| s.expected == Expected::Nothing);
    let bad: Vec<String> = bad.map(|sent| sent.event_id.to_owned()).collect();
    if !bad.is_empty() {
        let changes = reader.read(async |pool| ledger::changes(pool, &bad).await);
        findings.compare_refused(&changes.await?);
    }
    Ok(())
}

impl<'a> SentDelivery<'a> {
    /// A delivery with this id and body.
    #[must_use]
    pub fn new(event_id: &'a str, body: &'a [u8], expected: Expected) -> Self {
        Self {
            event_id,
            body,
            digest: body_sha256(body),
            expected,
        }
    }
}

impl Verification {
    /// Whether every promise holds.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }
}

impl From<VerificationFault> for String {
    fn from(fault: VerificationFault) -> Self {
        fault.sentence
    }
}
