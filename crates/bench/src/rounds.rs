//! Interleaved rounds: every variant takes its turn in each, so that a noisy machine does not decide. Each
//! round begins with another variant, so that what a run leaves to be written does not burden the same one
//! every time.

use std::fmt::Display;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::arguments::Part;
use crate::extent::Extent;
use crate::figures::{Figures, median};

/// All runs of one variant.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) part: Part,
    /// What is measured, and how.
    pub(crate) stage: String,
    pub(crate) variant: String,
    pub(crate) median: Figures,
    pub(crate) rate_min: f64,
    pub(crate) rate_max: f64,
    /// One for each round, in their order.
    pub(crate) runs: Vec<Figures>,
    /// The median of the rounds' ratios of rates to the reference of the stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) of_reference: Option<f64>,
}

/// What the variants of a table have in common.
pub(crate) struct Stage<'a> {
    pub(crate) part: Part,
    /// What is measured, and how.
    pub(crate) title: &'a str,
    pub(crate) rounds: u32,
}

/// Runs every variant that the filter leaves once a round; adds the names of all to `names`.
pub(crate) async fn interleaved<V: Copy + Display>(
    extent: &Extent,
    stage: &Stage<'_>,
    variants: &[V],
    names: &mut Vec<String>,
    mut run: impl AsyncFnMut(V) -> Result<Figures>,
) -> Result<Vec<Row>> {
    names.extend(variants.iter().map(ToString::to_string));
    let Stage {
        part,
        title,
        rounds,
    } = *stage;
    let variants: Vec<V> = variants
        .iter()
        .copied()
        .filter(|variant| extent.includes(&variant.to_string()))
        .collect();
    let mut runs = vec![Vec::new(); variants.len()];
    for round in 1..=rounds {
        let n_first = round as usize - 1;
        for at in (0..variants.len()).map(|n| (n_first + n) % variants.len()) {
            let variant = &variants[at];
            eprintln!("{title}: {variant}, round {round} of {rounds}");
            let figures = run(*variant)
                .await
                .with_context(|| format!("{title}: {variant}"))?;
            if figures.rate_per_s > 0.0 {
                eprintln!("    {:.0} a second", figures.rate_per_s);
            }
            runs[at].push(figures);
        }
    }
    Ok(variants
        .iter()
        .zip(runs)
        .map(|(variant, runs)| Row::new(part, title, &variant.to_string(), runs))
        .collect())
}

impl Row {
    pub(crate) fn new(part: Part, stage: &str, variant: &str, runs: Vec<Figures>) -> Self {
        let rates = || runs.iter().map(|run| run.rate_per_s);
        Self {
            part,
            stage: stage.to_owned(),
            variant: variant.to_owned(),
            median: Figures::median(&runs),
            rate_min: rates().fold(f64::INFINITY, f64::min),
            rate_max: rates().fold(0.0, f64::max),
            runs,
            of_reference: None,
        }
    }
}

/// The row of a variant of a stage.
pub(crate) fn row_of<'a>(rows: &'a [Row], stage: &str, variant: &str) -> Option<&'a Row> {
    rows.iter()
        .find(|row| row.stage == stage && row.variant == variant)
}

/// Tells each row's rate as a part of the reference's.
pub(crate) fn compare(rows: &mut [Row], reference: &str) {
    let Some(reference) = rows.iter().find(|row| row.variant == reference).cloned() else {
        return;
    };
    for row in rows {
        row.of_reference = ratio(row, &reference, |run| Some(run.rate_per_s));
    }
}

/// The median over the rounds of one row's figure by another's in the same round.
pub(crate) fn ratio(row: &Row, by: &Row, figure: impl Fn(&Figures) -> Option<f64>) -> Option<f64> {
    let of_round = |(one, other): (&Figures, &Figures)| {
        let (one, other) = (figure(one)?, figure(other)?);
        (other > 0.0).then(|| one / other)
    };
    median(row.runs.iter().zip(&by.runs).filter_map(of_round).collect())
}

#[cfg(test)]
mod tests {
    use super::{Row, compare, ratio};
    use crate::arguments::Part;
    use crate::figures::Figures;

    fn row(variant: &str, rates: &[f64]) -> Row {
        let runs = rates
            .iter()
            .map(|rate| Figures {
                rate_per_s: *rate,
                ..Figures::default()
            })
            .collect();
        Row::new(Part::Ingress, "stage", variant, runs)
    }

    #[test]
    fn a_ratio_compares_within_rounds() {
        // The machine was half as fast in the second round.
        let (one, other) = (
            row("one", &[60.0, 30.0, 60.0]),
            row("other", &[100.0, 50.0, 90.0]),
        );
        let ratio = ratio(&one, &other, |run| Some(run.rate_per_s)).unwrap();
        assert!((ratio - 0.6).abs() < 1e-9);
    }

    #[test]
    fn a_reference_that_was_filtered_out_gives_no_ratio() {
        let mut rows = [row("one", &[60.0])];
        compare(&mut rows, "reference");
        assert_eq!(rows[0].of_reference, None);
        compare(&mut rows, "one");
        assert_eq!(rows[0].of_reference, Some(1.0));
    }

    #[test]
    fn the_range_of_rates_is_told() {
        let row = row("one", &[60.0, 30.0, 50.0]);
        assert!((row.rate_min - 30.0).abs() < 1e-9 && (row.rate_max - 60.0).abs() < 1e-9);
    }
}
