//! The plots of the report, as SVG.

mod chart;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::figures::Latency;
use crate::parts::plotted;
use crate::rounds::Row;

use chart::{Chart, Line};

/// Draws what the rows hold: latency against rate, throughput against workers.
pub(crate) fn draw(rows: &[Row], folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    for (name, chart) in [
        ("latency-by-rate.svg", latency_by_rate(rows)),
        ("throughput-by-workers.svg", throughput_by_workers(rows)),
    ] {
        if chart.lines.iter().any(|line| line.points.len() > 1) {
            let path = folder.join(name);
            fs::write(&path, chart.svg()?)
                .with_context(|| format!("{} cannot be written", path.display()))?;
        }
    }
    Ok(())
}

fn latency_by_rate(rows: &[Row]) -> Chart {
    let rows = plotted::reached_rates(rows);
    let line = |name: &str, of: fn(&Latency) -> f64| Line {
        name: name.to_owned(),
        points: rows
            .iter()
            .filter_map(|row| Some((row.median.rate_per_s, of(row.median.latency.as_ref()?))))
            .collect(),
    };
    Chart {
        title: "Ingress: latency against rate (open model, appendfsync everysec)".to_owned(),
        x_name: "webhooks a second".to_owned(),
        y_name: "milliseconds".to_owned(),
        whole_x: false,
        lines: vec![line("p50", |l| l.p50_ms), line("p99", |l| l.p99_ms)],
    }
}

fn throughput_by_workers(rows: &[Row]) -> Chart {
    Chart {
        title: "Worker: throughput against workers (one committer each)".to_owned(),
        x_name: "workers".to_owned(),
        y_name: "events a second".to_owned(),
        whole_x: true,
        lines: vec![Line {
            name: "events committed".to_owned(),
            points: plotted::scaling(rows)
                .into_iter()
                .map(|(workers, row)| (workers, row.median.rate_per_s))
                .collect(),
        }],
    }
}
