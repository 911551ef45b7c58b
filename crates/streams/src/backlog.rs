//! Samples the backlog for `/backlog`, the gauges and `harkara lag`.

mod sample;

use std::collections::BTreeMap;
use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use harkara_core::backlog::{Backlog, LedgerSample, Sample, Samples};
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::deployment::Deployment;
use crate::pool::Pool;
use harkara_core::causes::with_causes;
use harkara_settings::{Settings, WorkerSettings};
use harkara_storage::ledger::{DUE_COUNTED_MAX, due_backlog};
use sample::Streams;

/// Time between two samples: a sixth of the window of the rates. A sample costs Redis about 0.1 ms.
pub const SAMPLE_INTERVAL: Duration = Duration::from_secs(5);

/// Longest wait for one sample.
const SAMPLE_TIMEOUT: Duration = Duration::from_secs(3);

/// An older sample is stale: three were missed.
const FRESH_MAX: Duration = Duration::from_secs(15);

/// What a sample depends on, as keys of a report's faults: the servers, streams of this deployment, and samples at
/// all.
const REDIS: &str = "redis";
const POSTGRES: &str = "postgres";
const DEPLOYMENT: &str = "deployment";
const SAMPLES: &str = "looks";

/// Samples the ledger; an error is text for people.
type SampleLedger = Box<
    dyn Fn() -> Pin<Box<dyn Future<Output = Result<LedgerSample, String>> + Send>> + Send + Sync,
>;

/// Samples the backlog of one deployment.
pub struct Observer {
    streams: Streams,
    sample_ledger: SampleLedger,
    samples: Samples,
    sampled_at: Option<Instant>,
}

/// The latest known backlog, and which dependencies did not answer.
#[derive(Clone, Debug)]
pub struct Report {
    /// The latest known; `None` before the first sample that Redis answered.
    pub backlog: Option<Backlog>,
    sampled_at: Option<Instant>,
    faults: BTreeMap<&'static str, String>,
}

/// A report as JSON.
#[derive(Debug, Serialize)]
pub struct ReportJson<'a> {
    /// Whether every dependency answered the latest sample, and recently. If not, values may be missing or old.
    complete: bool,
    /// The dependencies that did not answer, and why.
    faults: BTreeMap<&'static str, String>,
    /// Seconds since the streams were sampled.
    looked_ago_s: Option<f64>,
    #[serde(flatten)]
    backlog: Option<&'a Backlog>,
}

/// The latest report. All clones share it.
#[derive(Clone, Debug, Default)]
pub struct Latest(Arc<Mutex<Report>>);

impl Observer {
    /// Observes the streams and the ledger of a deployment with these settings, over these pools. Identifies its
    /// ledger, if it is not known.
    #[must_use]
    pub fn of(
        settings: &Settings,
        deployment: Deployment,
        redis: Pool,
        database: harkara_storage::Pool,
    ) -> Self {
        let identified = deployment.clone();
        let due = move || {
            let (database, deployment) = (database.clone(), identified.clone());
            async move {
                deployment.identify(&database).await?;
                due_backlog(&database, DUE_COUNTED_MAX).await
            }
        };
        Self::new(redis, deployment, &settings.worker, due)
    }

    /// Observes the streams of a deployment, and the ledger through `sample_ledger`. The settings of workers
    /// say how long a live consumer may be quiet.
    pub fn new<F, E>(
        redis: Pool,
        deployment: Deployment,
        worker: &WorkerSettings,
        sample_ledger: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<LedgerSample, E>> + Send + 'static,
        E: Error + 'static,
    {
        Self {
            streams: Streams::new(redis, deployment, worker.quiet_max()),
            sample_ledger: Box::new(move || {
                let sample = sample_ledger();
                Box::pin(async move { sample.await.map_err(|error| with_causes(&error)) })
            }),
            samples: Samples::default(),
            sampled_at: None,
        }
    }

    /// Takes one sample, within a few seconds. Rates are computed from the previous samples.
    pub async fn sample(&mut self) -> Report {
        let (streams, ledger) = tokio::join!(
            timeout(SAMPLE_TIMEOUT, self.streams.sample()),
            timeout(SAMPLE_TIMEOUT, (self.sample_ledger)()),
        );
        let timed_out = || format!("no answer within {} s", SAMPLE_TIMEOUT.as_secs());
        let ledger = ledger.unwrap_or_else(|_| Err(timed_out()));
        let streams = match streams {
            Ok(sample) => sample.map_err(|error| with_causes(&error)),
            Err(_) => Err(timed_out()),
        };

        let mut faults = BTreeMap::new();
        let ledger = ledger.map_err(|error| faults.insert(POSTGRES, error)).ok();
        match streams {
            // By now the ledger is identified, if it can be.
            Ok((sample, mark)) => match self.streams.deployment.judge(mark) {
                Ok(()) => {
                    self.samples.add(Sample { ledger, ..sample });
                    self.sampled_at = Some(Instant::now());
                }
                Err(foreign) => {
                    faults.insert(DEPLOYMENT, foreign.to_string());
                }
            },
            Err(error) => {
                faults.insert(REDIS, error);
            }
        }
        Report {
            backlog: self.samples.backlog(),
            sampled_at: self.sampled_at,
            faults,
        }
    }

    /// Samples every [`SAMPLE_INTERVAL`] and publishes the reports. Runs until dropped.
    pub async fn watch(mut self, latest: Latest) {
        let mut ticks = interval(SAMPLE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut was_complete = true;
        loop {
            ticks.tick().await;
            let report = self.sample().await;
            if was_complete && !report.faults.is_empty() {
                tracing::warn!(faults = ?report.faults, "Backlog unknown; /backlog answers 503.");
            }
            was_complete = report.faults.is_empty();
            latest.publish(report);
        }
    }
}

impl Report {
    /// Whether every dependency answered the latest sample, and recently.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.faults().is_empty()
    }

    /// The dependencies that did not answer, and why.
    #[must_use]
    pub fn faults(&self) -> BTreeMap<&'static str, String> {
        let mut faults = self.faults.clone();
        let is_stale = self.sampled_at.is_some_and(|at| at.elapsed() > FRESH_MAX);
        if is_stale && !faults.contains_key(REDIS) {
            let stale = format!("none for more than {} s", FRESH_MAX.as_secs());
            faults.insert(SAMPLES, stale);
        }
        faults
    }

    /// The report as JSON.
    #[must_use]
    pub fn json(&self) -> ReportJson<'_> {
        let faults = self.faults();
        let seconds = |at: Instant| (at.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        ReportJson {
            complete: faults.is_empty(),
            faults,
            looked_ago_s: self.sampled_at.map(seconds),
            backlog: self.backlog.as_ref(),
        }
    }

    /// The backlog if the streams were sampled recently.
    #[must_use]
    pub fn present(&self) -> Option<&Backlog> {
        let faults = self.faults();
        let is_known = ![REDIS, DEPLOYMENT, SAMPLES]
            .iter()
            .any(|fault| faults.contains_key(fault));
        self.backlog.as_ref().filter(|_| is_known)
    }
}

impl Default for Report {
    fn default() -> Self {
        Self {
            backlog: None,
            sampled_at: None,
            faults: [(SAMPLES, "none yet".to_owned())].into(),
        }
    }
}

impl Latest {
    /// Replaces the latest report.
    pub fn publish(&self, report: Report) {
        *self.lock() = report;
    }

    /// The latest report.
    #[must_use]
    pub fn report(&self) -> Report {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Report> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
