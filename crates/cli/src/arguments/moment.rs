//! Instants on the command line.

use chrono::{DateTime, TimeDelta, Utc};
use harkara_runtime::clock;

/// Reads an RFC 3339 time, or a span such as `90m` that is taken back from now.
pub(crate) fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    read(text, now()).ok_or_else(|| {
        "expected a span back from now such as 30s, 90m, 1h, 7d or 2w, or a time such as \
         2026-11-23T10:00:00Z"
            .to_owned()
    })
}

/// The present instant.
pub(crate) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(clock::now().millis())
        .expect("the clock's times lie between 1970 and 2100")
}

fn read(text: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds_each = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        "w" => 7 * 24 * 3600,
        _ => return None,
    };
    let number: u32 = number.parse().ok()?;
    now.checked_sub_signed(TimeDelta::try_seconds(i64::from(number) * seconds_each)?)
}

#[cfg(test)]
mod tests {
    use super::{DateTime, read};

    #[test]
    fn spans_count_back_from_now_and_times_stand_for_themselves() {
        let now = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        for (text, seconds) in [
            ("30s", 30),
            ("90m", 5400),
            ("1h", 3600),
            ("7d", 604_800),
            ("2w", 1_209_600),
        ] {
            assert_eq!(
                (now - read(text, now).unwrap()).num_seconds(),
                seconds,
                "{text}"
            );
        }
        let time = read("2026-11-23T15:30:00+05:30", now).unwrap();
        assert_eq!(time.to_rfc3339(), "2026-11-23T10:00:00+00:00");
    }

    #[test]
    fn anything_else_is_refused() {
        let now = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        for text in [
            "",
            "h",
            "-1h",
            "1y",
            "1.5h",
            "yesterday",
            "2026-11-23",
            "9999999999h",
            "1é",
        ] {
            assert_eq!(read(text, now), None, "{text}");
        }
    }
}
