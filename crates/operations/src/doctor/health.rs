//! The health of the Redis server: memory, clients, disk, replicas and latency.

use std::time::Duration;

use harkara_settings::IngressSettings;
use harkara_streams::inspection::{AppendOnlyFile, ReplicaState, ServerState};

use super::finding::{Area, Finding, Status};
use crate::wording::{counted, duration, mebibytes};

const AREA: Area = Area::Redis;

/// Percentage of a bound from which it is near.
const NEAR_PERCENT: u64 = 80;

/// A longer fork takes a large part of the time that a delivery has (`ingress.append_timeout_ms`, 1.4 s by
/// default).
const FORK_MAX: Duration = Duration::from_millis(500);

/// Any other latency spike: Razorpay waits 5 s for an answer, and this takes a fifth of that.
const SPIKE_MAX: Duration = Duration::from_secs(1);

/// Late fsyncs in an hour, on average since the start. An occasional one is a burst of something else.
const DELAYED_FSYNCS_PER_HOUR_MAX: u64 = 1;

/// A healthy replica reports its offset every second.
const REPLICA_SILENT_S_MAX: u64 = 2;

/// Replication lag, in bytes: some seconds of a busy stream.
const REPLICA_BEHIND_MAX: u64 = 16 << 20;

/// Judges everything that the server reports about itself.
pub(super) fn judged(state: &ServerState, ingress: &IngressSettings) -> Vec<Finding> {
    let mut findings = vec![memory(state.memory_bytes, ingress), clients(state.clients)];
    findings.extend(state.append_only.map(append_only));
    if !state.last_snapshot_ok {
        findings.push(AREA.check("snapshots").warning(
            "the last snapshot could not be written; with stop-writes-on-bgsave-error Redis then refuses deliveries",
            "free disk space or memory for the fork (see its log), then run BGSAVE; or disable snapshots",
        ));
    }
    findings.push(replicas(&state.replicas));
    findings.push(slowness(state));
    findings
}

fn memory((used, most): (u64, u64), ingress: &IngressSettings) -> Finding {
    let check = AREA.check("memory");
    let Some(percent) = used.saturating_mul(100).checked_div(most) else {
        let used = mebibytes(used);
        return check.warning(
            format!(
                "{used} in use and no maxmemory: a backlog may grow until the system kills Redis"
            ),
            "set maxmemory to what the machine can spare; near that limit deliveries go to PostgreSQL \
             (ingress.redis_memory_percent_max)",
        );
    };
    let percent_max = ingress.redis_memory_percent_max;
    check.judged(
        fill_status(percent, percent_max, ingress),
        format!(
            "{percent} % in use, {} of {}; at {percent_max} %, deliveries {}",
            mebibytes(used),
            mebibytes(most),
            fallback(ingress)
        ),
        "let workers catch up, or give Redis more memory (maxmemory)",
    )
}

/// Where deliveries go that Redis does not get.
pub(super) fn fallback(ingress: &IngressSettings) -> &'static str {
    if ingress.inbox_connections_max > 0 {
        "go to PostgreSQL"
    } else {
        "are refused"
    }
}

/// Judges a value with a bound from which Redis gets no more deliveries.
pub(super) fn fill_status(value: u64, bound: u64, ingress: &IngressSettings) -> Status {
    if value >= bound && ingress.inbox_connections_max == 0 {
        Status::Problem
    } else if is_near(value, bound) {
        Status::Warning
    } else {
        Status::Ok
    }
}

fn is_near(value: u64, bound: u64) -> bool {
    value.saturating_mul(100) >= bound.saturating_mul(NEAR_PERCENT)
}

fn clients((connected, most): (u64, u64)) -> Finding {
    let check = AREA.check("clients");
    match most {
        0 => check.ok(format!("{connected} connected")),
        _ if is_near(connected, most) => check.warning(
            format!("{connected} connected of {most}"),
            "raise maxclients: each server thread of an ingress opens up to 12 connections",
        ),
        _ => check.ok(format!("{connected} connected of {most}")),
    }
}

fn append_only(file: AppendOnlyFile) -> Finding {
    let check = AREA.check("append-only file");
    if !file.last_write_ok {
        return check.problem(
            "the last write failed, and Redis accepts no deliveries until one succeeds",
            "free disk space or repair the disk; Redis then continues by itself",
        );
    }
    if !file.last_rewrite_ok {
        return check.warning(
            "the last rewrite failed, and the file grows until one succeeds",
            "free disk space or memory for the fork (see its log), then run BGREWRITEAOF",
        );
    }
    check.ok("the last write and the last rewrite succeeded")
}

fn replicas(replicas: &[ReplicaState]) -> Finding {
    let check = AREA.check("replicas");
    let remedy = "check the network to the replica, and its log";
    for replica in replicas {
        let address = &replica.address;
        if replica.state != "online" {
            let found = format!("{address} is not replicating yet: {}", replica.state);
            return check.warning(found, "wait until its initial synchronisation ends");
        }
        if replica.silent_s > REPLICA_SILENT_S_MAX {
            let found = format!("{address} has been silent for {} s", replica.silent_s);
            return check.warning(found, remedy);
        }
        if replica.behind_bytes > REPLICA_BEHIND_MAX {
            let found = format!("{address} is {} behind", mebibytes(replica.behind_bytes));
            return check.warning(found, remedy);
        }
    }
    let Some(behind) = replicas.iter().map(|replica| replica.behind_bytes).max() else {
        return check.ok("none connected");
    };
    let (n, behind) = (replicas.len(), mebibytes(behind));
    check.ok(format!("{n} online, none more than {behind} behind"))
}

fn slowness(state: &ServerState) -> Finding {
    let check = AREA.check("slowness");
    let (fork, uptime) = (duration(state.last_fork), duration(state.uptime));
    if state.last_fork > FORK_MAX {
        return check.warning(
            format!("the last fork stopped Redis for {fork}"),
            "disable transparent huge pages, rewrite the append-only file less often, or use less memory",
        );
    }
    let delayed = state.append_only.map_or(0, |file| file.delayed_fsyncs);
    let fsyncs = counted(delayed, "fsync");
    let hours = state.uptime.as_secs().div_ceil(3_600).max(1);
    if delayed > hours * DELAYED_FSYNCS_PER_HOUR_MAX {
        return check.warning(
            format!("{fsyncs} were late within {uptime}"),
            "give Redis a faster disk, or a dedicated one",
        );
    }
    let longest = state.spikes.iter().max_by_key(|spike| spike.longest);
    if let Some(spike) = longest.filter(|spike| spike.longest > SPIKE_MAX) {
        let event = &spike.event;
        return check.warning(
            format!("{event} took up to {}", duration(spike.longest)),
            format!("see LATENCY HISTORY {event} and LATENCY DOCTOR in Redis"),
        );
    }
    check.ok(format!("last fork {fork}, {fsyncs} late in {uptime}"))
}

#[cfg(test)]
mod tests {
    use harkara_settings::Settings;
    use harkara_streams::inspection::LatencySpike;

    use super::*;

    type Edit = fn(&mut ServerState);

    /// The worst finding on a sound server after an edit, as a line.
    fn worst(edit: Edit, inbox_connections: &str) -> String {
        let mut state = ServerState {
            uptime: Duration::from_hours(10),
            memory_bytes: (10 << 20, 100 << 20),
            clients: (10, 10_000),
            append_only: Some(AppendOnlyFile {
                last_write_ok: true,
                last_rewrite_ok: true,
                delayed_fsyncs: 0,
            }),
            last_snapshot_ok: true,
            replicas: vec![ReplicaState {
                address: "10.0.0.2:6379".to_owned(),
                state: "online".to_owned(),
                silent_s: 1,
                behind_bytes: 4096,
            }],
            spikes: vec![LatencySpike {
                event: "aof-fsync-always".to_owned(),
                longest: Duration::from_secs(1),
            }],
            ..ServerState::default()
        };
        edit(&mut state);
        let settings = [("ingress.inbox_connections_max", inbox_connections)];
        let ingress = Settings::from_pairs(settings).unwrap().ingress;
        let findings = judged(&state, &ingress).into_iter();
        let worst = findings.max_by_key(|finding| finding.status).unwrap();
        let remedy = worst.remedy.unwrap_or_default();
        let (status, check, found) = (worst.status, worst.check, worst.found);
        format!("{status}: {check}: {found}; {remedy}\n")
    }

    fn file(state: &mut ServerState) -> &mut AppendOnlyFile {
        state.append_only.as_mut().unwrap()
    }

    #[test]
    fn a_sound_server_has_sound_findings_and_each_weakness_is_found() {
        let edits: [Edit; 16] = [
            |_| {},
            |s| s.memory_bytes.0 = 60 << 20,
            // Ten in ten hours are one an hour.
            |s| file(s).delayed_fsyncs = 10,
            |s| s.memory_bytes.0 = 70 << 20,
            |s| s.memory_bytes.0 = 90 << 20,
            |s| s.memory_bytes = (1, 0),
            |s| s.clients = (80, 100),
            |s| file(s).last_write_ok = false,
            |s| file(s).last_rewrite_ok = false,
            |s| s.last_snapshot_ok = false,
            |s| s.replicas[0].state = "wait_bgsave".to_owned(),
            |s| s.replicas[0].silent_s = 3,
            |s| s.replicas[0].behind_bytes = 17 << 20,
            |s| file(s).delayed_fsyncs = 11,
            |s| s.last_fork = Duration::from_millis(501),
            |s| s.spikes[0].longest += Duration::from_millis(1),
        ];
        let mut found = edits.map(|edit| worst(edit, "2")).concat();
        found += &worst(|s| s.memory_bytes.0 = 90 << 20, "0");
        insta::assert_snapshot!(found);
    }
}
