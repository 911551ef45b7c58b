//! Goals.

use serde::Serialize;

/// A figure with a bound.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Goal {
    pub(crate) what: String,
    pub(crate) bound: Bound,
    /// `None` if it was not measured.
    pub(crate) figure: Option<f64>,
    pub(crate) reached: Option<bool>,
    /// An aim rather than a requirement.
    pub(crate) aim: bool,
}

/// The bound of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// A figure that must not be smaller.
pub(crate) fn at_least(least: f64, what: &str, figure: Option<f64>) -> Goal {
    Goal::new(Bound::AtLeast(least), what, figure)
}

/// A figure that must not be greater.
pub(crate) fn at_most(most: f64, what: &str, figure: Option<f64>) -> Goal {
    Goal::new(Bound::AtMost(most), what, figure)
}

impl Goal {
    fn new(bound: Bound, what: &str, figure: Option<f64>) -> Self {
        let reached = figure.map(|figure| match bound {
            Bound::AtLeast(least) => figure >= least,
            Bound::AtMost(most) => figure <= most,
        });
        Self {
            what: what.to_owned(),
            bound,
            figure,
            reached,
            aim: false,
        }
    }

    /// Only an aim.
    pub(crate) fn aim(mut self) -> Self {
        self.aim = true;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::{at_least, at_most};

    #[test]
    fn a_goal_is_reached_at_its_bound_and_open_if_nothing_was_measured() {
        assert_eq!(at_least(0.6, "", Some(0.6)).reached, Some(true));
        assert_eq!(at_least(0.6, "", Some(0.59)).reached, Some(false));
        assert_eq!(at_most(24.0, "", Some(24.1)).reached, Some(false));
        assert_eq!(at_most(24.0, "", None).reached, None);
    }
}
