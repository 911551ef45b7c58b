//! Every metric: its name, kind, labels and help. Code, references and tests take them from here.

mod backlog;
mod computed;
mod ingress;
mod process;
mod reference;
mod worker;

pub use backlog::*;
pub use ingress::*;
pub use process::*;
pub use reference::reference_markdown;
pub use worker::*;

use computed::Computed;
use prometheus_client::encoding::EncodeGaugeValue;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Metric as Instrument, Registry};

/// A metric as operators see it.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// The name under which it is scraped. It ends with its unit, and that of a counter with `_total`.
    pub name: &'static str,
    /// How its values behave.
    pub kind: Kind,
    /// Its labels with their values.
    pub labels: &'static [Label],
    /// Its meaning.
    pub help: &'static str,
}

/// Instruments that one label distinguishes.
pub type ByLabel<I> = Family<[(&'static str, &'static str); 1], I, fn() -> I>;

/// A label of a metric. No label has unbounded values.
#[derive(Debug, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Its possible values.
    pub values: Values,
}

/// The possible values of a label.
#[derive(Debug, PartialEq, Eq)]
pub enum Values {
    /// One of these.
    OneOf(&'static [&'static str]),
    /// Bounded by the settings or the code; described in words.
    Named(&'static str),
}

/// How the values of a metric behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum Kind {
    /// Only grows while the process runs.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts values in buckets, with their sum.
    Histogram,
}

impl Metric {
    /// The unit in its name, as OTLP spells it; empty if it counts things.
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

    /// Registers an instrument as this metric.
    pub fn register(&self, registry: &mut Registry, instrument: impl Instrument) {
        // The encoder appends `_total`.
        let name = match self.kind {
            Kind::Counter => self.name.strip_suffix("_total").unwrap_or(self.name),
            Kind::Gauge | Kind::Histogram => self.name,
        };
        registry.register(name, self.help, instrument);
    }

    /// Registers an instrument as this metric, and returns it.
    pub fn registered<I: Instrument + Clone>(&self, registry: &mut Registry, instrument: I) -> I {
        self.register(registry, instrument.clone());
        instrument
    }

    /// Registers gauges that are computed when they are scraped: each with its value of the metric's only label.
    ///
    /// # Panics
    ///
    /// If the metric has not one label.
    pub fn computed<L: AsRef<str> + 'static, V: EncodeGaugeValue + 'static>(
        &self,
        registry: &mut Registry,
        values: impl Fn() -> Vec<(L, V)> + Send + Sync + 'static,
    ) {
        let [Label { name: label, .. }] = self.labels else {
            panic!("{} has not one label", self.name);
        };
        self.register(registry, Computed { label, values });
    }

    /// Registers an instrument for each value of the metric's only label, in the order of the catalogue. All
    /// start at 0, so that a rate is known from the first scrape.
    ///
    /// # Panics
    ///
    /// If the catalogue does not list exactly `N` values.
    pub fn per_value<I, const N: usize>(&self, registry: &mut Registry, new: fn() -> I) -> [I; N]
    where
        I: Clone,
        ByLabel<I>: Instrument + Clone,
    {
        let family = self.registered(registry, ByLabel::new_with_constructor(new));
        let [
            Label {
                name,
                values: Values::OneOf(values),
            },
        ] = self.labels
        else {
            panic!("{} does not list the values of one label", self.name);
        };
        assert_eq!(values.len(), N, "the values of {}", self.name);
        std::array::from_fn(|at| family.get_or_create_owned(&[(*name, values[at])]))
    }
}

/// All metrics: of the ingress, of the worker, and those common to both.
pub fn all() -> impl Iterator<Item = &'static Metric> {
    INGRESS.iter().chain(WORKER).copied().chain(common())
}

/// The metrics of an ingress process.
pub fn of_ingress() -> impl Iterator<Item = &'static Metric> {
    INGRESS.iter().copied().chain(common())
}

/// The metrics of a worker process.
pub fn of_worker() -> impl Iterator<Item = &'static Metric> {
    WORKER.iter().copied().chain(common())
}

fn common() -> impl Iterator<Item = &'static Metric> {
    BACKLOG.iter().chain(PROCESS).copied()
}

/// Declares a constant for each metric, and a list of them.
macro_rules! metrics {
    ($list:ident: $($name:ident = $kind:ident $metric:literal [$($label:expr),* $(,)?] $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $name: super::Metric = super::Metric {
                name: $metric,
                kind: super::Kind::$kind,
                labels: &[$($label),*],
                help: $help,
            };
        )*

        pub(super) const $list: &[&super::Metric] = &[$(&$name),*];
    };
}
use metrics;

const LANE: Label = one_of("lane", &["critical", "medium", "normal", "default"]);

const fn one_of(name: &'static str, values: &'static [&'static str]) -> Label {
    Label {
        name,
        values: Values::OneOf(values),
    }
}

const fn named(name: &'static str, description: &'static str) -> Label {
    Label {
        name,
        values: Values::Named(description),
    }
}

#[cfg(test)]
mod tests;
