//! Which rows are drawn.

use super::ingress::{self, AtRate, REACHED};
use super::worker::{self, WORKERS_MAX, scaled};
use crate::figures::count;
use crate::rounds::Row;

/// Rows of the open model, lowest rate first, as far as the rate was reached.
pub(crate) fn reached_rates(rows: &[Row]) -> Vec<&Row> {
    ingress::RATES
        .iter()
        .filter_map(|rate| {
            find(rows, ingress::LATENCY, &AtRate(*rate).to_string())
                .filter(|row| row.median.rate_per_s >= REACHED * rate)
        })
        .collect()
}

/// The rows of one worker, two and so on, each with their number.
pub(crate) fn scaling(rows: &[Row]) -> Vec<(f64, &Row)> {
    (1..=WORKERS_MAX)
        .filter_map(|n| Some((count(n), find(rows, worker::STAGE, &scaled(n).to_string())?)))
        .collect()
}

fn find<'a>(rows: &'a [Row], stage: &str, variant: &str) -> Option<&'a Row> {
    rows.iter()
        .find(|row| row.stage == stage && row.variant == variant)
}
