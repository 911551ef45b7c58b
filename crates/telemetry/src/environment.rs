//! What the standard `OTEL_*` variables say.

mod target;

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::sampling::Sampling;
use target::Signal;

pub(crate) use target::{Protocol, Target};

/// Spans that may wait for the collector, where `OTEL_BSP_MAX_QUEUE_SIZE` says nothing (the standard's
/// default).
const QUEUE_SPANS: usize = 2048;

/// Most spans sent at once, where `OTEL_BSP_MAX_EXPORT_BATCH_SIZE` says nothing (the standard's default).
const BATCH_SPANS: usize = 512;

/// How long spans may wait for others to be sent with, where `OTEL_BSP_SCHEDULE_DELAY` says nothing. The
/// standard's five seconds are long for somebody who waits for a trace.
const GATHER: Duration = Duration::from_secs(1);

/// Time between two exports of metrics, where `OTEL_METRIC_EXPORT_INTERVAL` says nothing (the standard's
/// default).
const METRICS_EVERY: Duration = Duration::from_mins(1);

/// Gives the value of an environment variable, `None` where it is not set.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The same, where a value that is blank is none.
type Of<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Where spans go and which are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Environment {
    pub(crate) target: Target,
    pub(crate) sampling: Sampling,
    pub(crate) queue_spans: NonZeroUsize,
    pub(crate) batch_spans: NonZeroUsize,
    pub(crate) gather: Duration,
}

/// Where metrics go and how often.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricsEnvironment {
    pub(crate) target: Target,
    pub(crate) every: Duration,
}

/// A variable that cannot be followed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} is {value:?}; expected {expected}")]
pub struct InvalidVariable {
    name: String,
    value: String,
    expected: &'static str,
}

impl Environment {
    /// What the variables say; `None` where nothing is to be exported: no endpoint is named, or
    /// `OTEL_SDK_DISABLED` or `OTEL_TRACES_EXPORTER` say so.
    ///
    /// # Errors
    ///
    /// Where a variable has a value that means nothing here.
    pub fn read(variables: Variables<'_>) -> Result<Option<Self>, InvalidVariable> {
        let of = |name: &str| not_blank(variables, name);
        let Some(target) = Target::read(&of, Signal::Traces)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            target,
            sampling: sampling(&of)?,
            queue_spans: count(&of, "OTEL_BSP_MAX_QUEUE_SIZE", QUEUE_SPANS)?,
            batch_spans: count(&of, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", BATCH_SPANS)?,
            gather: match of("OTEL_BSP_SCHEDULE_DELAY") {
                Some(value) => milliseconds("OTEL_BSP_SCHEDULE_DELAY".to_owned(), value)?,
                None => GATHER,
            },
        }))
    }
}

impl MetricsEnvironment {
    /// What the variables say; `None` where no metrics are to be exported: no endpoint is named, or
    /// `OTEL_SDK_DISABLED` or `OTEL_METRICS_EXPORTER` say so.
    ///
    /// # Errors
    ///
    /// Where a variable has a value that means nothing here.
    pub fn read(variables: Variables<'_>) -> Result<Option<Self>, InvalidVariable> {
        let of = |name: &str| not_blank(variables, name);
        let Some(target) = Target::read(&of, Signal::Metrics)? else {
            return Ok(None);
        };
        let name = "OTEL_METRIC_EXPORT_INTERVAL";
        let every = match of(name) {
            Some(value) => milliseconds(name.to_owned(), value)?,
            None => METRICS_EVERY,
        };
        if every.is_zero() {
            return Err(invalid(name, "0", "a number of milliseconds from 1 on"));
        }
        Ok(Some(Self { target, every }))
    }
}

fn not_blank(variables: Variables<'_>, name: &str) -> Option<String> {
    variables(name).filter(|value| !value.trim().is_empty())
}

fn sampling(of: Of<'_>) -> Result<Sampling, InvalidVariable> {
    let ratio = || {
        let name = "OTEL_TRACES_SAMPLER_ARG";
        let Some(value) = of(name) else {
            return Ok(1.0);
        };
        let ratio = value.trim().parse::<f64>().ok();
        ratio
            .filter(|ratio| (0.0..=1.0).contains(ratio))
            .ok_or_else(|| invalid(name, &value, "a number from 0 to 1"))
    };
    let name = "OTEL_TRACES_SAMPLER";
    Ok(match of(name).as_deref() {
        None | Some("parentbased_always_on") => Sampling::by_parent(1.0),
        Some("parentbased_traceidratio") => Sampling::by_parent(ratio()?),
        Some("parentbased_always_off") => Sampling::by_parent(0.0),
        Some("always_on") => Sampling::of_all(1.0),
        Some("traceidratio") => Sampling::of_all(ratio()?),
        Some("always_off") => Sampling::of_all(0.0),
        Some(other) => {
            let expected = "always_on, always_off, traceidratio, or one of them after parentbased_";
            return Err(invalid(name, other, expected));
        }
    })
}

fn milliseconds(name: String, value: String) -> Result<Duration, InvalidVariable> {
    match value.trim().parse() {
        Ok(milliseconds) => Ok(Duration::from_millis(milliseconds)),
        Err(_) => Err(InvalidVariable {
            name,
            value,
            expected: "a number of milliseconds",
        }),
    }
}

fn count(of: Of<'_>, name: &str, default: usize) -> Result<NonZeroUsize, InvalidVariable> {
    let value = of(name).unwrap_or_else(|| default.to_string());
    let count = value.trim().parse().ok();
    count.ok_or_else(|| invalid(name, &value, "a number from 1 on"))
}

fn invalid(name: &str, value: &str, expected: &'static str) -> InvalidVariable {
    InvalidVariable {
        name: name.to_owned(),
        value: value.to_owned(),
        expected,
    }
}

#[cfg(test)]
mod tests;
