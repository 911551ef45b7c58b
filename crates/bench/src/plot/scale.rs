//! From values to places on an axis.

/// An axis from 0 to a round number at or above the largest value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    pub(crate) max: f64,
    step: f64,
}

/// About this many ticks.
const TICKS: f64 = 6.0;

impl Scale {
    /// An axis for values from 0 to `largest`; with `whole` its ticks are whole numbers.
    pub(crate) fn to(largest: f64, whole: bool) -> Self {
        let largest = if largest > 0.0 { largest } else { 1.0 };
        let mut step = round_step(largest / TICKS);
        if whole {
            step = step.max(1.0);
        }
        Self {
            max: (largest / step).ceil() * step,
            step,
        }
    }

    /// Where a value stands between 0 and 1.
    pub(crate) fn place(&self, value: f64) -> f64 {
        value / self.max
    }

    /// The values that are marked.
    pub(crate) fn ticks(&self) -> Vec<f64> {
        let (max, step) = (self.max, self.step);
        std::iter::successors(Some(0.0), |tick| Some(tick + step))
            .take_while(|tick| *tick <= max + step / 2.0)
            .collect()
    }

    /// Digits behind the point that tell ticks apart.
    pub(crate) fn digits(&self) -> usize {
        match self.step {
            step if step >= 1.0 => 0,
            step if step >= 0.1 => 1,
            _ => 2,
        }
    }
}

/// 1, 2 or 5 times a power of ten, at or above a value.
fn round_step(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= value)
        .unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::Scale;

    #[test]
    fn an_axis_ends_at_a_round_number_and_starts_at_zero() {
        let scale = Scale::to(47_300.0, false);
        assert!((scale.max - 50_000.0).abs() < 1e-6);
        assert_eq!(scale.ticks().len(), 6);
        assert!((scale.place(25_000.0) - 0.5).abs() < 1e-9);
        assert_eq!(scale.digits(), 0);
    }

    #[test]
    fn small_values_have_small_ticks_unless_they_are_counts() {
        assert_eq!(Scale::to(1.3, false).digits(), 1);
        assert_eq!(Scale::to(3.0, true).ticks(), [0.0, 1.0, 2.0, 3.0]);
        assert!(Scale::to(0.0, false).max > 0.0);
    }
}
