//! The durations of batches in the buckets of a histogram at `/metrics`, and their quantiles.

use crate::figures::number;

/// Cumulative counts by upper bound in seconds; the last bound is infinite.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Buckets(Vec<(f64, u64)>);

impl Buckets {
    /// Reads a histogram without labels from a text in the `OpenMetrics` format. `None` if there is none of
    /// that name, or its counts shrink.
    pub(crate) fn read(metrics: &str, name: &str) -> Option<Self> {
        let bucket = |line: &str| -> Option<(f64, u64)> {
            let (bound, count) = line
                .strip_prefix(name)?
                .strip_prefix("_bucket{le=\"")?
                .split_once("\"} ")?;
            Some((bound.parse().ok()?, count.parse().ok()?))
        };
        let buckets: Vec<_> = metrics.lines().filter_map(bucket).collect();
        let grows = buckets.is_sorted_by_key(|(_, count)| *count);
        (grows && !buckets.is_empty()).then_some(Self(buckets))
    }

    /// Adds another process's counts; `None` if its buckets differ.
    pub(crate) fn add(mut self, other: &Self) -> Option<Self> {
        let bounds = |buckets: &Self| buckets.0.iter().map(|(bound, _)| bound.to_bits()).collect();
        let (own, others): (Vec<u64>, Vec<u64>) = (bounds(&self), bounds(other));
        if own != others {
            return None;
        }
        for ((_, count), (_, more)) in self.0.iter_mut().zip(&other.0) {
            *count += more;
        }
        Some(self)
    }

    /// The time in seconds that this share of all times does not exceed, as if the times of a bucket
    /// were spread evenly over it. For the bucket without an upper bound it is its lower bound.
    /// `None` if nothing was counted.
    pub(crate) fn quantile(&self, share: f64) -> Option<f64> {
        let (_, all) = self.0.last().filter(|(_, all)| *all > 0)?;
        let rank = share * number(*all);
        let (mut lower, mut before) = (0.0, 0.0);
        for (bound, count) in &self.0 {
            let count = number(*count);
            if count >= rank && bound.is_finite() {
                return Some(lower + (bound - lower) * ((rank - before) / (count - before)));
            }
            if bound.is_finite() {
                (lower, before) = (*bound, count);
            }
        }
        Some(lower)
    }
}

#[cfg(test)]
mod tests {
    use super::Buckets;

    /// Cumulative counts up to 10 ms, 20 ms, 50 ms and without a bound, among other metrics.
    fn read([ten, twenty, fifty, all]: [u64; 4]) -> Option<Buckets> {
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

    #[test]
    fn a_quantile_lies_within_its_bucket_or_at_the_last_bound() {
        for (counts, share, seconds) in [
            ([0, 80, 100, 100], 0.4, 0.015),
            ([0, 80, 100, 100], 0.8, 0.02),
            ([0, 80, 100, 100], 0.9, 0.035),
            ([0, 80, 100, 100], 1.0, 0.05),
            ([0, 0, 98, 100], 0.99, 0.05),
        ] {
            let found = read(counts).unwrap().quantile(share).unwrap();
            assert!((found - seconds).abs() < 1e-12, "{found} for {seconds}");
        }
    }

    #[test]
    fn workers_add_up() {
        let [one, other] = [[10; 4], [0, 0, 10, 10]].map(|counts| read(counts).unwrap());
        assert_eq!(one.clone().add(&other), read([10, 10, 20, 20]));
        let different = Buckets::read("x_bucket{le=\"+Inf\"} 1", "x").unwrap();
        assert_eq!(one.add(&different), None);
    }

    #[test]
    fn nothing_counted_has_no_quantile() {
        assert_eq!(read([0; 4]).unwrap().quantile(0.99), None);
        assert_eq!(Buckets::read("# EOF\n", "batch_seconds"), None);
        assert_eq!(read([2, 1, 1, 1]), None);
    }
}
