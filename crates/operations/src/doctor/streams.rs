//! The lanes: what waits in them, and who works on it.

use std::collections::BTreeMap;
use std::time::Duration;

use harkara_core::lane::Lane;
use harkara_settings::{IngressSettings, Settings, WorkerSettings};
use harkara_streams::inspection::{LaneState, inspect_lane, server_time_us};
use redis::aio::MultiplexedConnection;

use super::finding::{Area, Finding};
use super::health::{NEAR_PERCENT, beyond, where_else};
use super::probe::within;
use crate::wording::{counted, duration};

const AREA: Area = Area::Streams;

/// Reclaim rounds after which an entry counts as missed.
const RECLAIMS_MISSED: u32 = 2;

/// A lane, and what was found there.
type Looked = (Lane, Result<LaneState, String>);

/// Looks at every lane of the settings' partition.
pub(super) async fn examine(
    settings: &Settings,
    connection: &mut MultiplexedConnection,
) -> Vec<Finding> {
    let mut lanes: Vec<Looked> = Vec::new();
    for lane in Lane::ALL {
        let looked = inspect_lane(connection, settings.redis.partition, lane);
        lanes.push((lane, within(looked).await));
    }
    let now = within(server_time_us(connection)).await.unwrap_or(0);
    let now_ms = u64::try_from(now / 1_000).unwrap_or(0);
    judged(&lanes, now_ms, settings)
}

fn judged(lanes: &[Looked], now_ms: u64, settings: &Settings) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for (lane, looked) in lanes {
        let check = format!("lane {lane}");
        findings.push(match looked {
            Err(reason) => AREA.problem(
                check,
                format!("{} could not be looked at: {reason}", lane.stream_key(settings.redis.partition)),
                "allow XLEN, XINFO and XPENDING to the user of redis.url; a key of another kind must go",
            ),
            Ok(state) => of_lane(check, state, now_ms, &settings.worker),
        });
    }
    let states = lanes.iter().filter_map(|(_, looked)| looked.as_ref().ok());
    let states: Vec<&LaneState> = states.collect();
    if !states.is_empty() {
        let entries = states.iter().map(|state| state.entries).sum();
        findings.push(backlog(entries, &settings.ingress));
        findings.push(consumers(&states, entries, &settings.worker));
    }
    findings
}

fn of_lane(check: String, state: &LaneState, now_ms: u64, worker: &WorkerSettings) -> Finding {
    let entries = counted_entries(state.entries);
    let Some(group) = &state.group else {
        return if state.entries == 0 {
            AREA.ok(
                check,
                "no entries, and no consumer group yet: the first worker makes it",
            )
        } else {
            AREA.warning(
                check,
                format!("{entries} and no consumer group: no worker has begun"),
                "start a worker; it begins with the first entry",
            )
        };
    };
    let Some(oldest) = &group.oldest else {
        return AREA.ok(check, format!("{entries}, none pending"));
    };
    let age = Duration::from_millis(now_ms.saturating_sub(oldest.appended_at_ms));
    let told = format!(
        "{entries}, {} pending, the oldest accepted {} ago",
        group.pending,
        duration(age)
    );
    if oldest.idle > reclaimed_after(worker) {
        return AREA.warning(
            check,
            format!(
                "{told}; nobody has shown a sign of life for it for {}",
                duration(oldest.idle)
            ),
            "start a worker, which takes it over; if workers run, their log tells why they do not",
        );
    }
    AREA.ok(check, told)
}

fn counted_entries(n: u64) -> String {
    match n {
        1 => "1 entry".to_owned(),
        n => format!("{n} entries"),
    }
}

/// By when a pending entry whose holder is gone has another.
fn reclaimed_after(worker: &WorkerSettings) -> Duration {
    worker.claim_idle + worker.reclaim_every * RECLAIMS_MISSED
}

fn backlog(entries: u64, ingress: &IngressSettings) -> Finding {
    let check = "entries in all";
    let most = ingress.entries_max;
    let told = format!("{entries}; from {most} deliveries {}", where_else(ingress));
    let remedy =
        "run more workers, or find out why they are slow; ingress.entries_max is the bound";
    if entries >= most {
        return beyond(AREA, check, told, remedy, ingress);
    }
    if entries.saturating_mul(100) >= most.saturating_mul(NEAR_PERCENT) {
        return AREA.warning(check, told, remedy);
    }
    AREA.ok(check, told)
}

/// Those that work, by name: a worker is a consumer of every lane.
fn consumers(lanes: &[&LaneState], entries: u64, worker: &WorkerSettings) -> Finding {
    let check = "consumers";
    let mut by_name: BTreeMap<&str, (u64, Duration)> = BTreeMap::new();
    let groups = lanes.iter().filter_map(|lane| lane.group.as_ref());
    for consumer in groups.flat_map(|group| &group.consumers) {
        let (pending, idle) = by_name
            .entry(consumer.name.as_str())
            .or_insert((0, consumer.idle));
        *pending += consumer.pending;
        *idle = consumer.idle.min(*idle);
    }
    let quiet_max = worker.quiet_max();
    let stale = by_name.iter().find(|(_, (pending, idle))| {
        *pending > 0 && *idle > reclaimed_after(worker).max(quiet_max)
    });
    if let Some((name, (pending, idle))) = stale {
        let held = counted_entries(*pending);
        return AREA.warning(
            check,
            format!("{name} has been silent for {} and holds {held}", duration(*idle)),
            "start a worker, which reclaims its entries; a silent one without entries is removed by itself",
        );
    }
    let at_work = by_name.values().filter(|(_, idle)| *idle <= quiet_max);
    let at_work = u64::try_from(at_work.count()).unwrap_or(u64::MAX);
    if at_work == 0 && entries > 0 {
        return AREA.warning(
            check,
            "entries wait, and no worker is at work",
            "start a worker",
        );
    }
    AREA.ok(check, format!("{} at work", counted(at_work, "worker")))
}

#[cfg(test)]
mod tests {
    use harkara_streams::inspection::{ConsumerState, GroupState, OldestPending};

    use super::super::finding::Status;
    use super::*;

    const NOW_MS: u64 = 1_790_000_000_000;

    fn settings() -> Settings {
        Settings::from_map(BTreeMap::new()).unwrap()
    }

    fn group(pending: u64, idle_s: u64) -> GroupState {
        let idle = Duration::from_secs(idle_s);
        GroupState {
            pending,
            oldest: (pending > 0).then(|| OldestPending {
                appended_at_ms: NOW_MS - 3_600_000,
                consumer: "w".to_owned(),
                idle,
            }),
            consumers: vec![ConsumerState {
                name: "w".to_owned(),
                pending,
                idle,
            }],
        }
    }

    fn found(entries: u64, group: Option<GroupState>) -> BTreeMap<String, (Status, String)> {
        let state = LaneState { entries, group };
        let findings = judged(&[(Lane::Default, Ok(state))], NOW_MS, &settings());
        findings
            .into_iter()
            .map(|f| (f.check, (f.status, f.found)))
            .collect()
    }

    #[test]
    fn lanes_that_nobody_has_used_are_sound() {
        assert!(
            found(0, None)
                .values()
                .all(|(status, _)| *status == Status::Ok)
        );
    }

    #[test]
    fn entries_that_nobody_works_on_are_warned_of() {
        let found = found(5, None);
        assert_eq!(found["lane default"].0, Status::Warning);
        assert_eq!(found["consumers"].0, Status::Warning);
    }

    #[test]
    fn an_old_entry_with_a_live_holder_is_sound_and_its_age_is_told() {
        let found = found(3, Some(group(2, 10)));
        assert_eq!(found["lane default"].0, Status::Ok);
        assert!(found["lane default"].1.contains("accepted 1h ago"));
        assert_eq!(
            found["consumers"],
            (Status::Ok, "1 worker at work".to_owned())
        );
    }

    #[test]
    fn a_consumer_that_is_gone_with_entries_is_named_and_one_without_is_not() {
        // 60 s until an entry may be reclaimed, and twice 5 s until somebody looks.
        let gone = found(3, Some(group(2, 71)));
        assert_eq!(gone["lane default"].0, Status::Warning);
        assert!(
            gone["consumers"]
                .1
                .starts_with("w has been silent for 1m 11s and holds 2 entries")
        );
        let empty = found(0, Some(group(0, 1_000)));
        assert_eq!(
            empty["consumers"],
            (Status::Ok, "0 workers at work".to_owned())
        );
        assert_eq!(found(1, Some(group(1, 70)))["lane default"].0, Status::Ok);
    }

    #[test]
    fn a_consumer_is_as_quiet_as_its_quietest_lane_is_not() {
        let lane = |idle_s| LaneState {
            entries: 2,
            group: Some(group(1, idle_s)),
        };
        let (quiet, busy) = (lane(1_000), lane(1));
        let finding = consumers(&[&quiet, &busy], 4, &settings().worker);
        assert_eq!(finding.status, Status::Ok, "{finding:?}");
    }

    #[test]
    fn a_backlog_is_warned_of_before_its_bound_is_reached() {
        let ingress = settings().ingress;
        let most = ingress.entries_max;
        assert_eq!(backlog(most / 2, &ingress).status, Status::Ok);
        assert_eq!(backlog(most * 4 / 5, &ingress).status, Status::Warning);
        assert_eq!(backlog(most, &ingress).status, Status::Warning);
        let without_inbox = IngressSettings {
            inbox_connections_max: 0,
            ..ingress
        };
        assert_eq!(backlog(most, &without_inbox).status, Status::Problem);
    }

    #[test]
    fn a_lane_that_cannot_be_looked_at_hides_no_other() {
        let lanes = [
            (Lane::Critical, Err("WRONGTYPE".to_owned())),
            (Lane::Default, Ok(LaneState::default())),
        ];
        let findings = judged(&lanes, NOW_MS, &settings());
        let statuses: Vec<Status> = findings.iter().map(|f| f.status).collect();
        assert_eq!(
            statuses,
            [Status::Problem, Status::Ok, Status::Ok, Status::Ok]
        );
        assert!(
            findings[0].found.contains("harkara:{0}:critical"),
            "{:?}",
            findings[0]
        );
    }
}
