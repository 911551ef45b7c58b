//! This machine's clock against those of both servers.

use std::time::Duration;

use super::clock_skew::Skew;

use super::finding::{Area, Finding};
use crate::wording::duration;

const AREA: Area = Area::Clocks;

/// Clocks that are further apart are warned of. Machines that ask for the time by NTP are within a tenth of
/// it; no decision of ours hangs on it, but what people read does.
const SKEW_MAX: Duration = Duration::from_secs(1);

/// Judges how far a server's clock is from this machine's, or why that is not known.
pub(super) fn judged(server: &str, skew: Result<Skew, String>) -> Finding {
    let check = format!("{server} and this machine");
    let skew = match skew {
        Ok(skew) => skew,
        Err(reason) => {
            return AREA.warning(
                check,
                format!("could not be compared: {reason}"),
                "look again when the server answers",
            );
        }
    };
    let apart = Duration::from_micros(skew.ahead_us.unsigned_abs());
    let direction = if skew.ahead_us < 0 { "behind" } else { "ahead" };
    let told = format!(
        "the server is {} {direction}, give or take {}",
        duration(apart),
        duration(Duration::from_micros(skew.uncertainty_us))
    );
    if Duration::from_micros(skew.least_us()) <= SKEW_MAX {
        return AREA.ok(check, told);
    }
    AREA.warning(
        check,
        told,
        "have both machines set their clocks by NTP: an ingress writes its own time as created_at, which also \
         names the month's partition",
    )
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;

    #[test]
    fn clocks_are_warned_of_only_where_they_are_surely_apart() {
        let skew = |ahead_us, uncertainty_us| Skew {
            ahead_us,
            uncertainty_us,
        };
        for (skew, status) in [
            (skew(0, 100), Status::Ok),
            (skew(-900_000, 0), Status::Ok),
            (skew(1_400_000, 600_000), Status::Ok),
            (skew(-1_400_000, 100_000), Status::Warning),
            (skew(7_200_000_000, 100), Status::Warning),
        ] {
            assert_eq!(judged("Redis", Ok(skew)).status, status, "{skew:?}");
        }
        let told = judged("Redis", Ok(skew(-7_200_000_000, 100))).found;
        assert!(told.contains("2h behind"), "{told}");
        let unknown = judged("Redis", Err("NOPERM".to_owned()));
        assert_eq!(unknown.status, Status::Warning);
    }
}
