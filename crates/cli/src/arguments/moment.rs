//! Instants on the command line.

use chrono::{DateTime, TimeDelta, Utc};
use harkara_runtime::clock;

/// Parses an RFC 3339 time, or a duration such as `90m` before now.
pub(crate) fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    read(text, now()).ok_or_else(|| {
        "expected a duration before now such as 30s, 90m, 1h, 7d or 2w, or a time such as \
         2026-11-23T10:00:00Z"
            .to_owned()
    })
}

/// The current time.
pub(crate) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(clock::now().millis())
        .expect("the clock's times lie between 1970 and 2100")
}

fn read(text: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    let before = humantime::parse_duration(text).ok()?;
    now.checked_sub_signed(TimeDelta::from_std(before).ok()?)
}

#[cfg(test)]
mod tests {
    use super::{DateTime, read};

    #[test]
    fn a_moment_is_a_time_or_a_duration_before_now() {
        let now = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        for (text, seconds) in [
            ("30s", 30),
            ("90m", 5400),
            ("1h", 3600),
            ("7d", 604_800),
            ("2w", 1_209_600),
            ("1h 30m", 5400),
        ] {
            let time = read(text, now).unwrap();
            assert_eq!((now - time).num_seconds(), seconds, "{text}");
        }
        let time = read("2026-11-23T15:30:00+05:30", now).unwrap();
        assert_eq!(time.to_rfc3339(), "2026-11-23T10:00:00+00:00");
        for text in [
            "",
            "h",
            "-1h",
            "15",
            "yesterday",
            "2026-11-23",
            "9999999999999h",
            "1é",
        ] {
            assert_eq!(read(text, now), None, "{text}");
        }
    }
}
