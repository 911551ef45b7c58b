//! `docs/metrics.md`.

use super::{BACKLOG, INGRESS, Metric, PROCESS, Values, WORKER};

/// The reference of all metrics, as Markdown.
#[must_use]
pub fn reference_markdown() -> String {
    let sections = [
        ("Ingress", INGRESS),
        ("Worker", WORKER),
        ("Backlog (ingress and worker)", BACKLOG),
        ("Every process", PROCESS),
    ];
    let sections = sections.map(|(title, metrics)| {
        let rows: String = metrics.iter().copied().map(row).collect();
        format!("\n## {title}\n\n| Metric | Type | Unit | Labels | Meaning |\n|---|---|---|---|---|\n{rows}")
    });
    "# Metrics\n\n\
     Generated from the program by `harkara reference metrics`; do not edit.\n\n\
     Ingress and worker serve `GET /metrics` on their admin ports, in the text format of Prometheus or, if the \
     scraper asks for it, as OpenMetrics with exemplars that link to traces. The same metrics are exported over OTLP \
     to `OTEL_EXPORTER_OTLP_ENDPOINT`. The possible values of labels are listed; none comes from outside.\n"
        .to_owned()
        + &sections.concat()
}

fn row(metric: &Metric) -> String {
    let labels = metric.labels.iter().map(|label| match label.values {
        Values::OneOf(values) => format!("`{}`: `{}`", label.name, values.join("`, `")),
        Values::Named(description) => format!("`{}`: {description}", label.name),
    });
    format!(
        "| `{}` | {} | {} | {} | {} |\n",
        metric.name,
        metric.kind,
        metric.unit(),
        labels.collect::<Vec<_>>().join("; "),
        metric.help
    )
}
