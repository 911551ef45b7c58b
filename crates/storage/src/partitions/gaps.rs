//! The parts of a month that no partition covers.

use chrono::{DateTime, Datelike, Months, NaiveDate, Utc};

/// What a partition covers, without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) begins: DateTime<Utc>,
    pub(super) ends: DateTime<Utc>,
}

/// The first day of the month of a time, in UTC.
pub(super) fn month_of(time: DateTime<Utc>) -> NaiveDate {
    let date = time.date_naive();
    date.with_day(1).unwrap_or(date)
}

/// The end of the name of a month's partition, such as `2026_11`.
pub(super) fn suffix(month: NaiveDate) -> String {
    month.format("%Y_%m").to_string()
}

/// The parts of a month that none of the partitions covers: the whole month, unless somebody made a partition of
/// other dates by hand.
pub(super) fn gaps(month: NaiveDate, partitions: &[Range]) -> Vec<Range> {
    let following = month.checked_add_months(Months::new(1));
    let ends = beginning(following.unwrap_or(NaiveDate::MAX));
    let mut taken: Vec<&Range> = partitions.iter().collect();
    taken.sort_by_key(|range| range.begins);
    let mut found = Vec::new();
    let mut begins = beginning(month);
    for range in taken {
        if range.begins >= ends {
            break;
        }
        if range.begins > begins {
            found.push(Range {
                begins,
                ends: range.begins,
            });
        }
        begins = begins.max(range.ends);
    }
    if begins < ends {
        found.push(Range { begins, ends });
    }
    found
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

    fn range((begins, ends): &(&str, &str)) -> Range {
        Range {
            begins: time(begins),
            ends: time(ends),
        }
    }

    #[test]
    fn the_parts_of_a_month_without_a_partition_are_its_gaps() {
        let december = ("2026-12-01", "2027-01-01");
        for (partitions, expected) in [
            (&[][..], &[december][..]),
            (
                &[("2027-01-01", "2027-02-01"), ("2026-11-01", "2026-12-01")],
                &[december],
            ),
            (&[december], &[]),
            (&[("2026-01-01", "2028-01-01")], &[]),
            (
                &[("2026-12-20", "2027-02-01"), ("2026-12-05", "2026-12-06")],
                &[("2026-12-01", "2026-12-05"), ("2026-12-06", "2026-12-20")],
            ),
            (
                &[("2026-11-20", "2026-12-05")],
                &[("2026-12-05", "2027-01-01")],
            ),
        ] {
            let taken: Vec<Range> = partitions.iter().map(range).collect();
            let expected: Vec<Range> = expected.iter().map(range).collect();
            let found = gaps(month_of(time("2026-12-31")), &taken);
            assert_eq!(found, expected, "{partitions:?}");
        }
    }
}
