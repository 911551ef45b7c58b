//! Which months a default partition becomes the partition of.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, Months, NaiveDate, TimeDelta, Utc};

/// Rows of the time around now are written all the time, so the default partition must go on taking those
/// until another takes them. A backlog is rarely older, nor a clock further ahead.
const WRITTEN_AROUND_NOW: TimeDelta = TimeDelta::days(3);

/// What a partition covers, without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) begins: DateTime<Utc>,
    pub(super) ends: DateTime<Utc>,
}

/// Successive months in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    first: NaiveDate,
    last: NaiveDate,
}

impl Span {
    pub(super) fn begins(self) -> DateTime<Utc> {
        beginning(self.first)
    }

    /// The beginning of the month after it.
    pub(super) fn ends(self) -> DateTime<Utc> {
        beginning(next(self.last))
    }

    /// The end of the name of its partition, such as `2026_11` or `2026_09_to_2026_11`.
    pub(super) fn suffix(self) -> String {
        let name = |month: NaiveDate| month.format("%Y_%m");
        if self.first == self.last {
            name(self.first).to_string()
        } else {
            format!("{}_to_{}", name(self.first), name(self.last))
        }
    }
}

/// The months that the default partition is to become the partition of, given the months of its rows and the
/// other partitions.
///
/// Rows outside of them have to be moved, and cannot be written meanwhile. So they are the successive months
/// with rows around now, if the time around now has no other partition, and else the latest.
pub(super) fn to_convert(
    with_rows: &[DateTime<Utc>],
    partitions: &[Range],
    now: DateTime<Utc>,
) -> Option<Span> {
    let is_free = |month: &NaiveDate| {
        let (begins, ends) = (beginning(*month), beginning(next(*month)));
        !partitions
            .iter()
            .any(|other| other.begins < ends && other.ends > begins)
    };
    let around_now = [now - WRITTEN_AROUND_NOW, now + WRITTEN_AROUND_NOW].map(month_of);
    let mut free: BTreeSet<NaiveDate> = with_rows.iter().copied().map(month_of).collect();
    free.retain(is_free);
    if free.is_empty() {
        return None;
    }
    free.extend(around_now.iter().filter(|month| is_free(month)));
    let free: Vec<NaiveDate> = free.into_iter().collect();
    let spans: Vec<Span> = free
        .chunk_by(|month, following| next(*month) == *following)
        .filter_map(|months| {
            Some(Span {
                first: *months.first()?,
                last: *months.last()?,
            })
        })
        .collect();
    let is_around_now = |span: &&Span| {
        let mut months = around_now.iter();
        months.any(|month| (span.first..=span.last).contains(month))
    };
    let found = spans.iter().find(is_around_now).or(spans.last());
    found.copied()
}

fn month_of(time: DateTime<Utc>) -> NaiveDate {
    let date = time.date_naive();
    date.with_day(1).unwrap_or(date)
}

fn next(month: NaiveDate) -> NaiveDate {
    month
        .checked_add_months(Months::new(1))
        .unwrap_or(NaiveDate::MAX)
}

fn beginning(month: NaiveDate) -> DateTime<Utc> {
    month.and_time(chrono::NaiveTime::MIN).and_utc()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        format!("{text}T00:00:00Z").parse().unwrap()
    }

    fn converted(with_rows: &[&str], partitions: &[&str], now: &str) -> Option<String> {
        let with_rows: Vec<_> = with_rows.iter().map(|month| time(month)).collect();
        let range = |month: &&str| {
            let month = month_of(time(month));
            Range {
                begins: beginning(month),
                ends: beginning(next(month)),
            }
        };
        let partitions: Vec<_> = partitions.iter().map(range).collect();
        to_convert(&with_rows, &partitions, time(now)).map(Span::suffix)
    }

    #[test]
    fn the_months_around_now_come_first_then_the_latest() {
        let other = ["2026-10-01", "2026-12-01"];
        for (with_rows, partitions, now, expected) in [
            (&[][..], &[][..], "2026-11-15", None),
            (&["2026-11-01"], &other, "2026-11-15", Some("2026_11")),
            // The partition of this month exists.
            (
                &["2026-08-01", "2026-09-01"],
                &other,
                "2026-10-15",
                Some("2026_08_to_2026_09"),
            ),
            (
                &["1970-01-01", "2026-08-01"],
                &other,
                "2026-10-15",
                Some("2026_08"),
            ),
            // A wrong clock is not served before this month.
            (
                &["2026-11-01", "2100-01-01"],
                &other,
                "2026-11-15",
                Some("2026_11"),
            ),
            // Rows of the next month may arrive at any time.
            (
                &["2026-11-01"],
                &["2026-10-01"],
                "2026-11-29",
                Some("2026_11_to_2026_12"),
            ),
            (
                &["2026-08-01"],
                &["2026-10-01"],
                "2026-11-15",
                Some("2026_11"),
            ),
            // Somebody has made a partition of this month.
            (&["2026-10-01"], &other, "2026-11-15", None),
        ] {
            let span = converted(with_rows, partitions, now);
            assert_eq!(
                span.as_deref(),
                expected,
                "{with_rows:?} {partitions:?} {now}"
            );
        }
    }

    #[test]
    fn a_span_ends_where_the_month_after_it_begins() {
        let span = to_convert(&[time("2026-12-01")], &[], time("2026-12-15")).unwrap();
        assert_eq!(span.begins(), time("2026-12-01"));
        assert_eq!(span.ends(), time("2027-01-01"));
    }
}
