//! Which rows are drawn.

use super::ingress;
use super::receiving::AtRate;
use super::worker::{self, WORKERS_MAX, scaled};
use crate::figures::count;
use crate::rounds::{Row, row_of};

/// Rows of the open model, lowest rate first, as far as the rate was reached.
pub(crate) fn reached_rates(rows: &[Row]) -> Vec<&Row> {
    ingress::RATES
        .iter()
        .filter_map(|rate| {
            let rate = AtRate(*rate);
            rate.reached(row_of(rows, ingress::LATENCY, &rate.to_string())?)
        })
        .collect()
}

/// The rows of one worker, two and so on, each with their number.
pub(crate) fn scaling(rows: &[Row]) -> Vec<(f64, &Row)> {
    (1..=WORKERS_MAX)
        .filter_map(|n| {
            Some((
                count(n),
                row_of(rows, worker::STAGE, &scaled(n).to_string())?,
            ))
        })
        .collect()
}
