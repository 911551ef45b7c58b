//! How much is measured.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::arguments::{Arguments, Part};
use crate::bench::PREPARED_MAX;
use crate::figures::whole;

/// Rounds, durations and numbers of events.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Scale {
    pub(crate) quick: bool,
    pub(crate) long: bool,
    pub(crate) rounds_ingress: u32,
    pub(crate) rounds_others: u32,
    /// One run of the generator at full speed.
    pub(crate) closed: Duration,
    /// One run at a fixed rate.
    pub(crate) open: Duration,
    /// One run from end to end.
    pub(crate) e2e: Duration,
    pub(crate) e2e_rates: Vec<f64>,
    /// How long idle processes are measured.
    pub(crate) idle: Duration,
    /// Before the measured part of a run.
    pub(crate) warm_up: Duration,
    /// Events of one run of the worker.
    pub(crate) worker_events: usize,
    /// Rows of the ledger that operators' commands read.
    pub(crate) ledger_rows: u64,
    /// Jobs of one run of the peer's worker.
    pub(crate) peer_jobs: usize,
    pub(crate) filter: Option<String>,
    pub(crate) shared_servers: bool,
}

impl Scale {
    /// The scale that the arguments ask for. Errs if a run would need more deliveries than can be prepared.
    pub(crate) fn of(arguments: &Arguments) -> Result<Self> {
        let closed = Duration::from_secs_f64(arguments.seconds);
        let mut scale = Self {
            quick: arguments.quick,
            long: arguments.long,
            rounds_ingress: arguments.rounds.unwrap_or(5),
            rounds_others: arguments.rounds.unwrap_or(3),
            closed,
            open: closed * 2,
            e2e: closed * 4,
            e2e_rates: arguments.e2e_rates.clone(),
            idle: closed,
            warm_up: Duration::from_secs(1),
            worker_events: arguments.events.unwrap_or(200_000),
            ledger_rows: arguments.rows,
            peer_jobs: 20_000,
            filter: arguments.filter.clone(),
            shared_servers: arguments.shared_servers,
        };
        if arguments.quick {
            scale = Self {
                rounds_ingress: arguments.rounds.unwrap_or(1),
                rounds_others: arguments.rounds.unwrap_or(1),
                closed: Duration::from_millis(500),
                open: Duration::from_millis(500),
                e2e: Duration::from_secs(3),
                e2e_rates: vec![500.0],
                idle: Duration::from_secs(1),
                warm_up: Duration::from_millis(50),
                worker_events: arguments.events.unwrap_or(5_000),
                ledger_rows: 5_000,
                peer_jobs: 500,
                ..scale
            };
        }
        if arguments.part.covers(Part::E2e) {
            for rate_per_s in &scale.e2e_rates {
                let seconds = scale.e2e.as_secs_f64();
                let deliveries = whole(rate_per_s * seconds);
                ensure!(
                    (1..=PREPARED_MAX).contains(&deliveries),
                    "a run from end to end takes four times --seconds, and {rate_per_s} deliveries a second \
                     are {deliveries} in its {seconds} s; from 1 to {PREPARED_MAX} can be prepared"
                );
            }
        }
        Ok(scale)
    }

    /// Whether to measure a variant.
    pub(crate) fn includes(&self, variant: &str) -> bool {
        let filter = self.filter.as_deref();
        filter.is_none_or(|filter| variant.contains(filter))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::Scale;
    use crate::arguments::Arguments;

    #[test]
    fn a_run_from_end_to_end_of_more_deliveries_than_can_be_prepared_is_refused() {
        let is_valid = |words: &[&str]| {
            let arguments = Arguments::try_parse_from([&["harkara-bench"], words].concat());
            Scale::of(&arguments.unwrap()).is_ok()
        };
        assert!(is_valid(&["e2e"]));
        assert!(!is_valid(&["e2e", "--seconds", "60"]));
        assert!(!is_valid(&["all", "--e2e-rates", "1000,1000000"]));
        // Other parts do not mind.
        assert!(is_valid(&["ingress", "--seconds", "60"]));
    }
}
