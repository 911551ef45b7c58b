//! How long batches took, in the buckets in which a process tells it at `/metrics`, and quantiles of that.

use crate::figures::number;

/// Times counted by buckets. Those of several processes can be added up.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Buckets(Vec<Bucket>);

/// The times up to a bound and above the one before it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bucket {
    /// In seconds; infinite for the last.
    up_to: f64,
    times: u64,
}

impl Buckets {
    /// Reads a histogram without labels out of a text in the form of `OpenMetrics`. `None` where there is none of
    /// that name, or one whose counts shrink.
    pub(crate) fn read(metrics: &str, name: &str) -> Option<Self> {
        let mut buckets = Vec::new();
        let mut so_far = 0;
        for line in metrics.lines() {
            let Some((bound, count)) = line_of(line, name) else {
                continue;
            };
            let up_to_here: u64 = count.parse().ok()?;
            buckets.push(Bucket {
                up_to: bound.parse().ok()?,
                times: up_to_here.checked_sub(so_far)?,
            });
            so_far = up_to_here;
        }
        (!buckets.is_empty()).then_some(Self(buckets))
    }

    /// Adds another process's times, which have the same buckets; `None` where they have not.
    pub(crate) fn add(mut self, other: &Self) -> Option<Self> {
        if self.0.len() != other.0.len() {
            return None;
        }
        for (bucket, more) in self.0.iter_mut().zip(&other.0) {
            if bucket.up_to.total_cmp(&more.up_to).is_ne() {
                return None;
            }
            bucket.times += more.times;
        }
        Some(self)
    }

    /// The time that this part of all times does not exceed, in seconds, as if the times of a bucket
    /// were spread evenly over it. For the bucket without an upper bound it is its lower bound.
    /// `None` where nothing was counted.
    pub(crate) fn quantile(&self, part: f64) -> Option<f64> {
        let all: u64 = self.0.iter().map(|bucket| bucket.times).sum();
        if all == 0 {
            return None;
        }
        let rank = part * number(all);
        let (mut above, mut so_far) = (0.0, 0.0);
        for bucket in &self.0 {
            let times = number(bucket.times);
            if times > 0.0 && so_far + times >= rank {
                return Some(if bucket.up_to.is_finite() {
                    above + (bucket.up_to - above) * ((rank - so_far) / times)
                } else {
                    above
                });
            }
            so_far += times;
            if bucket.up_to.is_finite() {
                above = bucket.up_to;
            }
        }
        Some(above)
    }
}

/// The bound and the count of a line such as `name_bucket{le="0.001"} 3`.
fn line_of<'a>(line: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    line.strip_prefix(name)?
        .strip_prefix("_bucket{le=\"")?
        .split_once("\"} ")
}

#[cfg(test)]
mod tests {
    use super::Buckets;

    /// Cumulative counts up to 10 ms, 20 ms, 50 ms and without a bound, among other metrics.
    fn read(counts: [u64; 4]) -> Option<Buckets> {
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
        Buckets::read(&text, "batch_seconds")
    }

    fn assert_quantile(buckets: &Buckets, part: f64, seconds: f64) {
        let found = buckets.quantile(part).unwrap();
        assert!((found - seconds).abs() < 1e-12, "{found} for {seconds}");
    }

    #[test]
    fn a_quantile_lies_within_its_bucket() {
        let buckets = read([0, 80, 100, 100]).unwrap();
        assert_quantile(&buckets, 0.4, 0.015);
        assert_quantile(&buckets, 0.8, 0.02);
        assert_quantile(&buckets, 0.9, 0.035);
        assert_quantile(&buckets, 1.0, 0.05);
    }

    #[test]
    fn a_quantile_beyond_the_last_bound_is_told_as_that_bound() {
        let buckets = read([0, 0, 98, 100]).unwrap();
        assert_quantile(&buckets, 0.99, 0.05);
    }

    #[test]
    fn workers_add_up() {
        let both = read([10, 10, 10, 10])
            .unwrap()
            .add(&read([0, 0, 10, 10]).unwrap());
        assert_eq!(both, read([10, 10, 20, 20]));
        let other = Buckets::read("x_bucket{le=\"+Inf\"} 1", "x").unwrap();
        assert_eq!(read([1, 1, 1, 1]).unwrap().add(&other), None);
    }

    #[test]
    fn nothing_counted_has_no_quantile() {
        assert_eq!(read([0; 4]).unwrap().quantile(0.99), None);
        assert_eq!(Buckets::read("# EOF\n", "batch_seconds"), None);
        assert_eq!(read([2, 1, 1, 1]), None);
    }
}
