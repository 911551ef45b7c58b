//! Accepted = stored, nothing twice: what was accepted is in the ledger, byte for byte, and nothing
//! else is; the other tables have the rows that follow from it; nothing is left in Redis. Where only
//! the ingress ran, what was accepted is in the streams, and nothing else is.

mod projections;

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::pin::pin;

use anyhow::{Context, Result};
use futures_util::TryStreamExt;
use harkara_core::delivery::body_sha256;
use harkara_load::{Corpus, LoadReport};
use serde::Serialize;

use crate::servers::postgres::Database;
use crate::servers::redis::Redis;

use projections::Rows;
pub(crate) use projections::Tables;

/// What came of an audit.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Audit {
    /// The run whose end it was.
    pub(crate) run: String,
    pub(crate) accepted: usize,
    /// Rows of the ledger, or entries of the streams where only the ingress ran.
    pub(crate) stored: usize,
    /// Empty where all is well.
    pub(crate) faults: Vec<String>,
}

/// What must be stored, and what may be.
#[derive(Default)]
pub(crate) struct Expected {
    /// Digests of bodies by event id.
    accepted: HashMap<String, [u8; 32]>,
    /// What follows from them in the other tables.
    rows: Rows,
    /// Deliveries whose outcome nobody knows: stored or not, both is right.
    unknown: HashMap<String, Unknown>,
}

struct Unknown {
    digest: [u8; 32],
    rows: Rows,
}

impl Expected {
    /// Everything of a range was accepted.
    pub(crate) fn all(corpus: &Corpus, range: Range<usize>) -> Result<Self> {
        let mut expected = Self::default();
        expected.add(corpus, range)?;
        Ok(expected)
    }

    /// These were accepted.
    pub(crate) fn add(
        &mut self,
        corpus: &Corpus,
        accepted: impl Iterator<Item = usize> + Clone,
    ) -> Result<()> {
        self.rows.add(corpus, accepted.clone())?;
        self.accepted
            .extend(accepted.map(|at| identity(corpus, at)));
        Ok(())
    }

    /// What the generator saw accepted.
    pub(crate) fn add_sent(&mut self, corpus: &Corpus, report: &LoadReport) -> Result<()> {
        let accepted: Vec<usize> = report.accepted.ones().collect();
        self.add(corpus, accepted.into_iter())?;
        for at in report.unknown.ones() {
            let (event_id, digest) = identity(corpus, at);
            let mut rows = Rows::default();
            rows.add(corpus, std::iter::once(at))?;
            self.unknown.insert(event_id, Unknown { digest, rows });
        }
        Ok(())
    }
}

fn identity(corpus: &Corpus, at: usize) -> (String, [u8; 32]) {
    let delivery = corpus.delivery(at);
    (delivery.event_id.to_owned(), body_sha256(delivery.body))
}

/// Compares the stores with what was accepted, once nothing is in flight any more.
pub(crate) async fn audit(
    run: &str,
    database: &Database,
    redis: &Redis,
    tables: Tables,
    expected: Expected,
) -> Result<Audit> {
    let accepted = expected.accepted.len();
    let mut ledger = Compared::new(expected);
    read_ledger(database, &mut ledger).await?;
    let mut faults = ledger.faults();
    faults.extend(ledger.expected.rows.faults(database, tables).await?);
    let mut must_be_none = |what: &str, n: i64| {
        if n != 0 {
            faults.push(format!("{what}: {n}"));
        }
    };
    for (what, sql) in [
        (
            "deliveries counted as duplicates",
            "SELECT coalesce(sum(duplicates), 0)::bigint FROM webhook_events",
        ),
        (
            "rows that are not processed",
            "SELECT count(*) FROM webhook_events WHERE status <> 'processed' OR NOT processed",
        ),
    ] {
        must_be_none(what, database.number(sql).await?);
    }
    let left = i64::try_from(redis.n_entries().await?)?;
    must_be_none("entries left in the streams", left);
    let pending = i64::try_from(redis.n_pending().await?)?;
    must_be_none("pending entries", pending);
    Ok(Audit {
        run: run.to_owned(),
        accepted,
        stored: ledger.stored,
        faults,
    })
}

/// Compares the entries in the streams with the ids of what was accepted.
pub(crate) async fn audit_streams<'a>(
    run: &str,
    redis: &Redis,
    accepted: impl Iterator<Item = &'a str>,
) -> Result<Audit> {
    let mut missing: HashSet<&str> = accepted.collect();
    let accepted = missing.len();
    let (mut stored, mut not_accepted) = (0, 0);
    redis
        .event_ids(|event_id| {
            stored += 1;
            // Each id is met once, so a second entry of one is one too many.
            if !missing.remove(event_id.as_str()) {
                not_accepted += 1;
            }
        })
        .await?;
    Ok(Audit {
        run: run.to_owned(),
        accepted,
        stored,
        faults: told([
            ("accepted and in no stream", missing.len()),
            ("in a stream and not accepted, or twice", not_accepted),
        ]),
    })
}

/// What there is of each fault.
fn told<const N: usize>(faults: [(&str, usize); N]) -> Vec<String> {
    faults
        .into_iter()
        .filter(|(_, n)| *n > 0)
        .map(|(what, n)| format!("{what}: {n}"))
        .collect()
}

async fn read_ledger(database: &Database, ledger: &mut Compared) -> Result<()> {
    const SQL: &str =
        "SELECT razorpay_event_id, body_sha256, sha256(body) = body_sha256 FROM webhook_events";
    let none: [&str; 0] = [];
    let rows = database
        .client
        .query_raw(SQL, none)
        .await
        .context("the ledger cannot be read")?;
    let mut rows = pin!(rows);
    while let Some(row) = rows.try_next().await.context("the ledger cannot be read")? {
        ledger.row(row.get(0), row.get(1), row.get(2));
    }
    Ok(())
}

/// The ledger against what was expected of it.
struct Compared {
    expected: Expected,
    stored: usize,
    not_accepted: usize,
    other_body: usize,
}

impl Compared {
    fn new(expected: Expected) -> Self {
        Self {
            expected,
            stored: 0,
            not_accepted: 0,
            other_body: 0,
        }
    }

    /// Takes a row. Each expectation is met once, so a second row of one event is one too many.
    fn row(&mut self, event_id: &str, digest: &[u8], body_has_digest: bool) {
        self.stored += 1;
        let expected = &mut self.expected;
        let met = expected.accepted.remove(event_id).or_else(|| {
            let Unknown { digest, rows } = expected.unknown.remove(event_id)?;
            expected.rows.extend(rows);
            Some(digest)
        });
        match met {
            None => self.not_accepted += 1,
            Some(body) if body != digest || !body_has_digest => self.other_body += 1,
            Some(_) => {}
        }
    }

    fn faults(&self) -> Vec<String> {
        told([
            ("accepted and not stored", self.expected.accepted.len()),
            ("stored and not accepted, or twice", self.not_accepted),
            ("stored with another body", self.other_body),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::{Compared, Expected, Rows, Unknown};

    fn expected() -> Compared {
        let mut expected = Expected::default();
        expected.accepted.insert("one".to_owned(), [1; 32]);
        expected.accepted.insert("two".to_owned(), [2; 32]);
        let maybe = Unknown {
            digest: [3; 32],
            rows: Rows::default(),
        };
        expected.unknown.insert("maybe".to_owned(), maybe);
        Compared::new(expected)
    }

    #[test]
    fn accepted_and_stored_once_is_clean_whatever_became_of_the_unknown() {
        for with_unknown in [false, true] {
            let mut ledger = expected();
            ledger.row("one", &[1; 32], true);
            ledger.row("two", &[2; 32], true);
            if with_unknown {
                ledger.row("maybe", &[3; 32], true);
            }
            assert!(ledger.faults().is_empty());
        }
    }

    #[test]
    fn whatever_differs_is_a_fault() {
        let lost = expected();
        assert_eq!(lost.faults(), ["accepted and not stored: 2"]);

        let mut twice = expected();
        twice.row("one", &[1; 32], true);
        twice.row("one", &[1; 32], true);
        twice.row("two", &[9; 32], true);
        assert_eq!(
            twice.faults(),
            [
                "stored and not accepted, or twice: 1",
                "stored with another body: 1"
            ]
        );

        let mut altered = expected();
        altered.row("one", &[1; 32], false);
        altered.row("two", &[2; 32], true);
        assert_eq!(altered.faults(), ["stored with another body: 1"]);
    }
}
