//! Numbers and durations as operators read them.

use std::time::Duration;

/// A duration in its two largest units, such as `1d 2h` or `1s 500ms`.
#[must_use]
pub fn duration(time: Duration) -> String {
    const UNITS: [(u128, &str); 6] = [
        (86_400_000_000, "d"),
        (3_600_000_000, "h"),
        (60_000_000, "m"),
        (1_000_000, "s"),
        (1_000, "ms"),
        (1, "us"),
    ];
    let mut rest = time.as_micros();
    let Some(largest) = UNITS.iter().position(|(size, _)| rest >= *size) else {
        return "0s".to_owned();
    };
    let mut parts = Vec::new();
    for (size, unit) in UNITS.into_iter().skip(largest).take(2) {
        if rest >= size {
            parts.push(format!("{}{unit}", rest / size));
        }
        rest %= size;
    }
    parts.join(" ")
}

/// Bytes in mebibytes.
#[must_use]
pub fn mebibytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10) >> 20;
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

/// `1 event`, `2 events`, `2 entries`.
#[must_use]
pub fn counted(number: u64, noun: &str) -> String {
    if number == 1 {
        return format!("1 {noun}");
    }
    match noun.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o']) => format!("{number} {stem}ies"),
        _ => format!("{number} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units() {
        for (time, expected) in [
            (Duration::ZERO, "0s"),
            (Duration::from_nanos(1_999), "1us"),
            (Duration::from_micros(12_345), "12ms 345us"),
            (Duration::from_millis(1_500), "1s 500ms"),
            (Duration::from_millis(61_900), "1m 1s"),
            (Duration::from_secs(3_659), "1h"),
            (Duration::from_hours(25), "1d 1h"),
            (Duration::from_hours(24 * 400), "400d"),
        ] {
            assert_eq!(duration(time), expected, "{time:?}");
        }
    }

    #[test]
    fn amounts_have_units() {
        assert_eq!(mebibytes(0), "0.0 MiB");
        assert_eq!(mebibytes(1_572_864), "1.5 MiB");
        assert_eq!(mebibytes(u64::MAX), "1759218604441.5 MiB");
        assert_eq!(counted(1, "entry"), "1 entry");
        assert_eq!(counted(0, "entry"), "0 entries");
        assert_eq!(counted(2, "event"), "2 events");
        assert_eq!(counted(2, "day"), "2 days");
    }
}
