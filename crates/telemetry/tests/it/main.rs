//! Spans and metrics at a real receiver of OTLP, and the files that operators load to monitor Harkara.

#![expect(clippy::unwrap_used, reason = "a failed set-up fails the test")]

mod collectors;
mod failures;
mod metrics;
mod observability;

use std::time::{Duration, Instant};

use harkara_telemetry::{Limits, Span, SpanIds, SpanKind, StartError, Timeline, TraceExporter};
use harkara_testkit::{Authority, Collector, Folder, wait_until};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

const LIMITS: Limits = Limits {
    ordinary_per_s_max: 1_000,
    slow: Duration::from_secs(1),
};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
const SERVICE: &str = "harkara-test";
const INSTANCE: &str = "test-1";

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

type Pairs<'a> = &'a [(&'a str, &'a str)];

/// Looks up a variable in `variables`, then in `default`.
fn lookup<'a>(
    variables: Pairs<'a>,
    default: (&'a str, &'a str),
) -> impl Fn(&str) -> Option<String> {
    move |name| {
        let mut all = variables.iter().chain([&default]);
        let found = all.find(|(set, _)| *set == name);
        found.map(|(_, value)| (*value).to_owned())
    }
}

/// Exports spans with these variables, and a short wait for further spans.
fn start(variables: Pairs<'_>) -> Result<TraceExporter, StartError> {
    let variables = lookup(variables, ("OTEL_BSP_SCHEDULE_DELAY", "10"));
    TraceExporter::start(&variables, LIMITS, SERVICE, INSTANCE)
}

/// Exports spans to a collector.
fn start_to(collector: &Collector, variables: Pairs<'_>) -> TraceExporter {
    let endpoint = collector.endpoint();
    let own = [(ENDPOINT, &*endpoint), (PROTOCOL, collector.protocol())];
    start(&[&own, variables].concat()).unwrap()
}

fn span(name: &'static str, ids: SpanIds) -> Span {
    let line = Timeline::from_now();
    let until = Instant::now() + Duration::from_millis(5);
    Span::new(name, SpanKind::Server, ids, &line, (line.origin(), until))
}

/// Checks a collector over TLS that asks for client certificates; `prefix` begins the names of their variables.
async fn over_tls(prefix: &str, check: impl AsyncFn(&Collector, Pairs<'_>)) {
    let (authority, folder) = (Authority::new("telemetry"), Folder::new());
    let (server, own) = (
        authority.issue(&["localhost"]),
        authority.issue(&["harkara"]),
    );
    let variables = [
        ("CERTIFICATE", authority.pem()),
        ("CLIENT_CERTIFICATE", own.pem),
        ("CLIENT_KEY", own.key_pem),
    ];
    let variables = variables.map(|(name, pem)| {
        folder.write(name, &pem);
        (format!("{prefix}_{name}"), folder.file(name))
    });
    let variables = variables.each_ref().map(|(name, file)| (&**name, &**file));
    let collector = Collector::grpc_over_tls(&server, Some(&authority.pem()));
    check(&collector, &variables).await;
}

/// How many spans had this outcome.
fn counted(exporter: &TraceExporter, outcome: &str) -> u64 {
    let mut registry = Registry::default();
    exporter.tracer().register(&mut registry);
    let series = format!("harkara_telemetry_spans_total{{outcome=\"{outcome}\"}}");
    scraped(&registry, &series)
}

/// The value of a counter.
fn scraped(registry: &Registry, series: &str) -> u64 {
    let mut text = String::new();
    encode(&mut text, registry).unwrap();
    let lines = text.lines();
    let mut values = lines.filter_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    values.next().unwrap().parse().unwrap()
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    wait_until(what, LONG, async || is_so()).await;
}
