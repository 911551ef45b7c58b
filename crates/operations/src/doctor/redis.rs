//! The Redis server: whether it can be used, and is as durable as asked.

use std::error::Error as _;

use super::clock_skew::skew_of;
use harkara_core::causes::with_causes;
use harkara_core::durability::Durability;
use harkara_settings::{IngressSettings, Settings};
use harkara_streams::inspection::{inspect_server, missing_commands, server_time_us};
use harkara_streams::{
    Confirmations, Fsync, LevelUnavailable, ServerProblem, ServerReport, Warning, address,
    check_server_over, connect_to_check, rehearse,
};
use redis::aio::MultiplexedConnection;
use tokio::time::timeout;

use super::finding::{Area, Finding};
use super::probe::{PROBE_MAX, within};
use super::{clocks, health, streams};

const AREA: Area = Area::Redis;

/// Everything that is found over one connection.
pub(super) async fn examine(settings: &Settings) -> Vec<Finding> {
    let Ok(connected) = timeout(PROBE_MAX, connect_to_check(&settings.redis)).await else {
        return vec![silent(settings)];
    };
    let mut connection = match connected {
        Ok(connection) => connection,
        Err(problem) => return vec![of_problem(&problem)],
    };
    let checking = check_server_over(&mut connection, &settings.redis);
    let Ok(checked) = timeout(PROBE_MAX, checking).await else {
        return vec![silent(settings)];
    };
    let mut findings = Vec::new();
    match checked {
        Ok(report) => findings.extend(usable(settings, &report, &mut connection).await),
        Err(problem) => {
            findings.push(of_problem(&problem));
            // The others answer to nothing of what follows.
            let is_open = matches!(
                problem,
                ServerProblem::EvictsEntries { .. }
                    | ServerProblem::ReadOnlyReplica { .. }
                    | ServerProblem::TooOld { .. }
            );
            if !is_open {
                return findings;
            }
        }
    }
    findings.push(match within(missing_commands(&mut connection)).await {
        Ok(missing) => commands(&missing),
        Err(reason) => unknown("commands", &reason, "COMMAND"),
    });
    match within(inspect_server(&mut connection)).await {
        Ok(state) => findings.extend(health::judged(&state, &settings.ingress)),
        Err(reason) => findings.push(unknown("health", &reason, "INFO")),
    }
    findings.extend(streams::examine(settings, &mut connection).await);
    let skew = within(skew_of(async || server_time_us(&mut connection).await)).await;
    findings.push(clocks::judged("Redis", skew));
    findings
}

async fn usable(
    settings: &Settings,
    report: &ServerReport,
    connection: &mut MultiplexedConnection,
) -> Vec<Finding> {
    let version = if report.version.is_empty() {
        "of a version that it does not tell"
    } else {
        &report.version
    };
    let mut findings = vec![
        AREA.ok("version", format!("{version} at {}", report.address)),
        AREA.ok(
            "maxmemory-policy",
            "noeviction: full, it refuses deliveries and drops none",
        ),
    ];
    findings.extend(
        report
            .warnings
            .iter()
            .map(|note| of_note(*note, &settings.ingress)),
    );
    let confirmations = Confirmations::of(&settings.ingress, report);
    findings.push(durability(
        &settings.ingress,
        report,
        confirmations.as_ref(),
    ));
    if let Ok(confirmations) = confirmations {
        let rehearsed = rehearse(connection, settings.redis.partition, &confirmations);
        findings.push(match timeout(PROBE_MAX, rehearsed).await {
            Ok(Ok(())) => AREA.ok(
                "takes deliveries",
                "an append that changes nothing was allowed, and would be confirmed",
            ),
            Ok(Err(error)) => of_problem(&ServerProblem::of(&report.address, error)),
            Err(_) => silent(settings),
        });
    }
    findings
}

/// What could not be asked, of a server that answers otherwise.
fn unknown(check: &str, reason: &str, command: &str) -> Finding {
    AREA.warning(
        check,
        format!("could not be asked: {reason}"),
        format!("allow {command} to the user of redis.url, and ask again"),
    )
}

fn commands(missing: &[&str]) -> Finding {
    if missing.is_empty() {
        return AREA.ok("commands", "every command that is sent to it is there");
    }
    AREA.problem(
        "commands",
        format!("it does not know {}", missing.join(", ")),
        "use Redis 6.2 or later, and let no rename-command hide them",
    )
}

fn silent(settings: &Settings) -> Finding {
    AREA.problem(
        "reachable",
        format!(
            "Redis at {} gives no answer within {} s",
            address(&settings.redis),
            PROBE_MAX.as_secs()
        ),
        "look whether it is overloaded, and at the network between",
    )
}

fn of_problem(problem: &ServerProblem) -> Finding {
    use ServerProblem as P;
    let check = match problem {
        P::Unreachable { .. } | P::SilentOverTls { .. } | P::Untrusted { .. } => "reachable",
        P::WrongPassword { .. } | P::PasswordRequired { .. } | P::NotPermitted { .. } => {
            "permitted"
        }
        P::ReadOnlyReplica { .. } => "role",
        P::EvictsEntries { .. } => "maxmemory-policy",
        P::TooOld { .. } => "version",
        P::Loading { .. } => "loaded",
        P::Misbehaves { .. } => "takes deliveries",
    };
    let mut found = problem.problem();
    if let Some(cause) = problem.source() {
        found = format!("{found}: {}", with_causes(cause));
    }
    AREA.problem(check, found, problem.remedy())
}

fn of_note(note: Warning, ingress: &IngressSettings) -> Finding {
    match note {
        Warning::PersistenceOff => AREA.warning(
            "persistence",
            "the append-only file is off: a restart of Redis loses every accepted delivery that no worker has committed",
            "set appendonly yes",
        ),
        Warning::FsyncLeftToSystem => AREA.warning(
            "persistence",
            "the system decides when the append-only file reaches the disk: a power failure loses accepted deliveries",
            "set appendfsync everysec or always",
        ),
        Warning::ConfigHidden if ingress.trust_redis => AREA.ok(
            "persistence",
            "Redis does not show its configuration, and is trusted by ingress.trust_redis",
        ),
        Warning::ConfigHidden => AREA.warning(
            "persistence",
            "Redis does not show its configuration, so nobody knows whether deliveries survive its restart",
            "allow CONFIG GET to the user of redis.url; where the provider forbids it, read there how it persists",
        ),
    }
}

/// Whether every lane's level can be given.
fn durability(
    ingress: &IngressSettings,
    report: &ServerReport,
    confirmations: Result<&Confirmations, &LevelUnavailable>,
) -> Finding {
    let check = "durability";
    match confirmations {
        Err(LevelUnavailable::NotFsynced { lane, level, persistence: why, .. }) => AREA.problem(
            check,
            format!("the lane {lane} is to be {level}, and Redis does not confirm that a delivery is on its disk ({why})"),
            "set appendonly yes, appendfsync always and no-appendfsync-on-rewrite no; or use appendfsync everysec with \
             Redis 7.2, or 8.0 or later; or ask for less with ingress.durability; or trust it with ingress.trust_redis",
        ),
        Err(LevelUnavailable::TooFewReplicas { lane, wanted, connected, .. }) => AREA.problem(
            check,
            format!("the lane {lane} is to be replicated to {wanted}, and {connected} follow"),
            "start replicas, or ask for fewer with ingress.replicas_min, or for less with ingress.durability",
        ),
        Ok(_) if ingress.durability.iter().all(|level| *level == Durability::Appended) => AREA.ok(
            check,
            "appended is all that is asked for: a crash of Redis may lose accepted deliveries",
        ),
        Ok(_) => match report.fsync {
            Fsync::BeforeReply => AREA.ok(check, "what is asked for is given: Redis fsyncs before it answers"),
            Fsync::OnRequest => AREA.ok(check, "what is asked for is given: WAITAOF confirms the fsync"),
            Fsync::Unconfirmed => AREA.warning(
                check,
                "nothing confirms that a delivery is on the disk of Redis; it is taken on trust",
                "make sure that the provider persists every write, or set ingress.trust_redis to false",
            ),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::finding::Status;
    use super::*;

    fn ingress(changed: &[(&str, &str)]) -> IngressSettings {
        let map: BTreeMap<String, String> = changed
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        Settings::from_map(map).unwrap().ingress
    }

    fn judged(changed: &[(&str, &str)], fsync: Fsync, replicas: usize) -> Finding {
        let report = ServerReport {
            address: "h:1".to_owned(),
            version: "7.0.15".to_owned(),
            appendfsync: Some("everysec".to_owned()),
            fsync,
            replicas,
            memory_bytes: (0, 0),
            warnings: Vec::new(),
        };
        let ingress = ingress(changed);
        let confirmations = Confirmations::of(&ingress, &report);
        durability(&ingress, &report, confirmations.as_ref())
    }

    #[test]
    fn a_level_that_is_not_given_is_a_problem_and_one_on_trust_a_warning() {
        let trusting = [("ingress.trust_redis", "true")];
        let appended = [("ingress.durability", "appended")];
        let replicated = [("ingress.durability", "replicated")];
        for (changed, fsync, replicas, status) in [
            (&[][..], Fsync::BeforeReply, 0, Status::Ok),
            (&[], Fsync::OnRequest, 0, Status::Ok),
            (&[], Fsync::Unconfirmed, 0, Status::Problem),
            (&trusting, Fsync::Unconfirmed, 0, Status::Warning),
            (&appended, Fsync::Unconfirmed, 0, Status::Ok),
            (&replicated, Fsync::OnRequest, 0, Status::Problem),
            (&replicated, Fsync::OnRequest, 1, Status::Ok),
        ] {
            let finding = judged(changed, fsync, replicas);
            assert_eq!(finding.status, status, "{finding:?}");
        }
    }

    #[test]
    fn every_problem_has_one_remedy_that_its_text_does_not_repeat() {
        let address = || "h:1".to_owned();
        for problem in [
            ServerProblem::ReadOnlyReplica { address: address() },
            ServerProblem::Loading { address: address() },
            ServerProblem::TooOld {
                address: address(),
                version: "5.0.1".to_owned(),
            },
            ServerProblem::EvictsEntries {
                address: address(),
                policy: "allkeys-lru".to_owned(),
            },
        ] {
            let finding = of_problem(&problem);
            let remedy = finding.remedy.unwrap();
            assert!(
                finding.found.starts_with("Redis at h:1"),
                "{}",
                finding.found
            );
            assert!(!finding.found.contains(&remedy), "{}", finding.found);
        }
    }
}
