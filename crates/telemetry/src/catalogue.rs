//! Every metric: its name, kind, labels and meaning. Code, references and tests take them from here.

mod backlog;
mod ingress;
mod process;
mod reference;
mod worker;

pub use backlog::*;
pub use ingress::*;
pub use process::*;
pub use reference::reference_markdown;
pub use worker::*;

use prometheus_client::registry::{Metric as Instrument, Registry};

/// A metric as operators see it.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// The name under which it is scraped. It ends with its unit, and a counter's with `_total`.
    pub name: &'static str,
    /// What may be done with its values.
    pub kind: Kind,
    /// Its labels, and the values that each may have.
    pub labels: &'static [Label],
    /// What it tells.
    pub help: &'static str,
}

/// A label of a metric. None has unbounded values.
#[derive(Debug, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Its values, or what they are.
    pub values: Values,
}

/// The values of a label.
#[derive(Debug, PartialEq, Eq)]
pub enum Values {
    /// One of these.
    OneOf(&'static [&'static str]),
    /// As many as the settings or the code name.
    Named(&'static str),
}

/// What may be done with the values of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows while the process runs.
    Counter,
    /// It is what it is now.
    Gauge,
    /// How often values fell into classes, with their sum.
    Histogram,
}

impl Kind {
    /// As Prometheus calls it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Metric {
    /// The unit that its name says, in the code that OTLP has for it; empty where it counts things.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        if self.name.ends_with("_per_second") {
            "1/s"
        } else if self.name.contains("_seconds") {
            "s"
        } else if self.name.contains("_bytes") {
            "By"
        } else {
            ""
        }
    }

    /// Adds an instrument to what is scraped, as this metric.
    pub fn register(&self, registry: &mut Registry, instrument: impl Instrument) {
        // The encoder adds the end of a counter's name.
        let name = match self.kind {
            Kind::Counter => self.name.strip_suffix("_total").unwrap_or(self.name),
            Kind::Gauge | Kind::Histogram => self.name,
        };
        registry.register(name, self.help, instrument);
    }
}

/// All metrics, those of the ingress before those of the worker, and last what both tell.
pub fn all() -> impl Iterator<Item = &'static Metric> {
    INGRESS.iter().chain(WORKER).copied().chain(of_all())
}

/// What an ingress tells.
pub fn of_ingress() -> impl Iterator<Item = &'static Metric> {
    INGRESS.iter().copied().chain(of_all())
}

/// What a worker tells.
pub fn of_worker() -> impl Iterator<Item = &'static Metric> {
    WORKER.iter().copied().chain(of_all())
}

fn of_all() -> impl Iterator<Item = &'static Metric> {
    BACKLOG.iter().chain(PROCESS).copied()
}

const fn metric(
    name: &'static str,
    kind: Kind,
    labels: &'static [Label],
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind,
        labels,
        help,
    }
}

const fn one_of(name: &'static str, values: &'static [&'static str]) -> Label {
    Label {
        name,
        values: Values::OneOf(values),
    }
}

const fn named(name: &'static str, what: &'static str) -> Label {
    Label {
        name,
        values: Values::Named(what),
    }
}

#[cfg(test)]
mod tests;
