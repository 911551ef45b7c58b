//! Spans and metrics on their way to a real receiver of OTLP, and what operators load to watch over Harkara.

#![expect(
    clippy::unwrap_used,
    reason = "what a test cannot go on without ends it"
)]

mod collectors;
mod metrics;
mod observability;
mod trouble;

use std::time::{Duration, Instant};

use harkara_telemetry::{
    Environment, Exporting, Limits, Span, SpanIds, SpanKind, StartError, Timeline,
};
use harkara_testkit::wait_until;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

const LIMITS: Limits = Limits {
    ordinary_per_s_max: 1_000,
    slow: Duration::from_secs(1),
};

/// Longer than any of it takes.
const LONG: Duration = Duration::from_secs(20);

/// Starts what these variables ask for, besides a short wait for further spans.
fn start(variables: &[(&str, &str)]) -> Result<Exporting, StartError> {
    let find = |name: &str| {
        let short = [("OTEL_BSP_SCHEDULE_DELAY", "10")];
        let found = variables.iter().chain(&short).find(|(of, _)| *of == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let environment = Environment::read(&find).unwrap();
    Exporting::start(environment.as_ref(), LIMITS, "harkara-test", "test-1")
}

fn span(name: &'static str, place: SpanIds) -> Span {
    let line = Timeline::from_now();
    let until = Instant::now() + Duration::from_millis(5);
    Span::new(name, SpanKind::Server, place, &line, (line.origin(), until))
}

/// What became of so many spans.
fn counted(exporting: &Exporting, outcome: &str) -> u64 {
    let mut registry = Registry::default();
    exporting.tracer().register(&mut registry);
    let series = format!("harkara_telemetry_spans_total{{outcome=\"{outcome}\"}}");
    shown(&registry, &series)
}

/// The value of a counter.
fn shown(registry: &Registry, series: &str) -> u64 {
    let mut text = String::new();
    encode(&mut text, registry).unwrap();
    let lines = text.lines();
    let mut values = lines.filter_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    values.next().unwrap().parse().unwrap()
}

/// Waits until metrics show it.
async fn until_shown(what: &str, is_shown: impl Fn() -> bool) {
    wait_until(what, LONG, async || is_shown()).await;
}
