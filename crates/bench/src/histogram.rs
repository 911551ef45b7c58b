//! Times in classes, as a process tells them at `/metrics`, and their quantiles.

/// Times counted by classes. Those of several processes can be added up.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Classes(Vec<Class>);

/// The times up to a bound and above the one before it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Class {
    /// In seconds; infinite for the last.
    up_to: f64,
    times: u64,
}

impl Classes {
    /// Reads a histogram without labels out of a text in the form of `OpenMetrics`. `None` where there is none of
    /// that name, or one whose counts shrink.
    pub(crate) fn read(metrics: &str, name: &str) -> Option<Self> {
        let mut classes = Vec::new();
        let mut so_far = 0;
        for line in metrics.lines() {
            let Some((bound, count)) = bucket(line, name) else {
                continue;
            };
            let up_to_here: u64 = count.parse().ok()?;
            classes.push(Class {
                up_to: bound.parse().ok()?,
                times: up_to_here.checked_sub(so_far)?,
            });
            so_far = up_to_here;
        }
        (!classes.is_empty()).then_some(Self(classes))
    }

    /// Adds another process's times, which have the same classes; `None` where they have not.
    pub(crate) fn add(mut self, other: &Self) -> Option<Self> {
        if self.0.len() != other.0.len() {
            return None;
        }
        for (class, more) in self.0.iter_mut().zip(&other.0) {
            if class.up_to.total_cmp(&more.up_to).is_ne() {
                return None;
            }
            class.times += more.times;
        }
        Some(self)
    }

    /// The time that this part of all times does not exceed, in seconds, as if the times of a class
    /// were spread evenly over it. For the class without an upper bound it is its lower bound.
    /// `None` where nothing was counted.
    pub(crate) fn quantile(&self, part: f64) -> Option<f64> {
        let all: u64 = self.0.iter().map(|class| class.times).sum();
        if all == 0 {
            return None;
        }
        let rank = part * float(all);
        let (mut above, mut so_far) = (0.0, 0.0);
        for class in &self.0 {
            let times = float(class.times);
            if times > 0.0 && so_far + times >= rank {
                return Some(if class.up_to.is_finite() {
                    above + (class.up_to - above) * ((rank - so_far) / times)
                } else {
                    above
                });
            }
            so_far += times;
            if class.up_to.is_finite() {
                above = class.up_to;
            }
        }
        Some(above)
    }
}

/// The bound and the count of a line such as `name_bucket{le="0.001"} 3`.
fn bucket<'a>(line: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    line.strip_prefix(name)?
        .strip_prefix("_bucket{le=\"")?
        .split_once("\"} ")
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a figure of a report needs no 53 bits"
)]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::Classes;

    /// Cumulative counts up to 10 ms, 20 ms, 50 ms and without a bound, among other metrics.
    fn read(counts: [u64; 4]) -> Option<Classes> {
        let [ten, twenty, fifty, all] = counts;
        let text = format!(
            "# TYPE batch_seconds histogram\n\
             batch_seconds_sum 1.5\n\
             batch_seconds_count {all}\n\
             batch_seconds_bucket{{le=\"0.01\"}} {ten}\n\
             batch_seconds_bucket{{le=\"0.02\"}} {twenty}\n\
             batch_seconds_bucket{{le=\"0.05\"}} {fifty}\n\
             batch_seconds_bucket{{le=\"+Inf\"}} {all}\n\
             other_bucket{{le=\"0.01\"}} 7\n# EOF\n"
        );
        Classes::read(&text, "batch_seconds")
    }

    fn assert_quantile(classes: &Classes, part: f64, seconds: f64) {
        let found = classes.quantile(part).unwrap();
        assert!((found - seconds).abs() < 1e-12, "{found} for {seconds}");
    }

    #[test]
    fn a_quantile_lies_within_its_class() {
        let classes = read([0, 80, 100, 100]).unwrap();
        assert_quantile(&classes, 0.4, 0.015);
        assert_quantile(&classes, 0.8, 0.02);
        assert_quantile(&classes, 0.9, 0.035);
        assert_quantile(&classes, 1.0, 0.05);
    }

    #[test]
    fn a_quantile_beyond_the_last_bound_is_told_as_that_bound() {
        let classes = read([0, 0, 98, 100]).unwrap();
        assert_quantile(&classes, 0.99, 0.05);
    }

    #[test]
    fn workers_add_up() {
        let both = read([10, 10, 10, 10])
            .unwrap()
            .add(&read([0, 0, 10, 10]).unwrap());
        assert_eq!(both, read([10, 10, 20, 20]));
        let other = Classes::read("x_bucket{le=\"+Inf\"} 1", "x").unwrap();
        assert_eq!(read([1, 1, 1, 1]).unwrap().add(&other), None);
    }

    #[test]
    fn nothing_counted_has_no_quantile() {
        assert_eq!(read([0; 4]).unwrap().quantile(0.99), None);
        assert_eq!(Classes::read("# EOF\n", "batch_seconds"), None);
        assert_eq!(read([2, 1, 1, 1]), None);
    }
}
