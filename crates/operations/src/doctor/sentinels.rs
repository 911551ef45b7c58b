//! Whether the sentinels agree on the primary.

use harkara_settings::Settings;
use harkara_streams::{SentinelState, inspect_sentinels};

use super::finding::{Area, Finding};

const AREA: Area = Area::Sentinels;

/// Asks every configured sentinel; returns nothing if there is none.
pub(super) async fn examine(settings: &Settings) -> Vec<Finding> {
    let states = inspect_sentinels(&settings.redis).await;
    let mut findings: Vec<Finding> = states.iter().map(of_one).collect();
    findings.extend((!states.is_empty()).then(|| together(&states)));
    findings
}

fn of_one(state: &SentinelState) -> Finding {
    let check = AREA.check(format!("sentinel {}", state.address));
    match &state.primary {
        Ok(primary) => check.ok(format!("reports the primary {primary}")),
        Err(reason) => check.warning(
            format!("does not report a primary: {reason}"),
            "start it, or correct redis.sentinels, redis.sentinel_primary or redis.sentinel_password",
        ),
    }
}

fn together(states: &[SentinelState]) -> Finding {
    let check = AREA.check("agreement");
    let answers = states
        .iter()
        .filter_map(|state| state.primary.as_ref().ok());
    let answers: Vec<_> = answers.collect();
    let (n, of) = (answers.len(), states.len());
    if n == 0 {
        return check.problem(
            "no sentinel reports a primary, so Redis cannot be reached",
            "start the sentinels, or correct redis.sentinels",
        );
    }
    if answers.iter().any(|primary| *primary != answers[0]) {
        return check.warning(
            "they name different primaries",
            "a failover may be in progress: check again in a minute, then check the network between them",
        );
    }
    if n <= of / 2 {
        return check.warning(
            format!("{n} of {of} answer: too few to agree on a failover"),
            "start the others",
        );
    }
    check.ok(format!("{n} of {of} name the same primary"))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;

    fn state(primary: Option<&str>) -> SentinelState {
        SentinelState {
            address: "s:26379".to_owned(),
            primary: primary
                .map(|address| address.parse().unwrap())
                .ok_or_else(|| "away".to_owned()),
        }
    }

    #[test]
    fn sentinels_are_judged_together() {
        let (a, b) = (Some("10.0.0.1:6379"), Some("10.0.0.2:6379"));
        for (primaries, status) in [
            (&[a, a, a][..], Status::Ok),
            (&[a, a, None], Status::Ok),
            (&[a, None, None], Status::Warning),
            (&[a, b, a], Status::Warning),
            (&[None, None], Status::Problem),
        ] {
            let states: Vec<_> = primaries.iter().map(|primary| state(*primary)).collect();
            assert_eq!(together(&states).status, status, "{primaries:?}");
        }
    }
}
