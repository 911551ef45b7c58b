//! What only production needs: logins, rights that differ, secrets in files, a name, traces.

use harkara_core::deployment::DeploymentName;
use harkara_core::endpoint::EndpointName;
use harkara_settings::{EndpointSettings, Settings};
use harkara_storage::PoolSettings;
use harkara_storage::inspection::{self as storage, ServerState};
use harkara_streams::inspection as streams;
use harkara_tls::ClientTls;

use super::finding::{Area, Finding};
use super::probe::within;
use crate::database::APPLICATION;

const AREA: Area = Area::Production;

/// Checks the settings, and whether the servers ask who connects.
pub(super) async fn examine(settings: &Settings, exports_traces: bool) -> Vec<Finding> {
    let (redis, postgres) = (&settings.redis, &settings.postgres);
    let pool = PoolSettings::of(postgres, APPLICATION);
    let (of_redis, of_postgres) = tokio::join!(
        within(streams::admits_anybody(redis)),
        within(storage::admits_anybody(&pool)),
    );
    let mut findings = vec![login("redis", &of_redis, redis.tls.as_ref())];
    // There the system knows who connects.
    let is_socket = harkara_storage::address(&postgres.url).starts_with('/');
    if !is_socket {
        findings.push(login("postgres", &of_postgres, postgres.tls.as_ref()));
    }
    let endpoints = settings.endpoints.iter();
    findings.extend(endpoints.map(|(name, endpoint)| secrets_file(name, endpoint)));
    findings.push(deployment_name(&settings.deployment));
    findings.push(traces(exports_traces));
    findings
}

/// Whether a server asks who connects.
fn login(section: &str, admits_anybody: &Result<bool, String>, tls: Option<&ClientTls>) -> Finding {
    let check = AREA.check(format!("login to {section}"));
    match admits_anybody {
        Ok(false) => check.ok("nobody gets in without a password"),
        // It was shown, and may be what the server asks for.
        Ok(true) if tls.is_some_and(|tls| tls.identity().is_some()) => check.warning(
            "a client certificate, and no password: it is unknown whether the server asks for the certificate",
            "require a password too, or look the certificate up in the configuration of the server",
        ),
        Ok(true) => check.warning(
            "none: whoever reaches the server may read and change everything",
            format!(
                "require a password of everybody, also of the server's default user, and write it into {section}.url"
            ),
        ),
        Err(reason) => check.unanswered(reason, "see the other findings, then run the check again"),
    }
}

fn secrets_file(name: &EndpointName, endpoint: &EndpointSettings) -> Finding {
    let check = AREA.check(format!("secrets file of {name}"));
    match &endpoint.secrets_file {
        Some(_) => check.ok("there is one, so a rotation takes no restart"),
        None => check.warning(
            "there is none: a rotation takes a restart",
            format!("set endpoints.{name}.secrets_file"),
        ),
    }
}

fn deployment_name(name: &DeploymentName) -> Finding {
    let check = AREA.check("name of the deployment");
    if name.as_str() != DeploymentName::DEFAULT {
        return check.ok(name.to_string());
    }
    check.warning(
        format!("{name}, the default: with it a restored backup cannot be told from the original"),
        "set deployment.name, such as payments-production, the same for all processes",
    )
}

fn traces(are_exported: bool) -> Finding {
    let check = AREA.check("traces");
    if are_exported {
        return check.ok("exported over OTLP");
    }
    check.warning(
        "not exported: nobody can follow what happened to a delivery",
        "set OTEL_EXPORTER_OTLP_ENDPOINT for every process (docs/operations.md)",
    )
}

/// Whether the role of `postgres.url` may do more than any process needs.
pub(super) fn role(state: &ServerState) -> Finding {
    let check = AREA.check("rights of the role");
    if !state.is_superuser {
        return check.ok("it is not a superuser");
    }
    check.warning(
        "the role of postgres.url is a superuser, which may read and destroy every database",
        "create a role for each process, and run what `harkara grants` prints",
    )
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::super::postgres::tests::sound;
    use super::*;

    #[test]
    fn what_development_does_without_is_a_warning() {
        let mut state = sound();
        state.is_superuser = true;
        let settings = Settings::from_pairs([("endpoints.live.secrets", "a-long-random-secret")]);
        let settings = settings.unwrap();
        let (name, endpoint) = settings.endpoints.iter().next().unwrap();
        for finding in [
            login("redis", &Ok(true), None),
            login("redis", &Err("no answer".to_owned()), None),
            secrets_file(name, endpoint),
            deployment_name(&settings.deployment),
            traces(false),
            role(&state),
        ] {
            assert_eq!(finding.status, Status::Warning, "{finding:?}");
        }
    }

    #[test]
    fn passwords_files_a_name_and_a_plain_role_are_enough() {
        let endpoint = EndpointSettings {
            secrets_file: Some("/run/secrets/live".into()),
            ..EndpointSettings::default()
        };
        let name = DeploymentName::parse("payments").unwrap();
        for finding in [
            login("redis", &Ok(false), None),
            secrets_file(&EndpointName::parse("live").unwrap(), &endpoint),
            deployment_name(&name),
            traces(true),
            role(&sound()),
        ] {
            assert_eq!(finding.status, Status::Ok, "{finding:?}");
        }
    }
}
