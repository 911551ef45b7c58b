//! The PostgreSQL server: whether it can be used, and whether its commits are durable.

use std::time::Duration;

use harkara_settings::{Pooler, PostgresSettings, Settings};
use harkara_storage::StorageError;
use harkara_storage::durability_risks::{Risk, risks};
use harkara_storage::inspection::{self, ServerState, server_state};
use harkara_streams::Deployment;
use tokio::time::timeout;

use super::connections;
use super::finding::{Area, Check, Finding};
use super::probe::{PROBE_MAX, within};
use super::{Scope, clocks, production, schema};
use crate::database;

const AREA: Area = Area::Postgres;

/// Longest wait for one statement: each reads a few rows.
const STATEMENT_MAX: Duration = Duration::from_secs(4);

/// The first version with `client_connection_check_interval`: a statement that waits for a lock notices that
/// its client has gone.
const VERSION_WITH_ALL: i32 = 140_000;

/// Checks everything that one pool can show, and identifies the ledger of the deployment.
pub(super) async fn examine(
    settings: &Settings,
    deployment: &Deployment,
    scope: Scope,
) -> Vec<Finding> {
    let address = harkara_storage::address(&settings.postgres.url);
    let asked = async {
        let pool = database::pool(&bounded(&settings.postgres))?;
        let state = server_state(&pool).await?;
        Ok((pool, state))
    };
    let (pool, state) = match timeout(PROBE_MAX, asked).await {
        Ok(Ok(answered)) => answered,
        Ok(Err(error)) => return vec![unreachable(&address, &error)],
        Err(_) => return vec![AREA.check("reachable").silent("PostgreSQL", &address)],
    };
    let mut findings = of_state(&state, &address).to_vec();
    if scope.production.is_some() {
        findings.push(production::role(&state));
    }
    findings.extend(match within(risks(&pool)).await {
        Ok(risks) => of_risks(&risks),
        Err(reason) => vec![unanswered(AREA.check("safety of commits"), &reason)],
    });
    let is_pooled = pool.is_pooled();
    findings.push(pooler(is_pooled, settings.postgres.pooler));
    findings.push(if is_pooled {
        connections::to_pooler(settings, scope.processes)
    } else {
        connections::judged(&state, settings, scope.processes)
    });
    findings.extend(schema::examine(&pool, scope.process()).await);
    // Without the id, which a schema that is behind lacks, the names alone are compared.
    within(deployment.identify(&pool)).await.ok();
    let skew = clocks::skew_of::<StorageError>(async || {
        Ok(inspection::time(&pool).await?.timestamp_micros())
    });
    findings.push(clocks::judged("PostgreSQL", within(skew).await));
    findings
}

/// The settings with the bound of a statement lowered, and a pooler looked for if the settings deny it.
fn bounded(settings: &PostgresSettings) -> PostgresSettings {
    let pooler = match settings.pooler {
        Pooler::None => Pooler::Auto,
        set => set,
    };
    PostgresSettings {
        pooler,
        statement_timeout: settings.statement_timeout.min(STATEMENT_MAX),
        ..settings.clone()
    }
}

fn unreachable(address: &str, error: &StorageError) -> Finding {
    let check = AREA.check("reachable");
    match error {
        StorageError::Untrusted { address, refusal } => check.problem(
            format!("PostgreSQL at {address}: {}", refusal.problem()),
            refusal.remedy("postgres"),
        ),
        other => check.problem(
            format!("PostgreSQL at {address} cannot be used: {}", other.full()),
            "check that it is running and that postgres.url (HARKARA__POSTGRES__URL) is correct",
        ),
    }
}

pub(super) fn unanswered(check: Check, reason: &str) -> Finding {
    check.unanswered(
        reason,
        "check the log of PostgreSQL, then run the check again",
    )
}

fn of_state(state: &ServerState, address: &str) -> [Finding; 3] {
    [version(state, address), role(state), standbys(state)]
}

fn version(state: &ServerState, address: &str) -> Finding {
    let check = AREA.check("version");
    let version = format!("{} at {address}", state.version);
    if state.version_number >= VERSION_WITH_ALL {
        return check.ok(version);
    }
    check.warning(
        format!(
            "{version}: a statement that waits for a lock does not notice that its worker has gone"
        ),
        "upgrade to PostgreSQL 14 or later",
    )
}

fn role(state: &ServerState) -> Finding {
    let check = AREA.check("role");
    if state.is_standby {
        check.problem(
            "it is a standby and accepts no writes",
            "point postgres.url at the primary, or give both hosts with target_session_attrs=read-write",
        )
    } else if state.is_read_only {
        check.problem(
            "transactions are read-only",
            "set default_transaction_read_only to off, for the server, the database or the role of postgres.url",
        )
    } else {
        check.ok("a primary that accepts writes")
    }
}

fn standbys(state: &ServerState) -> Finding {
    let check = AREA.check("standbys");
    let (names, n) = (&state.synchronous_standbys, state.standbys);
    match (names.is_empty(), n) {
        (false, 0) => check.problem(
            format!(
                "every commit waits for synchronous_standby_names ({names}), and none is connected"
            ),
            "start a standby, or clear synchronous_standby_names",
        ),
        (false, n) => check.ok(format!("{n} connected; commits wait for {names}")),
        (true, 0) => check.ok("none connected"),
        (true, n) => check.ok(format!("{n} connected; commits do not wait for them")),
    }
}

fn pooler(is_pooled: bool, setting: Pooler) -> Finding {
    let check = AREA.check("pooler");
    match (is_pooled, setting) {
        (false, _) => check.ok("none: connections are direct"),
        (true, Pooler::None) => check.warning(
            "there is one, and postgres.pooler = none: unless it keeps a session for each connection, statements \
             fail and events stay pending",
            "set postgres.pooler to auto, or check that the pooler runs in session mode",
        ),
        (true, Pooler::Transaction) => {
            check.ok("as postgres.pooler = transaction says; nothing outlives its transaction")
        }
        (true, Pooler::Auto) => check.ok("there is one; nothing outlives its transaction"),
    }
}

fn of_risks(risks: &[Risk]) -> Vec<Finding> {
    let check = || AREA.check("safety of commits");
    if risks.is_empty() {
        return vec![check().ok("commits survive a crash of the server")];
    }
    let of_risk = |Risk { setting, value, .. }: &Risk| {
        check().warning(
            format!("{setting} = {value}: a crash of the server may lose acknowledged events"),
            format!("set {setting} to on"),
        )
    };
    risks.iter().map(of_risk).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use harkara_tls::Refusal;

    use super::super::finding::Status;
    use super::*;

    pub(in super::super) fn sound() -> ServerState {
        ServerState {
            version: "15.3".to_owned(),
            version_number: 150_003,
            is_standby: false,
            is_read_only: false,
            is_superuser: false,
            connections_max: 100,
            connections_reserved: 3,
            role_connections_max: -1,
            database_connections_max: -1,
            other_connections: 0,
            synchronous_standbys: String::new(),
            standbys: 0,
        }
    }

    #[test]
    fn each_weakness_is_reported() {
        type Edit = fn(&mut ServerState);
        let cases: [(Edit, Status); 7] = [
            (|_| {}, Status::Ok),
            (|s| s.is_standby = true, Status::Problem),
            (|s| s.is_read_only = true, Status::Problem),
            (|s| s.version_number = 130_012, Status::Warning),
            // Commits wait only for synchronous standbys.
            (|s| s.standbys = 2, Status::Ok),
            (|s| s.synchronous_standbys.push('a'), Status::Problem),
            (
                |s| (s.synchronous_standbys, s.standbys) = ("a".to_owned(), 1),
                Status::Ok,
            ),
        ];
        for (n, (change, status)) in cases.into_iter().enumerate() {
            let mut state = sound();
            change(&mut state);
            let worst = of_state(&state, "db:5432").map(|finding| finding.status);
            assert_eq!(worst.into_iter().max(), Some(status), "{n}");
        }
    }

    #[test]
    fn a_pooler_is_told_and_one_that_the_settings_deny_is_a_warning() {
        for (is_pooled, setting, status) in [
            (false, Pooler::Auto, Status::Ok),
            (false, Pooler::None, Status::Ok),
            (true, Pooler::Auto, Status::Ok),
            (true, Pooler::Transaction, Status::Ok),
            (true, Pooler::None, Status::Warning),
        ] {
            assert_eq!(pooler(is_pooled, setting).status, status, "{setting:?}");
        }
    }

    #[test]
    fn a_refused_certificate_has_its_own_remedy() {
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
