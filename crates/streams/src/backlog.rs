//! The backlog signal: looks at the lanes again and again, for `/backlog`, the gauges and `harkara lag`.

mod sample;

use std::collections::BTreeMap;
use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use harkara_core::backlog::{Backlog, LedgerSample, Sample, Samples};
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::connect::Pool;
use harkara_core::causes::with_causes;
use harkara_settings::WorkerSettings;
use sample::{Found, Streams};

/// Time between two looks: a sixth of the window of the rates. A look costs Redis about 0.1 ms.
pub const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Longest wait for the answers of one look.
const LOOK_WAIT: Duration = Duration::from_secs(3);

/// A look that is older than this is no longer the present: three were missed.
const FRESH_MAX: Duration = Duration::from_secs(15);

/// The names of what a look depends on, as faults tell them.
const REDIS: &str = "redis";
const POSTGRES: &str = "postgres";
const LOOKS: &str = "looks";

/// Asks the ledger; an error is told to people.
type AskLedger = Box<
    dyn Fn() -> Pin<Box<dyn Future<Output = Result<LedgerSample, String>> + Send>> + Send + Sync,
>;

/// Samples at the backlog of one partition.
pub struct Observer {
    streams: Streams,
    ask_ledger: AskLedger,
    samples: Samples,
    looked_at: Option<Instant>,
}

/// The backlog as the last look found it, and what could not be asked.
#[derive(Clone, Debug)]
pub struct Report {
    /// The last that is known; `None` before the first look that Redis answered.
    pub backlog: Option<Backlog>,
    looked_at: Option<Instant>,
    faults: BTreeMap<&'static str, String>,
}

/// A report for programs.
#[derive(Debug, Serialize)]
pub struct ToldReport<'a> {
    /// Whether everything could be asked, and just now. Where it is false a figure may be missing or old.
    complete: bool,
    /// What could not be asked, and why.
    faults: BTreeMap<&'static str, String>,
    /// How many seconds ago the streams were looked at.
    looked_ago_s: Option<f64>,
    #[serde(flatten)]
    backlog: Option<&'a Backlog>,
}

/// The latest report. Cheap to clone; all clones show the same.
#[derive(Clone, Debug, Default)]
pub struct Latest(Arc<Mutex<Report>>);

impl Observer {
    /// An observer of the streams of a partition, and of a ledger by whatever asks it. How long a live consumer
    /// may be quiet follows from the settings of workers.
    pub fn new<F, E>(
        redis: Pool,
        partition: u16,
        worker: &WorkerSettings,
        ask_ledger: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<LedgerSample, E>> + Send + 'static,
        E: Error + 'static,
    {
        Self {
            streams: Streams::new(redis, partition, worker.quiet_max()),
            ask_ledger: Box::new(move || {
                let asked = ask_ledger();
                Box::pin(async move { asked.await.map_err(|error| with_causes(&error)) })
            }),
            samples: Samples::default(),
            looked_at: None,
        }
    }

    /// Samples once, within a few seconds. Rates are those since the looks before.
    pub async fn look(&mut self) -> Report {
        let mut faults = BTreeMap::new();
        let (streams, ledger) = tokio::join!(
            timeout(LOOK_WAIT, self.streams.look()),
            timeout(LOOK_WAIT, (self.ask_ledger)()),
        );
        let too_late = || format!("no answer within {} s", LOOK_WAIT.as_secs());
        let ledger = ledger
            .unwrap_or_else(|_| Err(too_late()))
            .inspect_err(|error| drop(faults.insert(POSTGRES, error.clone())));
        let streams = streams.map_or_else(
            |_| Err(too_late()),
            |streams| streams.map_err(|error| with_causes(&error)),
        );
        match streams {
            Ok(Found {
                at_micros,
                consumers,
                streams,
            }) => {
                self.samples.add(Sample {
                    at_micros,
                    streams,
                    consumers,
                    ledger: ledger.ok(),
                });
                self.looked_at = Some(Instant::now());
            }
            Err(error) => {
                faults.insert(REDIS, error);
            }
        }
        Report {
            backlog: self.samples.backlog(),
            looked_at: self.looked_at,
            faults,
        }
    }

    /// Samples every [`LOOK_EVERY`] and shows what it finds. Ends only by being dropped.
    pub async fn watch(mut self, latest: Latest) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut was_complete = true;
        loop {
            ticks.tick().await;
            let report = self.look().await;
            if was_complete && !report.faults.is_empty() {
                tracing::warn!(faults = ?report.faults, "The backlog is not known; /backlog answers 503 meanwhile.");
            }
            was_complete = report.faults.is_empty();
            latest.show(report);
        }
    }
}

impl Report {
    /// Whether everything could be asked, and just now.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.faults().is_empty()
    }

    /// What could not be asked, and why.
    #[must_use]
    pub fn faults(&self) -> BTreeMap<&'static str, String> {
        let mut faults = self.faults.clone();
        let stale = self.looked_at.is_some_and(|at| at.elapsed() > FRESH_MAX);
        if stale && !faults.contains_key(REDIS) {
            let told = format!("none for more than {} s", FRESH_MAX.as_secs());
            faults.insert(LOOKS, told);
        }
        faults
    }

    /// The report for programs.
    #[must_use]
    pub fn told(&self) -> ToldReport<'_> {
        let faults = self.faults();
        ToldReport {
            complete: faults.is_empty(),
            faults,
            looked_ago_s: self
                .looked_at
                .map(|at| (at.elapsed().as_secs_f64() * 1000.0).round() / 1000.0),
            backlog: self.backlog.as_ref(),
        }
    }

    /// What the streams hold just now; `None` where that is not known.
    #[must_use]
    pub fn present(&self) -> Option<&Backlog> {
        let faults = self.faults();
        let known = !faults.contains_key(REDIS) && !faults.contains_key(LOOKS);
        self.backlog.as_ref().filter(|_| known)
    }
}

impl Default for Report {
    fn default() -> Self {
        Self {
            backlog: None,
            looked_at: None,
            faults: [(LOOKS, "none yet".to_owned())].into(),
        }
    }
}

impl Latest {
    /// Replaces the latest report.
    pub fn show(&self, report: Report) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = report;
    }

    /// The latest report.
    #[must_use]
    pub fn report(&self) -> Report {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[cfg(test)]
mod tests;
