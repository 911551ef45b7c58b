//! `docs/metrics.md`.

use std::fmt::Write;

use super::{BACKLOG, INGRESS, Metric, PROCESS, Values, WORKER};

/// The reference of all metrics, as Markdown.
#[must_use]
pub fn reference_markdown() -> String {
    let mut page = String::from(
        "# Metrics\n\n\
         Generated from the program by `harkara reference metrics`; do not edit.\n\n\
         Ingress and worker answer `GET /metrics` at their admin ports: with the text format of Prometheus, or \
         with OpenMetrics where the scraper asks for it, which has exemplars that name traces. The same \
         metrics go by OTLP to where `OTEL_EXPORTER_OTLP_ENDPOINT` says. What a label may say is listed, and none takes values from outside.\n",
    );
    for (title, metrics) in [
        ("Ingress", INGRESS),
        ("Worker", WORKER),
        ("Backlog, told by ingress and worker alike", BACKLOG),
        ("Every process", PROCESS),
    ] {
        section(&mut page, title, metrics).expect("a String takes any text");
    }
    page
}

fn section(page: &mut String, title: &str, metrics: &[&Metric]) -> std::fmt::Result {
    write!(
        page,
        "\n## {title}\n\n| Metric | Type | Unit | Labels | What it tells |\n|---|---|---|---|---|\n"
    )?;
    for metric in metrics {
        let labels: Vec<String> = metric
            .labels
            .iter()
            .map(|label| match label.values {
                Values::OneOf(values) => format!("`{}`: `{}`", label.name, values.join("`, `")),
                Values::Named(what) => format!("`{}`: {what}", label.name),
            })
            .collect();
        let (name, kind) = (metric.name, metric.kind.as_str());
        writeln!(
            page,
            "| `{name}` | {kind} | {} | {} | {} |",
            metric.unit(),
            labels.join("; "),
            metric.help
        )?;
    }
    Ok(())
}
