//! Spans of time on the command line.

use std::time::Duration;

/// Reads a whole number with its unit, such as `500ms` or `10s`.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    read(text).ok_or_else(|| "expected a span such as 500ms, 10s, 5m or 1h".to_owned())
}

fn read(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let each = match unit {
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "m" => Duration::from_mins(1),
        "h" => Duration::from_hours(1),
        _ => return None,
    };
    each.checked_mul(number.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::{Duration, read};

    #[test]
    fn a_span_is_a_whole_number_with_its_unit() {
        for (text, seconds) in [("10s", 10.0), ("500ms", 0.5), ("5m", 300.0), ("1h", 3600.0)] {
            assert_eq!(read(text), Some(Duration::from_secs_f64(seconds)), "{text}");
        }
        for text in ["", "10", "s", "-1s", "1.5s", "1d", "10 s", "99999999999s"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
