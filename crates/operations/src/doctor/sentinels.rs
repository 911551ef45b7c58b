//! Whether Redis Sentinel tells where the primary is.

use harkara_settings::Settings;
use harkara_streams::{SentinelState, inspect_sentinels};

use super::finding::{Area, Finding};

const AREA: Area = Area::Sentinels;

/// Asks every sentinel of the settings; gives nothing where there are none.
pub(super) async fn examine(settings: &Settings) -> Vec<Finding> {
    let states = inspect_sentinels(&settings.redis).await;
    let mut findings: Vec<Finding> = states.iter().map(of_one).collect();
    findings.extend(together(&states));
    findings
}

fn of_one(state: &SentinelState) -> Finding {
    let check = format!("sentinel {}", state.address);
    match &state.primary {
        Ok(primary) => AREA.ok(check, format!("says that the primary is {primary}")),
        Err(reason) => AREA.warning(
            check,
            format!("does not tell where the primary is: {reason}"),
            "start it, or correct redis.sentinels, redis.sentinel_primary or redis.sentinel_password",
        ),
    }
}

fn together(states: &[SentinelState]) -> Option<Finding> {
    let check = "agreement";
    let told: Vec<_> = states
        .iter()
        .filter_map(|s| s.primary.as_ref().ok())
        .collect();
    let first = match told.first() {
        Some(first) => *first,
        None if states.is_empty() => return None,
        None => {
            return Some(AREA.problem(
                check,
                "no sentinel tells where the primary is: Redis cannot be connected to",
                "start the sentinels, or correct redis.sentinels",
            ));
        }
    };
    if told.iter().any(|primary| *primary != first) {
        return Some(AREA.warning(
            check,
            "they name different primaries",
            "a failover may be under way: look again in a minute, then at the network between them",
        ));
    }
    let most = states.len() / 2 + 1;
    if told.len() < most {
        return Some(AREA.warning(
            check,
            format!(
                "{} of {} answer: too few to agree on a failover",
                told.len(),
                states.len()
            ),
            "start the others",
        ));
    }
    Some(AREA.ok(
        check,
        format!("{} of {} name the same primary", told.len(), states.len()),
    ))
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
        for (told, status) in [
            (&[a, a, a][..], Some(Status::Ok)),
            (&[a, a, None], Some(Status::Ok)),
            (&[a, None, None], Some(Status::Warning)),
            (&[a, b, a], Some(Status::Warning)),
            (&[None, None], Some(Status::Problem)),
            (&[], None),
        ] {
            let states: Vec<_> = told.iter().map(|primary| state(*primary)).collect();
            assert_eq!(together(&states).map(|f| f.status), status, "{told:?}");
        }
    }
}
