//! The Redis server: whether it can be used, and is as durable as configured.

use std::error::Error as _;

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

use ServerProblem::{EvictsEntries, ReadOnlyReplica, TooOld};

const AREA: Area = Area::Redis;

/// Checks everything that one connection can show.
pub(super) async fn examine(settings: &Settings) -> Vec<Finding> {
    let silent = || {
        AREA.check("reachable")
            .silent("Redis", &address(&settings.redis))
    };
    let Ok(connected) = timeout(PROBE_MAX, connect_to_check(&settings.redis)).await else {
        return vec![silent()];
    };
    let mut connection = match connected {
        Ok(connection) => connection,
        Err(problem) => return vec![of_problem(&problem)],
    };
    let checking = check_server_over(&mut connection, &settings.redis);
    let Ok(checked) = timeout(PROBE_MAX, checking).await else {
        return vec![silent()];
    };
    let mut findings = Vec::new();
    match checked {
        Ok(report) => findings.extend(usable(settings, &report, &mut connection).await),
        Err(problem) => {
            findings.push(of_problem(&problem));
            // Any other server answers none of the queries that follow.
            if !matches!(
                problem,
                EvictsEntries { .. } | ReadOnlyReplica { .. } | TooOld { .. }
            ) {
                return findings;
            }
        }
    }
    findings.push(match within(missing_commands(&mut connection)).await {
        Ok(missing) => commands(&missing),
        Err(reason) => unanswered("commands", &reason, "COMMAND"),
    });
    match within(inspect_server(&mut connection)).await {
        Ok(state) => findings.extend(health::judged(&state, &settings.ingress)),
        Err(reason) => findings.push(unanswered("health", &reason, "INFO")),
    }
    findings.extend(streams::examine(settings, &mut connection).await);
    let skew = within(clocks::skew_of(async || {
        server_time_us(&mut connection).await
    }))
    .await;
    findings.push(clocks::judged("Redis", skew));
    findings
}

async fn usable(
    settings: &Settings,
    report: &ServerReport,
    connection: &mut MultiplexedConnection,
) -> Vec<Finding> {
    let version = match report.version.as_str() {
        "" => "unknown version",
        version => version,
    };
    let mut findings = vec![
        AREA.check("version")
            .ok(format!("{version} at {}", report.address)),
        AREA.check("maxmemory-policy")
            .ok("noeviction: a full Redis rejects deliveries and drops none"),
    ];
    let warnings = report.warnings.iter();
    findings.extend(warnings.map(|warning| of_warning(*warning, &settings.ingress)));
    let confirmations = Confirmations::of(&settings.ingress, report);
    findings.push(durability(
        &settings.ingress,
        report,
        confirmations.as_ref(),
    ));
    if let Ok(confirmations) = confirmations {
        let rehearsed = rehearse(connection, &settings.redis.keys, &confirmations);
        findings.push(match timeout(PROBE_MAX, rehearsed).await {
            Ok(Ok(())) => AREA
                .check("takes deliveries")
                .ok("a rehearsed append was allowed, and would be confirmed"),
            Ok(Err(error)) => of_problem(&ServerProblem::of(&report.address, error)),
            Err(_) => AREA
                .check("reachable")
                .silent("Redis", &address(&settings.redis)),
        });
    }
    findings
}

fn unanswered(check: &str, reason: &str, command: &str) -> Finding {
    let remedy = format!("allow {command} for the user of redis.url, then run the check again");
    AREA.check(check).unanswered(reason, remedy)
}

fn commands(missing: &[&str]) -> Finding {
    let check = AREA.check("commands");
    if missing.is_empty() {
        return check.ok("every required command is available");
    }
    check.problem(
        format!("it lacks {}", missing.join(", ")),
        "use Redis 6.2 or later, and remove any rename-command for them",
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
    AREA.check(check).problem(found, problem.remedy())
}

fn of_warning(warning: Warning, ingress: &IngressSettings) -> Finding {
    let check = AREA.check("persistence");
    match warning {
        Warning::PersistenceOff => check.warning(
            "the append-only file is off: a restart of Redis loses every accepted delivery that no worker has committed",
            "set appendonly yes",
        ),
        Warning::FsyncLeftToSystem => check.warning(
            "the system decides when the append-only file reaches the disk: a power failure loses accepted deliveries",
            "set appendfsync everysec or always",
        ),
        Warning::ConfigHidden if ingress.trust_redis => check.ok(
            "Redis hides its configuration, and is trusted because of ingress.trust_redis",
        ),
        Warning::ConfigHidden => check.warning(
            "Redis hides its configuration, so it is unknown whether deliveries survive a restart",
            "allow CONFIG GET for the user of redis.url; if the provider forbids it, check how it persists data",
        ),
    }
}

/// Whether Redis can provide the durability level of every lane.
fn durability(
    ingress: &IngressSettings,
    report: &ServerReport,
    confirmations: Result<&Confirmations, &LevelUnavailable>,
) -> Finding {
    let check = AREA.check("durability");
    match confirmations {
        Err(LevelUnavailable::NotFsynced { lane, level, persistence: why, .. }) => check.problem(
            format!("lane {lane} requires {level}, and Redis does not confirm that a delivery is on disk ({why})"),
            "set appendonly yes, appendfsync always and no-appendfsync-on-rewrite no; or use appendfsync everysec with \
             Redis 7.2, or 8.0 or later; or lower ingress.durability; or trust Redis with ingress.trust_redis",
        ),
        Err(LevelUnavailable::TooFewReplicas { lane, wanted, connected, .. }) => check.problem(
            format!("lane {lane} requires {wanted} connected replicas and has {connected}"),
            "start replicas, or lower ingress.replicas_min or ingress.durability",
        ),
        Ok(_) if ingress.durability.iter().all(|level| *level == Durability::Appended) => check.ok(
            "only level appended is required: a crash of Redis may lose accepted deliveries",
        ),
        Ok(_) => match report.fsync {
            Fsync::BeforeReply => check.ok("the required level is provided: Redis fsyncs before it replies"),
            Fsync::OnRequest => check.ok("the required level is provided: WAITAOF confirms the fsync"),
            Fsync::Unconfirmed => check.warning(
                "nothing confirms that a delivery is on disk; Redis is trusted",
                "make sure that the provider persists every write, or set ingress.trust_redis to false",
            ),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;

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
        let settings = Settings::from_pairs(changed.iter().copied());
        let ingress = settings.unwrap().ingress;
        let confirmations = Confirmations::of(&ingress, &report);
        durability(&ingress, &report, confirmations.as_ref())
    }

    #[test]
    fn an_unconfirmed_level_is_a_problem_and_a_trusted_one_a_warning() {
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
}
