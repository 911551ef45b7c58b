//! The figures of a run, and the median of several runs.

use std::collections::BTreeMap;
use std::time::Duration;

use harkara_load::Histogram;
use serde::Serialize;

use crate::batch_times::Buckets;

/// A process whose cost is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    Generator,
    Ingress,
    Redis,
    Worker,
    Postgres,
}

/// The figures of one run, or the median of several.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Figures {
    /// Events of the run; 0 if nothing was delivered.
    pub(crate) events: f64,
    pub(crate) rate_per_s: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) latency: Option<Latency>,
    /// User and system time, if there were events.
    pub(crate) cpu_us_per_event: BTreeMap<Role, f64>,
    /// At the end of the run.
    pub(crate) resident_mib: BTreeMap<Role, f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) redis_bytes_per_event: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wal_bytes_per_event: Option<f64>,
    /// Figures that only some runs have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) others: BTreeMap<Other, f64>,
}

/// A figure that only some runs have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Other {
    /// How late the generator itself was in sending, 99th percentile.
    GeneratorLateP99Ms,
    /// Deliveries that were due and never sent.
    Unsent,
    /// Answers other than 2xx, and requests without an answer.
    NotAccepted,
    /// 1 if the run ended early because its deliveries were used up.
    EndedEarly,
    /// Largest number of entries in Redis.
    BacklogMax,
    /// Mean growth of the backlog per second, if there were enough samples.
    BacklogGrowthPerS,
    /// Resident memory of the worker at its start.
    WorkerResidentStartMib,
    /// Peak of the worker's resident memory.
    WorkerResidentPeakMib,
    /// From the start of the process until it was ready.
    StartMs,
    /// The same of an ingress, if a worker starts too.
    IngressStartMs,
    /// The same of a worker, if an ingress starts too.
    WorkerStartMs,
    /// CPU time that the ingress uses per second while nothing is delivered.
    IdleIngressCpuMsPerS,
    /// The same of Redis.
    IdleRedisCpuMsPerS,
    /// The same of the worker.
    IdleWorkerCpuMsPerS,
    /// The same of PostgreSQL.
    IdlePostgresCpuMsPerS,
    /// How long a command of operators takes.
    CommandMs,
    /// The longest of its steps.
    LongestStepMs,
    /// How many steps it takes.
    Steps,
}

/// Percentiles in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[expect(
    clippy::struct_field_names,
    reason = "readers of the JSON see no other unit"
)]
pub(crate) struct Latency {
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p999_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_ms: Option<f64>,
}

impl Latency {
    /// Of a histogram of nanoseconds; `None` if it is empty.
    pub(crate) fn of(histogram: &Histogram) -> Option<Self> {
        let at = |quantile| milliseconds(histogram.value_at_quantile(quantile));
        (!histogram.is_empty()).then(|| Self {
            p50_ms: at(0.5),
            p99_ms: at(0.99),
            p999_ms: Some(at(0.999)),
            max_ms: Some(milliseconds(histogram.max())),
        })
    }

    /// Of times in buckets, which show neither rare ones nor the longest; `None` if there are none.
    pub(crate) fn of_buckets(buckets: &Buckets) -> Option<Self> {
        let at = |part| buckets.quantile(part).map(|seconds| seconds * 1e3);
        Some(Self {
            p50_ms: at(0.5)?,
            p99_ms: at(0.99)?,
            p999_ms: None,
            max_ms: None,
        })
    }
}

/// A number as a figure.
#[expect(
    clippy::cast_precision_loss,
    reason = "a figure of a report needs no 53 bits"
)]
pub(crate) fn number(n: u64) -> f64 {
    n as f64
}

/// A count as a figure.
pub(crate) fn count(n: usize) -> f64 {
    number(n as u64)
}

/// Milliseconds from nanoseconds.
pub(crate) fn milliseconds(nanoseconds: u64) -> f64 {
    number(nanoseconds) / 1e6
}

/// Mebibytes from bytes.
pub(crate) fn mebibytes(n: u64) -> f64 {
    number(n) / (1024.0 * 1024.0)
}

/// A whole number of deliveries.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates and durations are positive, and a product of them that is no number of deliveries is refused"
)]
pub(crate) fn whole(deliveries: f64) -> usize {
    deliveries as usize
}

/// Events a second; 0 for no time.
pub(crate) fn rate(events: usize, elapsed: Duration) -> f64 {
    if elapsed.is_zero() {
        return 0.0;
    }
    count(events) / elapsed.as_secs_f64()
}

impl Figures {
    /// A figure that only some runs have.
    pub(crate) fn other(&self, other: Other) -> Option<f64> {
        self.others.get(&other).copied()
    }

    /// The CPU time of some processes together; `None` if one of them was not measured.
    pub(crate) fn cpu_us(&self, roles: &[Role]) -> Option<f64> {
        roles
            .iter()
            .map(|role| self.cpu_us_per_event.get(role))
            .sum()
    }

    /// Each figure's own median; a figure that some runs lack is the median of those that have it.
    pub(crate) fn median(runs: &[Self]) -> Self {
        let of = |figure: &dyn Fn(&Self) -> Option<f64>| {
            median(runs.iter().filter_map(figure).collect())
        };
        let latency =
            |figure: fn(&Latency) -> Option<f64>| of(&|run| figure(run.latency.as_ref()?));
        Self {
            events: of(&|run| Some(run.events)).unwrap_or_default(),
            rate_per_s: of(&|run| Some(run.rate_per_s)).unwrap_or_default(),
            latency: latency(|l| Some(l.p50_ms)).map(|p50_ms| Latency {
                p50_ms,
                p99_ms: latency(|l| Some(l.p99_ms)).unwrap_or_default(),
                p999_ms: latency(|l| l.p999_ms),
                max_ms: latency(|l| l.max_ms),
            }),
            cpu_us_per_event: medians(runs, |run| &run.cpu_us_per_event),
            resident_mib: medians(runs, |run| &run.resident_mib),
            redis_bytes_per_event: of(&|run| run.redis_bytes_per_event),
            wal_bytes_per_event: of(&|run| run.wal_bytes_per_event),
            others: medians(runs, |run| &run.others),
        }
    }
}

fn medians<K: Copy + Ord>(
    runs: &[Figures],
    map: impl Fn(&Figures) -> &BTreeMap<K, f64>,
) -> BTreeMap<K, f64> {
    let mut values: BTreeMap<K, Vec<f64>> = BTreeMap::new();
    for run in runs {
        for (key, value) in map(run) {
            values.entry(*key).or_default().push(*value);
        }
    }
    values
        .into_iter()
        .filter_map(|(key, values)| Some((key, median(values)?)))
        .collect()
}

/// The middle value, or the mean of the two in the middle; `None` of nothing.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let (lower, upper) = (values[last / 2], values[last.div_ceil(2)]);
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Figures, Latency, Role, median};

    #[test]
    fn a_median_is_the_middle_or_between_the_two_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), Some(2.5));
    }

    #[test]
    fn figures_are_medians_each_for_itself() {
        let run = |rate_per_s, p99_ms, redis| Figures {
            rate_per_s,
            latency: Some(Latency {
                p99_ms,
                ..Latency::default()
            }),
            cpu_us_per_event: BTreeMap::from([(Role::Redis, redis)]),
            ..Figures::default()
        };
        let figures =
            Figures::median(&[run(1.0, 9.0, 5.0), run(2.0, 8.0, 7.0), run(3.0, 7.0, 6.0)]);
        assert!((figures.rate_per_s - 2.0).abs() < 1e-9);
        assert!((figures.latency.unwrap().p99_ms - 8.0).abs() < 1e-9);
        assert_eq!(figures.cpu_us(&[Role::Redis]), Some(6.0));
        assert_eq!(figures.cpu_us(&[Role::Redis, Role::Worker]), None);
    }
}
