//! Reading the standard `OTEL_*` variables.

mod target;

use std::num::{NonZeroU64, NonZeroUsize};
use std::str::FromStr;
use std::time::Duration;

use crate::sampling::Sampling;
use target::Signal;

pub(crate) use target::{Protocol, Target};

/// Spans that may wait for the collector, unless `OTEL_BSP_MAX_QUEUE_SIZE` is set (the standard's default).
const QUEUE_SPANS: NonZeroUsize = NonZeroUsize::new(2048).expect("not zero");

/// Maximum spans in one export, unless `OTEL_BSP_MAX_EXPORT_BATCH_SIZE` is set (the standard's default).
const BATCH_SPANS: NonZeroUsize = NonZeroUsize::new(512).expect("not zero");

/// How long spans wait for others, unless `OTEL_BSP_SCHEDULE_DELAY` is set. The standard's five seconds are
/// long for somebody who waits for a trace.
const GATHER: Duration = Duration::from_secs(1);

/// Interval between exports of metrics, unless `OTEL_METRIC_EXPORT_INTERVAL` is set (the standard's default).
const METRICS_EVERY: Duration = Duration::from_mins(1);

/// Looks up an environment variable; `None` if it is not set.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Where spans go and which are kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TraceEnvironment {
    pub(crate) target: Target,
    pub(crate) sampling: Sampling,
    pub(crate) queue_spans: NonZeroUsize,
    pub(crate) batch_spans: NonZeroUsize,
    pub(crate) gather: Duration,
}

/// Where metrics go and how often.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MetricsEnvironment {
    pub(crate) target: Target,
    pub(crate) every: Duration,
}

/// A variable with an invalid value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} is {value:?}; expected {expected}")]
pub struct InvalidVariable {
    name: String,
    value: String,
    expected: &'static str,
}

impl TraceEnvironment {
    /// `None` if traces are not exported: no endpoint is set, or `OTEL_SDK_DISABLED` or
    /// `OTEL_TRACES_EXPORTER` turns the export off.
    pub(crate) fn read(variables: Variables<'_>) -> Result<Option<Self>, InvalidVariable> {
        let set = |name: &str| not_blank(variables, name);
        let Some(target) = Target::read(&set, Signal::Traces)? else {
            return Ok(None);
        };
        let count =
            |name, default| Ok(parsed(&set, name, "a number from 1 on")?.unwrap_or(default));
        Ok(Some(Self {
            target,
            sampling: sampling(&set)?,
            queue_spans: count("OTEL_BSP_MAX_QUEUE_SIZE", QUEUE_SPANS)?,
            batch_spans: count("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", BATCH_SPANS)?,
            gather: milliseconds(&set, "OTEL_BSP_SCHEDULE_DELAY")?.unwrap_or(GATHER),
        }))
    }
}

impl MetricsEnvironment {
    /// `None` if metrics are not exported: no endpoint is set, or `OTEL_SDK_DISABLED` or
    /// `OTEL_METRICS_EXPORTER` turns the export off.
    pub(crate) fn read(variables: Variables<'_>) -> Result<Option<Self>, InvalidVariable> {
        let set = |name: &str| not_blank(variables, name);
        let Some(target) = Target::read(&set, Signal::Metrics)? else {
            return Ok(None);
        };
        let expected = "a number of milliseconds from 1 on";
        let every = parsed(&set, "OTEL_METRIC_EXPORT_INTERVAL", expected)?;
        Ok(Some(Self {
            target,
            every: every.map_or(METRICS_EVERY, |ms: NonZeroU64| {
                Duration::from_millis(ms.get())
            }),
        }))
    }
}

fn not_blank(variables: Variables<'_>, name: &str) -> Option<String> {
    variables(name).filter(|value| !value.trim().is_empty())
}

fn sampling(set: Variables<'_>) -> Result<Sampling, InvalidVariable> {
    let ratio = || {
        let (name, expected) = ("OTEL_TRACES_SAMPLER_ARG", "a number from 0 to 1");
        let ratio = parsed(set, name, expected)?.unwrap_or(1.0);
        if (0.0..=1.0).contains(&ratio) {
            Ok(ratio)
        } else {
            Err(invalid(name, &ratio.to_string(), expected))
        }
    };
    let name = "OTEL_TRACES_SAMPLER";
    Ok(match set(name).as_deref() {
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

fn milliseconds(set: Variables<'_>, name: &str) -> Result<Option<Duration>, InvalidVariable> {
    Ok(parsed(set, name, "a number of milliseconds")?.map(Duration::from_millis))
}

fn parsed<T: FromStr>(
    set: Variables<'_>,
    name: &str,
    expected: &'static str,
) -> Result<Option<T>, InvalidVariable> {
    let parse = |value: String| {
        value
            .trim()
            .parse()
            .map_err(|_| invalid(name, &value, expected))
    };
    set(name).map(parse).transpose()
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
