//! Sends deliveries to a receiver and measures it; rates of the open model.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use harkara_load::{Corpus, FixedBitSet, LoadReport};

use crate::bench::Bench;
use crate::figures::{Figures, Latency, Other, Role, count, milliseconds, rate, whole};
use crate::generator::{self, Model, Traffic};
use crate::process::Pid;
use crate::report::table;
use crate::results::VariantResult;
use crate::usage::{THIS_PROCESS, Usage};

/// Maximum deliveries of one run; they take memory. A run that uses them up ends early.
const DELIVERIES_MAX: usize = 600_000;

/// A rate that no server here exceeds.
const RATE_MAX: usize = 110_000;

/// A rate counts as reached from this share of it on.
pub(crate) const REACHED: f64 = 0.98;

/// A rate of the open model as a variant.
#[derive(Clone, Copy)]
pub(crate) struct AtRate(pub(crate) f64);

impl fmt::Display for AtRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", table::figure(self.0))
    }
}

impl AtRate {
    /// The row, if its rate was reached and everything that was due was sent. Otherwise its latency is
    /// that of a lower rate.
    pub(crate) fn reached(self, row: &VariantResult) -> Option<&VariantResult> {
        let all_sent = |run: &Figures| run.other(Other::Unsent) == Some(0.0);
        let reached = row.median.rate_per_s >= REACHED * self.0 && row.runs.iter().all(all_sent);
        reached.then_some(row)
    }
}

/// A run in which every delivery that was sent was accepted.
pub(crate) struct Received {
    pub(crate) figures: Figures,
    corpus: Arc<Corpus>,
    warm_up: FixedBitSet,
    measured: FixedBitSet,
}

impl Received {
    /// How many deliveries were accepted, including those of the warm-up.
    pub(crate) fn n_accepted(&self) -> usize {
        self.warm_up.count_ones(..) + self.measured.count_ones(..)
    }

    /// The event ids of those deliveries.
    pub(crate) fn event_ids(&self) -> impl Iterator<Item = &str> {
        let positions = self.warm_up.ones().chain(self.measured.ones());
        positions.map(|at| self.corpus.delivery(at).event_id)
    }
}

/// Warms a receiver up and measures it with its processes. Errs if it refused a delivery or did not answer one.
pub(crate) async fn receive(
    bench: &Bench,
    address: SocketAddr,
    processes: &[(Role, Pid)],
    traffic: Traffic,
) -> Result<Received> {
    let model = traffic.model;
    let per_s = match model {
        Model::Closed => RATE_MAX,
        Model::Open { rate_per_s, .. } => whole(rate_per_s),
    };
    let wanted = |time: Duration| whole(count(per_s) * time.as_secs_f64()) + 1;
    let warm_up = bench.scale.warm_up;
    let n_warm_up = wanted(warm_up);
    let n_all = (n_warm_up + wanted(traffic.duration)).min(DELIVERIES_MAX);
    let corpus = bench.corpus(traffic.mix, n_all);
    // The warm-up is at the same rate: connections and buffers are then as they will be.
    let warm = generator::send(address, &corpus, 0..n_warm_up, model, warm_up).await?;
    ensure_all_accepted(&warm)?;
    let processes = [&[THIS_PROCESS], processes].concat();
    let usage = Usage::begin(&bench.postgres, &processes).await?;
    let sent = generator::send(address, &corpus, n_warm_up..n_all, model, traffic.duration).await?;
    let accepted = sent.accepted.count_ones(..);
    let mut figures = usage.end(accepted, rate(accepted, sent.elapsed)).await?;
    ensure_all_accepted(&sent)?;
    figures.latency = Latency::of(&sent.latency);
    if sent.exhausted {
        figures.others.insert(Other::EndedEarly, 1.0);
    }
    if let Model::Open { .. } = model {
        let late = milliseconds(sent.started_late.value_at_quantile(0.99));
        figures.others.extend([
            (Other::Unsent, count(sent.unsent)),
            (Other::GeneratorLateP99Ms, late),
        ]);
    }
    Ok(Received {
        figures,
        corpus,
        warm_up: warm.accepted,
        measured: sent.accepted,
    })
}

fn ensure_all_accepted(sent: &LoadReport) -> Result<()> {
    ensure!(
        sent.sent == sent.accepted.count_ones(..),
        "of {} deliveries {} were accepted; answers by status: {:?}, without an answer: {}, first {:?}",
        sent.sent,
        sent.accepted.count_ones(..),
        sent.statuses,
        sent.failed,
        sent.first_failure
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::AtRate;
    use crate::arguments::Part;
    use crate::figures::{Figures, Other};
    use crate::results::{Stage, VariantResult};

    fn row(rate_per_s: f64, unsent: [f64; 2]) -> VariantResult {
        let run = |unsent| Figures {
            rate_per_s,
            others: BTreeMap::from([(Other::Unsent, unsent)]),
            ..Figures::default()
        };
        let stage = Stage(Part::Ingress, "stage", 2);
        VariantResult::new(stage, "variant", unsent.map(run).to_vec())
    }

    #[test]
    fn a_rate_is_reached_where_nothing_was_left_unsent() {
        let rate = AtRate(1_000.0);
        assert!(rate.reached(&row(985.0, [0.0, 0.0])).is_some());
        assert!(rate.reached(&row(970.0, [0.0, 0.0])).is_none());
        assert!(rate.reached(&row(1_000.0, [0.0, 1.0])).is_none());
    }
}
