//! The audit of a run: what was accepted is in the ledger as it was sent, had its effects once, and what was
//! badly signed left nothing. Asks only for what the run sent, so the database may hold anything else.

mod effects;

mod findings;

mod reading;

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use chrono::DateTime;
use harkara_core::delivery::body_sha256;
use harkara_core::time::ReceivedAt;
use harkara_load::{Corpus, Fate};
use harkara_storage::{Pool, StorageError, ledger, verification};
use serde::Serialize;

use super::progress::Progress;
use effects::Effects;
use findings::{Findings, Sent};
use reading::Reading;

/// Deliveries that are asked for in one question.
const ASKED_AT_ONCE_MAX: usize = 1_000;

/// Time between two looks at what is not processed yet.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How far the ingress's clock may be behind this machine's.
const CLOCKS_APART_MAX: Duration = Duration::from_hours(1);

/// What was sent.
pub(super) struct Run<'a> {
    pub(super) corpus: &'a Corpus,
    /// Of each delivery of the corpus.
    pub(super) fates: &'a [Fate],
    pub(super) began: ReceivedAt,
}

/// What came of an audit.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Audit {
    /// Ledger rows of what was validly signed.
    pub(super) stored: usize,
    /// In the ledger, and not processed.
    pub(super) unprocessed: usize,
    /// Accepted, and not in the ledger.
    pub(super) lost: usize,
    /// In the ledger with other bytes.
    pub(super) altered: usize,
    /// Stored twice, or with effects that are not those of each event once.
    pub(super) doubled: usize,
    /// Badly signed, and in the ledger.
    pub(super) refused_stored: usize,
    /// From the last answer until all that was accepted was processed.
    pub(super) settled_ms: Option<u64>,
    /// Ledger rows by how durable each was when it was answered.
    pub(super) durability: BTreeMap<String, usize>,
    /// The first faults, each a sentence.
    pub(super) faults: Vec<String>,
}

impl Audit {
    pub(super) fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }
}

/// Waits until all that was accepted is processed, at most `settle`, and compares.
///
/// What was sent and got no answer may still be on its way; while there is such, a fault is looked at
/// again until `settle` is over. What is found clean is compared once more after `again_after`.
pub(super) async fn audit(
    pool: &Pool,
    run: &Run<'_>,
    settle: Duration,
    again_after: Duration,
    progress: &Progress,
) -> Result<Audit, StorageError> {
    let began = Instant::now();
    let reading = Reading::new(pool, began + settle + again_after);
    let mut is_again = again_after.is_zero();
    let sent: Vec<Sent<'_>> = run.sent().collect();
    let mut waiting: Vec<&str> = sent
        .iter()
        .filter(|sent| sent.accepted)
        .map(|sent| sent.event_id)
        .collect();
    let mut settled_ms = None;
    loop {
        reading.settle(&mut waiting, progress).await?;
        if waiting.is_empty() && settled_ms.is_none() {
            settled_ms = u64::try_from(began.elapsed().as_millis()).ok();
        }
        let (findings, may_change) = compare(&reading, run, &sent, progress).await?;
        let audit = findings.told(settled_ms);
        if audit.is_clean() && !is_again {
            is_again = true;
            tokio::time::sleep(again_after).await;
            continue;
        }
        if audit.is_clean() || !may_change || reading.is_over() {
            return Ok(audit);
        }
        reading.pause().await;
    }
}

/// Compares everything once; tells also whether something that was sent is not settled yet.
async fn compare(
    reading: &Reading<'_>,
    run: &Run<'_>,
    sent: &[Sent<'_>],
    progress: &Progress,
) -> Result<(Findings, bool), StorageError> {
    let mut findings = Findings::default();
    let mut effects = Effects::default();
    let mut may_change = false;
    let pool = reading.pool;
    for (at, chunk) in sent.chunks(ASKED_AT_ONCE_MAX).enumerate() {
        progress.auditing(at * ASKED_AT_ONCE_MAX, sent.len());
        let ids: Vec<&str> = chunk.iter().map(|sent| sent.event_id).collect();
        let digests: Vec<&[u8]> = chunk.iter().map(|sent| &sent.digest[..]).collect();
        let stored = reading
            .read(async || verification::stored_events(pool, &ids).await)
            .await?;
        let identities = reading
            .read(async || verification::identities(pool, &ids, &digests).await)
            .await?;
        let repeated = reading
            .read(async || verification::duplicate_changes(pool, &ids).await)
            .await?;
        let history = reading
            .read(async || verification::history_rows(pool, &ids).await)
            .await?;
        let processed = findings.compare_ledger(chunk, &stored);
        let settled: HashSet<&str> = stored
            .iter()
            .filter(|row| row.status != ledger::EventStatus::Pending)
            .map(|row| row.event_id.as_str())
            .collect();
        may_change |= chunk
            .iter()
            .any(|sent| !sent.bad && !settled.contains(sent.event_id));
        findings.compare_identities(chunk, &identities);
        let bad: Vec<String> = chunk
            .iter()
            .filter(|sent| sent.bad)
            .map(|sent| sent.event_id.to_owned())
            .collect();
        if !bad.is_empty() {
            let changes = reading
                .read(async || ledger::changes(pool, &bad).await)
                .await?;
            findings.compare_refused(&changes);
        }
        findings.compare_changes(&repeated);
        let projection = effects.add(run.corpus, &processed);
        findings.compare_history(&projection, &history);
    }
    let since = DateTime::from_timestamp_millis(run.began.millis())
        .expect("the clock's times lie between 1970 and 2100")
        - CLOCKS_APART_MAX;
    let repeated = reading
        .read(async || verification::duplicate_bodies(pool, since).await)
        .await?;
    findings.compare_bodies(sent, &repeated);
    for expected in effects.rows() {
        for chunk in expected.rows.chunks(ASKED_AT_ONCE_MAX) {
            let kinds: Vec<&str> = chunk.iter().map(|row| row.entity_type.as_str()).collect();
            let ids: Vec<&str> = chunk.iter().map(|row| row.entity_id.as_str()).collect();
            let found = reading
                .read(async || verification::merged_rows(pool, expected.table, &kinds, &ids).await)
                .await?;
            findings.compare_merged(expected.table, chunk, &found);
        }
    }
    Ok((findings, may_change))
}

impl Run<'_> {
    /// What was sent, with what is to be found of it.
    fn sent(&self) -> impl Iterator<Item = Sent<'_>> {
        let sent = self.fates.iter().enumerate().filter(|(_, fate)| fate.sent);
        sent.map(|(at, fate)| {
            let delivery = self.corpus.delivery(at);
            Sent {
                at,
                event_id: delivery.event_id,
                digest: body_sha256(delivery.body),
                accepted: fate.accepted && !fate.bad,
                bad: fate.bad,
            }
        })
    }
}
