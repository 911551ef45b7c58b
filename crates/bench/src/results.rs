//! Interleaved rounds and their results.

use std::fmt::Display;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::arguments::Part;
use crate::audit::RunAudit;
use crate::figures::{Figures, Other, median};
use crate::report::goal::Goal;
use crate::scale::Scale;

/// The results of all measurements.
#[derive(Default, Serialize)]
pub(crate) struct Results {
    pub(crate) rows: Vec<VariantResult>,
    pub(crate) goals: Vec<Goal>,
    pub(crate) audits: Vec<RunAudit>,
    /// What was left out, and why.
    pub(crate) notes: Vec<String>,
    /// The names of all variants, including those that the filter left out.
    #[serde(skip)]
    variants: Vec<String>,
}

/// All runs of one variant.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct VariantResult {
    pub(crate) part: Part,
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

/// What the variants of a table have in common: the part, what is measured and how, and the number of rounds.
#[derive(Clone, Copy)]
pub(crate) struct Stage(pub(crate) Part, pub(crate) &'static str, pub(crate) u32);

/// One run of a variant; without an audit if nothing was to be stored.
pub(crate) type Run = (Figures, Option<RunAudit>);

impl Results {
    /// Runs every variant that passes the filter once per round, so that a noisy machine does not decide. Each round
    /// starts with another variant, so that the writes that a run leaves behind do not always burden the same one.
    pub(crate) async fn measure<V: Copy + Display>(
        &mut self,
        scale: &Scale,
        stage: Stage,
        variants: &[V],
        mut run: impl AsyncFnMut(V) -> Result<Run>,
    ) -> Result<()> {
        let Stage(_, title, rounds) = stage;
        self.variants
            .extend(variants.iter().map(ToString::to_string));
        let includes = |variant: &&V| scale.includes(&variant.to_string());
        let variants: Vec<V> = variants.iter().filter(includes).copied().collect();
        let mut runs = vec![Vec::new(); variants.len()];
        for round in 1..=rounds {
            let n_first = round as usize - 1;
            for at in (0..variants.len()).map(|n| (n_first + n) % variants.len()) {
                let variant = variants[at];
                eprintln!("{title}: {variant}, round {round} of {rounds}");
                let run = run(variant).await;
                let (figures, audit) = run.with_context(|| format!("{title}: {variant}"))?;
                if figures.rate_per_s > 0.0 {
                    eprintln!("    {:.0} a second", figures.rate_per_s);
                }
                runs[at].push(figures);
                self.audits.extend(audit);
            }
        }
        let rows = variants.iter().zip(runs);
        self.rows
            .extend(rows.map(|(variant, runs)| VariantResult::new(stage, variant, runs)));
        Ok(())
    }

    /// The result of a variant of a stage.
    pub(crate) fn row(&self, stage: &str, variant: impl Display) -> Option<&VariantResult> {
        let variant = variant.to_string();
        self.rows
            .iter()
            .find(|row| row.stage == stage && row.variant == variant)
    }

    /// Sets the ratio of each rate of a stage to that of its reference.
    pub(crate) fn compare(&mut self, stage: &str, reference: impl Display) {
        let Some(reference) = self.row(stage, reference).cloned() else {
            return;
        };
        for row in self.rows.iter_mut().filter(|row| row.stage == stage) {
            row.of_reference = ratio(row, &reference, |run| Some(run.rate_per_s));
        }
    }

    /// The median over the rounds of the ratio of two variants' figures.
    pub(crate) fn ratio<V: Display>(
        &self,
        stage: &str,
        [one, other]: [V; 2],
        figure: impl Fn(&Figures) -> Option<f64>,
    ) -> Option<f64> {
        ratio(self.row(stage, one)?, self.row(stage, other)?, figure)
    }

    /// The same of their rates.
    pub(crate) fn rate_ratio<V: Display>(&self, stage: &str, variants: [V; 2]) -> Option<f64> {
        self.ratio(stage, variants, |run| Some(run.rate_per_s))
    }

    /// Fails if the filter left nothing.
    pub(crate) fn ensure_some(&self, scale: &Scale) -> Result<()> {
        ensure!(
            !self.rows.is_empty(),
            "no variant's name contains {:?}; names are: {}",
            scale.filter.as_deref().unwrap_or_default(),
            self.variants.join(" · ")
        );
        Ok(())
    }

    /// Notes the rows with runs that ended before their time.
    pub(crate) fn note_early_ends(&mut self) {
        for row in &self.rows {
            let ended_early = |run: &&Figures| run.other(Other::EndedEarly).is_some();
            let n = row.runs.iter().filter(ended_early).count();
            if n > 0 {
                self.notes.push(format!(
                    "{}: {}: {n} of {} runs ended early, because all prepared deliveries were sent",
                    row.stage,
                    row.variant,
                    row.runs.len()
                ));
            }
        }
    }
}

impl VariantResult {
    pub(crate) fn new(stage: Stage, variant: impl Display, runs: Vec<Figures>) -> Self {
        let rates = || runs.iter().map(|run| run.rate_per_s);
        Self {
            part: stage.0,
            stage: stage.1.to_owned(),
            variant: variant.to_string(),
            median: Figures::median(&runs),
            rate_min: rates().fold(f64::INFINITY, f64::min),
            rate_max: rates().fold(0.0, f64::max),
            runs,
            of_reference: None,
        }
    }
}

/// The median over the rounds of one row's figure by another's in the same round.
pub(crate) fn ratio(
    row: &VariantResult,
    by: &VariantResult,
    figure: impl Fn(&Figures) -> Option<f64>,
) -> Option<f64> {
    let of_round = |(one, other): (&Figures, &Figures)| {
        let (one, other) = (figure(one)?, figure(other)?);
        (other > 0.0).then(|| one / other)
    };
    median(row.runs.iter().zip(&by.runs).filter_map(of_round).collect())
}

#[cfg(test)]
mod tests {
    use super::{Results, Stage, VariantResult};
    use crate::arguments::Part;
    use crate::figures::Figures;

    const TITLE: &str = "stage";

    fn results(rows: &[(&str, [f64; 3])]) -> Results {
        let run = |rate_per_s| Figures {
            rate_per_s,
            ..Figures::default()
        };
        let stage = Stage(Part::Ingress, TITLE, 3);
        let row = |(name, rates): &(&str, [f64; 3])| {
            VariantResult::new(stage, name, rates.map(run).to_vec())
        };
        Results {
            rows: rows.iter().map(row).collect(),
            ..Results::default()
        }
    }

    #[test]
    fn a_ratio_compares_within_rounds() {
        // The machine was half as fast in the second round.
        let mut results = results(&[("one", [60.0, 30.0, 60.0]), ("other", [100.0, 50.0, 90.0])]);
        assert_eq!(results.rate_ratio(TITLE, ["one", "other"]), Some(0.6));
        results.compare(TITLE, "other");
        assert_eq!(results.rows[0].of_reference, Some(0.6));
    }

    #[test]
    fn a_reference_that_was_filtered_out_gives_no_ratio() {
        let mut results = results(&[("one", [60.0; 3])]);
        results.compare(TITLE, "reference");
        assert_eq!(results.rows[0].of_reference, None);
    }

    #[test]
    fn the_range_of_rates_is_reported() {
        let results = results(&[("one", [60.0, 30.0, 50.0])]);
        let row = &results.rows[0];
        assert!((row.rate_min - 30.0).abs() < 1e-9 && (row.rate_max - 60.0).abs() < 1e-9);
    }
}
