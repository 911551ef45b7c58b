//! How the Redis server fares: memory, clients, disk, replicas, and what was slow.

use std::time::Duration;

use harkara_settings::IngressSettings;
use harkara_streams::inspection::{AppendOnlyFile, ReplicaState, ServerState};

use super::finding::{Area, Finding};
use crate::wording::{counted, duration, mebibytes};

const AREA: Area = Area::Redis;

/// Percents of a bound from which it is near.
pub(super) const NEAR_PERCENT: u64 = 80;

/// A fork that stops Redis for longer takes a good part of the time that a delivery has
/// (`ingress.append_timeout_ms`, 1.4 s by default).
const FORK_MAX: Duration = Duration::from_millis(500);

/// Anything else that was slow: Razorpay waits 5 s for an answer, and this alone takes a fifth of that.
const SPIKE_MAX: Duration = Duration::from_secs(1);

/// Late fsyncs in an hour, on average since the start. One at times is a burst of something else.
const DELAYED_FSYNCS_PER_HOUR_MAX: u64 = 1;

/// A sound replica tells every second how far it is.
const REPLICA_SILENT_S_MAX: u64 = 2;

/// What a replica may lack: some seconds of a busy stream.
const REPLICA_BEHIND_MAX: u64 = 16 << 20;

/// Judges everything that the server tells of itself.
pub(super) fn judged(state: &ServerState, ingress: &IngressSettings) -> Vec<Finding> {
    let mut findings = vec![memory(state.memory_bytes, ingress), clients(state.clients)];
    findings.extend(state.append_only.map(append_only));
    if !state.last_snapshot_ok {
        findings.push(AREA.warning(
            "snapshots",
            "the last snapshot could not be written; with stop-writes-on-bgsave-error Redis then refuses deliveries",
            "free space on its disk and memory for the fork (its log says which), then BGSAVE; or turn snapshots off",
        ));
    }
    findings.push(replicas(&state.replicas));
    findings.push(slowness(state));
    findings
}

fn memory((used, most): (u64, u64), ingress: &IngressSettings) -> Finding {
    let check = "memory";
    let Some(percent) = (used.saturating_mul(100)).checked_div(most) else {
        return AREA.warning(
            check,
            format!(
                "{} in use and no maxmemory: a backlog may grow until the system ends Redis",
                mebibytes(used)
            ),
            "set maxmemory to what the machine can spare; near it deliveries go to PostgreSQL \
             (ingress.redis_memory_percent_max)",
        );
    };
    let percent_max = ingress.redis_memory_percent_max;
    let told = format!(
        "{percent} % in use, {} of {}; from {percent_max} % deliveries {}",
        mebibytes(used),
        mebibytes(most),
        where_else(ingress)
    );
    let remedy = "let workers catch up, or give Redis more memory (maxmemory)";
    if percent >= percent_max {
        return beyond(AREA, check, told, remedy, ingress);
    }
    if percent * 100 >= percent_max * NEAR_PERCENT {
        return AREA.warning(check, told, remedy);
    }
    AREA.ok(check, told)
}

/// What becomes of deliveries that Redis is not given.
pub(super) fn where_else(ingress: &IngressSettings) -> &'static str {
    if ingress.inbox_connections_max > 0 {
        "go to PostgreSQL"
    } else {
        "are refused"
    }
}

/// A bound from which Redis is given no more deliveries is reached.
pub(super) fn beyond(
    area: Area,
    check: &str,
    told: String,
    remedy: &str,
    ingress: &IngressSettings,
) -> Finding {
    if ingress.inbox_connections_max > 0 {
        area.warning(check, told, remedy)
    } else {
        area.problem(check, told, remedy)
    }
}

fn clients((connected, most): (u64, u64)) -> Finding {
    let check = "clients";
    let told = match most {
        0 => format!("{connected} connected"),
        _ => format!("{connected} connected of {most}"),
    };
    if most > 0 && connected.saturating_mul(100) >= most.saturating_mul(NEAR_PERCENT) {
        return AREA.warning(
            check,
            told,
            "raise maxclients: each server thread of an ingress takes up to 12 connections",
        );
    }
    AREA.ok(check, told)
}

fn append_only(file: AppendOnlyFile) -> Finding {
    let check = "append-only file";
    if !file.last_write_ok {
        return AREA.problem(
            check,
            "the last write to it failed, and Redis takes no deliveries until one succeeds",
            "free space on the disk of Redis, or mend the disk; Redis goes on by itself",
        );
    }
    if !file.last_rewrite_ok {
        return AREA.warning(
            check,
            "it could not be rewritten the last time, and grows until it is",
            "free space on its disk and memory for the fork (its log says which), then BGREWRITEAOF",
        );
    }
    AREA.ok(check, "its last write and its last rewrite succeeded")
}

fn replicas(replicas: &[ReplicaState]) -> Finding {
    let check = "replicas";
    let remedy = "look at the network between, and into the replica's log";
    for replica in replicas {
        let address = &replica.address;
        if replica.state != "online" {
            let told = format!("{address} does not follow yet: {}", replica.state);
            return AREA.warning(check, told, "wait until it has its first copy");
        }
        if replica.silent_s > REPLICA_SILENT_S_MAX {
            let told = format!("{address} has been silent for {} s", replica.silent_s);
            return AREA.warning(check, told, remedy);
        }
        if replica.behind_bytes > REPLICA_BEHIND_MAX {
            let told = format!("{address} is {} behind", mebibytes(replica.behind_bytes));
            return AREA.warning(check, told, remedy);
        }
    }
    let behind = replicas.iter().map(|replica| replica.behind_bytes).max();
    AREA.ok(
        check,
        match behind {
            None => "none is connected".to_owned(),
            Some(behind) => format!(
                "{} online, none more than {} behind",
                replicas.len(),
                mebibytes(behind)
            ),
        },
    )
}

fn slowness(state: &ServerState) -> Finding {
    let check = "slowness";
    if state.last_fork > FORK_MAX {
        return AREA.warning(
            check,
            format!("the last fork stopped Redis for {}", duration(state.last_fork)),
            "turn transparent huge pages off, let it rewrite its file less often, or give it less memory",
        );
    }
    let delayed = state.append_only.map_or(0, |file| file.delayed_fsyncs);
    let hours = state.uptime.as_secs().div_ceil(3_600).max(1);
    if delayed > hours * DELAYED_FSYNCS_PER_HOUR_MAX {
        return AREA.warning(
            check,
            format!(
                "{} were late within {}",
                counted(delayed, "fsync"),
                duration(state.uptime)
            ),
            "give Redis a quicker disk, or one of its own",
        );
    }
    let longest = state.spikes.iter().max_by_key(|spike| spike.longest);
    if let Some(spike) = longest.filter(|spike| spike.longest > SPIKE_MAX) {
        return AREA.warning(
            check,
            format!("{} took up to {}", spike.event, duration(spike.longest)),
            format!(
                "see LATENCY HISTORY {} and LATENCY DOCTOR there",
                spike.event
            ),
        );
    }
    AREA.ok(
        check,
        format!(
            "last fork {}, {} late in {}",
            duration(state.last_fork),
            counted(delayed, "fsync"),
            duration(state.uptime)
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use harkara_settings::Settings;
    use harkara_streams::inspection::LatencySpike;

    use super::super::finding::Status;
    use super::*;

    fn ingress(inbox_connections: &str) -> IngressSettings {
        let key = "ingress.inbox_connections_max".to_owned();
        let map = BTreeMap::from([(key, inbox_connections.to_owned())]);
        Settings::from_map(map).unwrap().ingress
    }

    fn sound() -> ServerState {
        ServerState {
            uptime: Duration::from_hours(10),
            memory_bytes: (10 << 20, 100 << 20),
            clients: (10, 10_000),
            append_only: Some(AppendOnlyFile {
                last_write_ok: true,
                last_rewrite_ok: true,
                delayed_fsyncs: 0,
            }),
            last_snapshot_ok: true,
            ..ServerState::default()
        }
    }

    fn worst(state: &ServerState, inbox_connections: &str) -> (Status, String) {
        let findings = judged(state, &ingress(inbox_connections));
        let worst = findings.into_iter().max_by_key(|finding| finding.status);
        worst
            .map(|finding| (finding.status, finding.check))
            .unwrap()
    }

    #[test]
    fn a_sound_server_has_nothing_to_tell_of() {
        assert_eq!(worst(&sound(), "2").0, Status::Ok);
    }

    #[test]
    fn a_full_server_is_a_problem_only_where_deliveries_have_nowhere_to_go() {
        for (used_mib, inbox, status) in [
            (60, "2", Status::Ok),
            (70, "2", Status::Warning),
            (90, "2", Status::Warning),
            (90, "0", Status::Problem),
        ] {
            let state = ServerState {
                memory_bytes: (used_mib << 20, 100 << 20),
                ..sound()
            };
            assert_eq!(worst(&state, inbox).0, status, "{used_mib} {inbox}");
        }
        let boundless = ServerState {
            memory_bytes: (1, 0),
            ..sound()
        };
        assert_eq!(
            worst(&boundless, "2"),
            (Status::Warning, "memory".to_owned())
        );
    }

    #[test]
    fn what_the_disk_refuses_is_told() {
        let file = |last_write_ok, last_rewrite_ok, delayed_fsyncs| ServerState {
            append_only: Some(AppendOnlyFile {
                last_write_ok,
                last_rewrite_ok,
                delayed_fsyncs,
            }),
            ..sound()
        };
        for (state, status, check) in [
            (file(false, true, 0), Status::Problem, "append-only file"),
            (file(true, false, 0), Status::Warning, "append-only file"),
            (file(true, true, 11), Status::Warning, "slowness"),
            (
                ServerState {
                    last_snapshot_ok: false,
                    ..sound()
                },
                Status::Warning,
                "snapshots",
            ),
        ] {
            assert_eq!(worst(&state, "2"), (status, check.to_owned()));
        }
        assert_eq!(
            worst(&file(true, true, 10), "2").0,
            Status::Ok,
            "one an hour"
        );
    }

    #[test]
    fn slow_forks_and_spikes_are_warned_of() {
        let forked = ServerState {
            last_fork: Duration::from_millis(501),
            ..sound()
        };
        assert_eq!(
            worst(&forked, "2"),
            (Status::Warning, "slowness".to_owned())
        );
        let spike = |millis| ServerState {
            spikes: vec![LatencySpike {
                event: "aof-fsync-always".to_owned(),
                longest: Duration::from_millis(millis),
            }],
            ..sound()
        };
        assert_eq!(worst(&spike(1_000), "2").0, Status::Ok);
        assert_eq!(worst(&spike(1_001), "2").0, Status::Warning);
    }

    #[test]
    fn replicas_that_do_not_follow_are_warned_of() {
        let replica = |state: &str, silent_s, behind_bytes| ServerState {
            replicas: vec![ReplicaState {
                address: "10.0.0.2:6379".to_owned(),
                state: state.to_owned(),
                silent_s,
                behind_bytes,
            }],
            ..sound()
        };
        for (state, status) in [
            (replica("online", 1, 4096), Status::Ok),
            (replica("wait_bgsave", 0, 0), Status::Warning),
            (replica("online", 3, 0), Status::Warning),
            (replica("online", 0, 17 << 20), Status::Warning),
        ] {
            assert_eq!(worst(&state, "2").0, status);
        }
    }

    #[test]
    fn clients_are_warned_of_before_there_are_too_many() {
        let state = ServerState {
            clients: (80, 100),
            ..sound()
        };
        assert_eq!(worst(&state, "2"), (Status::Warning, "clients".to_owned()));
    }
}
