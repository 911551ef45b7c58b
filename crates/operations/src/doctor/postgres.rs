//! The PostgreSQL server: whether it can be used, and what a commit there is worth.

use std::time::Duration;

use super::clock_skew::{Skew, skew_of};
use harkara_settings::{PostgresSettings, Settings};
use harkara_storage::durability_risks::{Risk, risks};
use harkara_storage::inspection::{self, ServerState, server_state};
use harkara_storage::{Pool, StorageError};
use tokio::time::timeout;

use super::connections::{self, Processes};
use super::finding::{Area, Finding};
use super::probe::{PROBE_MAX, within};
use super::{clocks, schema};
use crate::database;

const AREA: Area = Area::Postgres;

/// The longest that one statement of ours may take: each reads a handful of rows.
const STATEMENT_MAX: Duration = Duration::from_secs(4);

/// The first version in which a statement that waits for a lock notices that its client has gone
/// (`client_connection_check_interval`).
const VERSION_WITH_ALL: i32 = 140_000;

/// Everything that is found over a pool of our own.
pub(super) async fn examine(settings: &Settings, processes: Processes) -> Vec<Finding> {
    let address = database::address(&settings.postgres.url);
    let asked = async {
        let pool = database::pool(&bounded(&settings.postgres))?;
        let state = server_state(&pool).await?;
        Ok((pool, state))
    };
    let (pool, state) = match timeout(PROBE_MAX, asked).await {
        Ok(Ok(answered)) => answered,
        Ok(Err(error)) => return vec![unreachable(&address, &error)],
        Err(_) => return vec![silent(&address)],
    };
    let mut findings = of_state(&state, &address);
    findings.extend(match within(risks(&pool)).await {
        Ok(risks) => of_risks(&risks),
        Err(reason) => vec![unknown("safety of commits", &reason)],
    });
    findings.push(connections::judged(&state, settings, processes));
    findings.extend(schema::examine(&pool).await);
    findings.push(clocks::judged("PostgreSQL", skew(&pool).await));
    findings
}

/// The settings with a statement's bound that suits us.
fn bounded(settings: &PostgresSettings) -> PostgresSettings {
    PostgresSettings {
        statement_timeout: settings.statement_timeout.min(STATEMENT_MAX),
        ..settings.clone()
    }
}

async fn skew(pool: &Pool) -> Result<Skew, String> {
    within(skew_of::<StorageError>(async || {
        Ok(inspection::time(pool).await?.timestamp_micros())
    }))
    .await
}

fn unreachable(address: &str, error: &StorageError) -> Finding {
    let check = "reachable";
    let remedy = "check that it runs and that postgres.url (HARKARA__POSTGRES__URL) names it";
    match error {
        StorageError::Untrusted { address, refusal } => AREA.problem(
            check,
            format!("PostgreSQL at {address}: {}", refusal.problem()),
            refusal.remedy("postgres"),
        ),
        other => AREA.problem(
            check,
            format!("PostgreSQL at {address} cannot be used: {}", other.full()),
            remedy,
        ),
    }
}

fn silent(address: &str) -> Finding {
    AREA.problem(
        "reachable",
        format!(
            "PostgreSQL at {address} gives no answer within {} s",
            PROBE_MAX.as_secs()
        ),
        "look whether it is overloaded, and at the network between",
    )
}

/// What could not be asked, of a server that answers otherwise.
pub(super) fn unknown(check: &str, reason: &str) -> Finding {
    AREA.warning(
        check,
        format!("could not be asked: {reason}"),
        "look into the log of PostgreSQL, and ask again",
    )
}

fn of_state(state: &ServerState, address: &str) -> Vec<Finding> {
    let version = format!("{} at {address}", state.version);
    let mut findings = vec![if state.version_number < VERSION_WITH_ALL {
        AREA.warning(
            "version",
            format!("{version}: a statement that waits for a lock does not notice that its worker has gone"),
            "update it to PostgreSQL 14 or later",
        )
    } else {
        AREA.ok("version", version)
    }];
    findings.push(if state.is_standby {
        AREA.problem(
            "role",
            "it is a standby and takes no writes",
            "point postgres.url at the primary, or give both hosts with target_session_attrs=read-write",
        )
    } else if state.is_read_only {
        AREA.problem(
            "role",
            "transactions only read",
            "set default_transaction_read_only to off, for the server, the database or the role of postgres.url",
        )
    } else {
        AREA.ok("role", "a primary that takes writes")
    });
    findings.push(standbys(state));
    findings
}

fn standbys(state: &ServerState) -> Finding {
    let check = "standbys";
    let (names, n) = (&state.synchronous_standbys, state.standbys);
    match (names.is_empty(), n) {
        (false, 0) => AREA.problem(
            check,
            format!(
                "every commit waits for synchronous_standby_names ({names}), and none is connected"
            ),
            "start a standby, or empty synchronous_standby_names",
        ),
        (false, n) => AREA.ok(check, format!("{n} connected; commits wait for {names}")),
        (true, 0) => AREA.ok(check, "none is connected"),
        (true, n) => AREA.ok(
            check,
            format!("{n} connected; commits do not wait for them"),
        ),
    }
}

fn of_risks(risks: &[Risk]) -> Vec<Finding> {
    let check = "safety of commits";
    if risks.is_empty() {
        return vec![AREA.ok(check, "what is committed survives a crash of the server")];
    }
    let of_risk = |risk: &Risk| {
        let (setting, value) = (risk.setting, &risk.value);
        AREA.warning(
            check,
            format!(
                "{setting} = {value}: a crash of the server may lose events that were acknowledged"
            ),
            format!("set {setting} to on"),
        )
    };
    risks.iter().map(of_risk).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use harkara_storage::ConnectError;
    use harkara_tls::Refusal;

    use super::super::finding::Status;
    use super::*;

    pub(in super::super) fn sound() -> ServerState {
        ServerState {
            version: "15.3".to_owned(),
            version_number: 150_003,
            is_standby: false,
            is_read_only: false,
            connections_max: 100,
            connections_reserved: 3,
            role_connections_max: -1,
            database_connections_max: -1,
            other_connections: 0,
            synchronous_standbys: String::new(),
            standbys: 0,
        }
    }

    fn worst(state: &ServerState) -> Status {
        let findings = of_state(state, "db:5432");
        findings.iter().map(|finding| finding.status).max().unwrap()
    }

    #[test]
    fn a_server_that_takes_no_writes_is_a_problem() {
        assert_eq!(worst(&sound()), Status::Ok);
        for state in [
            ServerState {
                is_standby: true,
                ..sound()
            },
            ServerState {
                is_read_only: true,
                ..sound()
            },
        ] {
            assert_eq!(worst(&state), Status::Problem);
        }
    }

    #[test]
    fn an_old_version_is_warned_of() {
        let old = ServerState {
            version_number: 130_012,
            ..sound()
        };
        assert_eq!(worst(&old), Status::Warning);
    }

    #[test]
    fn commits_that_wait_for_a_standby_that_is_not_there_are_a_problem() {
        for (names, standbys, status) in [
            ("", 0, Status::Ok),
            ("", 2, Status::Ok),
            ("ANY 1 (a, b)", 1, Status::Ok),
            ("ANY 1 (a, b)", 0, Status::Problem),
        ] {
            let state = ServerState {
                synchronous_standbys: names.to_owned(),
                standbys,
                ..sound()
            };
            assert_eq!(worst(&state), status, "{names} {standbys}");
        }
    }

    #[test]
    fn an_address_is_told_with_the_reason_and_a_refused_certificate_with_its_remedy() {
        let away = unreachable("db:5432", &ConnectError::TimedOut.into());
        assert!(away.found.contains("db:5432"), "{away:?}");
        let expired = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        let untrusted = StorageError::Untrusted {
            address: "db:5432".to_owned(),
            refusal: Refusal::within(&expired).unwrap(),
        };
        let untrusted = unreachable("db:5432", &untrusted);
        assert!(untrusted.found.contains("db:5432"), "{untrusted:?}");
        assert_eq!(untrusted.remedy.as_deref(), Some("have it reissued"));
    }
}
