//! The lanes: their backlog and their consumers.

use std::collections::BTreeMap;
use std::time::Duration;

use harkara_core::lane::Lane;
use harkara_settings::{IngressSettings, Settings, WorkerSettings};
use harkara_streams::inspection::{LaneState, inspect_lane, server_time_us};
use redis::aio::MultiplexedConnection;

use super::finding::{Area, Check, Finding};
use super::health::{fallback, fill_status};
use super::probe::within;
use crate::wording::{counted, duration};

const AREA: Area = Area::Streams;

/// Reclaim rounds after which an entry counts as missed.
const RECLAIMS_MISSED: u32 = 2;

/// A lane's state, or why it is unknown.
type Inspected = (Lane, Result<LaneState, String>);

/// Checks every lane, and whose they are.
pub(super) async fn examine(
    settings: &Settings,
    connection: &mut MultiplexedConnection,
) -> Vec<Finding> {
    let mut lanes: Vec<Inspected> = Vec::new();
    for lane in Lane::ALL {
        let state = inspect_lane(connection, &settings.redis.keys, lane);
        lanes.push((lane, within(state).await));
    }
    let now = within(server_time_us(connection)).await.unwrap_or(0);
    let now_ms = u64::try_from(now / 1_000).unwrap_or(0);
    judged(&lanes, now_ms, settings)
}

fn judged(lanes: &[Inspected], now_ms: u64, settings: &Settings) -> Vec<Finding> {
    let keys = &settings.redis.keys;
    let of_lane = |(lane, state): &Inspected| {
        let check = AREA.check(format!("lane {lane}"));
        match state {
            Ok(state) => of_lane(check, state, now_ms, &settings.worker),
            Err(reason) => check.problem(
                format!("{} cannot be inspected: {reason}", keys.stream(*lane)),
                "allow XLEN, XINFO and XPENDING for the user of redis.url; remove a key of another type",
            ),
        }
    };
    let mut findings: Vec<Finding> = lanes.iter().map(of_lane).collect();
    let states = lanes.iter().filter_map(|(_, state)| state.as_ref().ok());
    let states: Vec<&LaneState> = states.collect();
    if !states.is_empty() {
        let entries = states.iter().map(|state| state.entries).sum();
        findings.push(backlog(entries, &settings.ingress));
        findings.push(consumers(&states, entries, &settings.worker));
    }
    findings
}

fn of_lane(check: Check, state: &LaneState, now_ms: u64, worker: &WorkerSettings) -> Finding {
    let entries = counted(state.entries, "entry");
    let Some(group) = &state.group else {
        return match state.entries {
            0 => check.ok("no entries, and no consumer group yet: the first worker creates it"),
            _ => check.warning(
                format!("{entries} and no consumer group: no worker has started"),
                "start a worker; it begins with the first entry",
            ),
        };
    };
    if group.skips_entries {
        return check.warning(
            format!("{entries}; the consumer group has passed some that nobody has claimed, by XGROUP SETID, XACK or XGROUP DELCONSUMER"),
            "start a worker, which processes them; if workers run, wait for a minute and look again",
        );
    }
    let Some(oldest) = &group.oldest else {
        return check.ok(format!("{entries}, none pending"));
    };
    let age = duration(Duration::from_millis(
        now_ms.saturating_sub(oldest.appended_at_ms),
    ));
    let pending = group.pending;
    let found = format!("{entries}, {pending} pending, the oldest accepted {age} ago");
    if oldest.idle <= reclaimed_after(worker) {
        return check.ok(found);
    }
    let idle = duration(oldest.idle);
    check.warning(
        format!("{found}; no sign of life from its consumer for {idle}"),
        "start a worker, which reclaims it; if workers are running, their logs say why they do not",
    )
}

/// The age at which an entry of a dead worker must have been reclaimed.
fn reclaimed_after(worker: &WorkerSettings) -> Duration {
    worker.claim_idle + worker.reclaim_every * RECLAIMS_MISSED
}

fn backlog(entries: u64, ingress: &IngressSettings) -> Finding {
    let most = ingress.entries_max;
    AREA.check("entries in all").judged(
        fill_status(entries, most, ingress),
        format!("{entries}; at {most}, deliveries {}", fallback(ingress)),
        "add workers, or find out why they are slow; ingress.entries_max is the limit",
    )
}

/// The workers, by name: each is a consumer of every lane.
fn consumers(lanes: &[&LaneState], entries: u64, worker: &WorkerSettings) -> Finding {
    let check = AREA.check("consumers");
    let mut by_name: BTreeMap<&str, (u64, Duration)> = BTreeMap::new();
    let groups = lanes.iter().filter_map(|lane| lane.group.as_ref());
    for consumer in groups.flat_map(|group| &group.consumers) {
        let unseen = (0, consumer.idle);
        let (pending, idle) = by_name.entry(consumer.name.as_str()).or_insert(unseen);
        *pending += consumer.pending;
        *idle = consumer.idle.min(*idle);
    }
    let quiet_max = worker.quiet_max();
    let stale_after = reclaimed_after(worker).max(quiet_max);
    let is_stale =
        |(_, (pending, idle)): &(_, &(u64, Duration))| *pending > 0 && *idle > stale_after;
    if let Some((name, (pending, idle))) = by_name.iter().find(is_stale) {
        let (idle, entries) = (duration(*idle), counted(*pending, "entry"));
        return check.warning(
            format!("{name} has been silent for {idle} and holds {entries}"),
            "start a worker, which reclaims its entries; silent consumers without entries are removed automatically",
        );
    }
    let at_work = by_name.values().filter(|(_, idle)| *idle <= quiet_max);
    let at_work = u64::try_from(at_work.count()).unwrap_or(u64::MAX);
    if at_work == 0 && entries > 0 {
        return check.warning(
            "entries are waiting, and no worker is active",
            "start a worker",
        );
    }
    check.ok(format!("{} active", counted(at_work, "worker")))
}

#[cfg(test)]
mod tests {
    use harkara_streams::inspection::{ConsumerState, GroupState, OldestPending};

    use super::super::finding::Status;
    use super::*;

    const NOW_MS: u64 = 1_790_000_000_000;

    fn settings() -> Settings {
        Settings::from_pairs::<&str, &str>([]).unwrap()
    }

    /// A lane whose consumer `w` was seen some seconds ago.
    fn lane(entries: u64, pending: u64, idle_s: u64) -> LaneState {
        let idle = Duration::from_secs(idle_s);
        let consumer = "w".to_owned();
        LaneState {
            entries,
            group: Some(GroupState {
                pending,
                oldest: (pending > 0).then(|| OldestPending {
                    appended_at_ms: NOW_MS - 3_600_000,
                    consumer: consumer.clone(),
                    idle,
                }),
                consumers: vec![ConsumerState {
                    name: consumer,
                    pending,
                    idle,
                }],
                ..GroupState::default()
            }),
        }
    }

    #[test]
    fn only_a_dead_consumer_with_pending_entries_is_reported() {
        use Status::{Ok as Sound, Warning};
        const GONE: &str = "w has been silent for 1m 11s and holds 2 entries";
        // An entry may be reclaimed after 60 s, and workers look for such entries every 5 s.
        for (lane, status, of_lane, of_consumers) in [
            (lane(3, 2, 10), Sound, "accepted 1h ago", "1 worker active"),
            (lane(3, 2, 71), Warning, "consumer for 1m 11s", GONE),
            (lane(1, 1, 70), Sound, "1 entry, 1 pending", "no worker"),
            (lane(0, 0, 1_000), Sound, "none pending", "0 workers active"),
        ] {
            let findings = judged(&[(Lane::Default, Ok(lane))], NOW_MS, &settings());
            let [lane, _, consumers] = &findings[..] else {
                panic!("{findings:?}")
            };
            assert_eq!(lane.status, status, "{lane:?}");
            assert!(lane.found.contains(of_lane), "{lane:?}");
            assert!(consumers.found.contains(of_consumers), "{consumers:?}");
        }
    }

    #[test]
    fn entries_that_somebody_made_the_group_skip_are_reported() {
        let edited = |skips_entries| {
            let mut lane = lane(3, 2, 1);
            let group = lane.group.take().unwrap();
            lane.group = Some(GroupState {
                skips_entries,
                ..group
            });
            lane
        };
        for (lane, status, found) in [
            (edited(false), Status::Ok, "2 pending"),
            (edited(true), Status::Warning, "nobody has claimed"),
        ] {
            let findings = judged(&[(Lane::Default, Ok(lane))], NOW_MS, &settings());
            assert_eq!(findings[0].status, status, "{findings:?}");
            assert!(findings[0].found.contains(found), "{findings:?}");
        }
    }

    #[test]
    fn a_consumer_is_as_idle_as_in_its_least_idle_lane() {
        let (quiet, busy) = (lane(2, 1, 1_000), lane(2, 1, 1));
        let finding = consumers(&[&quiet, &busy], 4, &settings().worker);
        assert_eq!(finding.status, Status::Ok, "{finding:?}");
    }

    #[test]
    fn a_backlog_is_reported_before_its_bound_is_reached() {
        let mut ingress = settings().ingress;
        let most = ingress.entries_max;
        for (entries, inbox_connections, status) in [
            (most / 2, 2, Status::Ok),
            (most * 4 / 5, 2, Status::Warning),
            (most, 2, Status::Warning),
            (most, 0, Status::Problem),
        ] {
            ingress.inbox_connections_max = inbox_connections;
            assert_eq!(backlog(entries, &ingress).status, status, "{entries}");
        }
    }
}
