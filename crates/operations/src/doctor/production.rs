//! What only production needs: passwords, separate rights, secrets in files, a name, telemetry.

use harkara_core::deployment::DeploymentName;
use harkara_settings::{Settings, variable};
use harkara_storage::inspection::ServerState;

use super::finding::{Area, Finding};

const AREA: Area = Area::Production;

/// The standard variables that name the receiver of spans and metrics.
const RECEIVERS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
];

/// Checks the settings.
pub(super) fn examine(settings: &Settings) -> Vec<Finding> {
    let (redis, postgres) = (&settings.redis, &settings.postgres);
    let has_receiver = RECEIVERS.iter().any(|name| variable(name).is_some());
    vec![
        login("redis", redis.has_login()),
        login("postgres", postgres.has_login()),
        secrets_files(settings),
        deployment_name(&settings.deployment),
        telemetry(has_receiver),
    ]
}

/// Whether the server asks who connects.
fn login(section: &str, has_login: bool) -> Finding {
    let check = AREA.check(format!("login to {section}"));
    if has_login {
        return check.ok("a password, a client certificate or a Unix socket");
    }
    check.warning(
        "none: whoever reaches the server may read and change everything",
        format!(
            "require a password, and write it into {section}.url (or its file, {section}.url_file)"
        ),
    )
}

fn secrets_files(settings: &Settings) -> Finding {
    let check = AREA.check("files of webhook secrets");
    let mut endpoints = settings.endpoints.iter();
    match endpoints.find(|(_, endpoint)| endpoint.secrets_file.is_none()) {
        Some((name, _)) => check.warning(
            format!("the secrets of {name} are not in a file: a rotation takes a restart"),
            format!("set endpoints.{name}.secrets_file"),
        ),
        None => check.ok("all are in files, and can be rotated without a restart"),
    }
}

fn deployment_name(name: &DeploymentName) -> Finding {
    let check = AREA.check("name of the deployment");
    if name.as_str() != DeploymentName::DEFAULT {
        return check.ok(name.to_string());
    }
    check.warning(
        format!("it is {name}, the default: it would not tell a restored backup from the original"),
        "set deployment.name, such as payments-production, the same for all processes",
    )
}

fn telemetry(has_receiver: bool) -> Finding {
    let check = AREA.check("traces");
    if has_receiver {
        return check.ok("exported over OTLP");
    }
    check.warning(
        "not exported: what happened to a single delivery cannot be followed",
        "set OTEL_EXPORTER_OTLP_ENDPOINT for every process (docs/operations.md)",
    )
}

/// Whether the role of `postgres.url` may do more than any process needs.
pub(super) fn role(state: &ServerState) -> Finding {
    let check = AREA.check("rights of the role");
    if !state.is_superuser {
        return check.ok("it is no superuser");
    }
    check.warning(
        "the role of postgres.url is a superuser, and may read and destroy every database",
        "create a role for each process, and run what `harkara grants` prints",
    )
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::super::postgres::tests::sound;
    use super::*;

    fn weak(changed: &[(&str, &str)]) -> Vec<String> {
        let settings = Settings::from_pairs(changed.iter().copied()).unwrap();
        let findings = examine(&settings);
        let weak = findings.iter().filter(|f| f.status == Status::Warning);
        weak.map(|finding| finding.check.clone()).collect()
    }

    #[test]
    fn what_development_does_without_is_a_warning_in_production() {
        let development = [
            ("redis.url", "redis://db"),
            ("postgres.url", "postgres://harkara@db/harkara"),
            ("endpoints.default.secrets", "a-long-random-secret"),
        ];
        assert_eq!(
            weak(&development),
            [
                "login to redis",
                "login to postgres",
                "files of webhook secrets",
                "name of the deployment",
                "traces",
            ]
        );
    }

    #[test]
    fn passwords_files_and_a_name_are_enough() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "a-long-random-secret").unwrap();
        let file = file.path().to_str().unwrap();
        let production = [
            ("redis.url", "redis://harkara:p@db"),
            ("postgres.url", "postgres://harkara:p@db/harkara"),
            ("endpoints.default.secrets_file", file),
            ("deployment.name", "payments"),
        ];
        assert_eq!(weak(&production), ["traces"]);
        let socket = [("postgres.url", "postgres:///harkara?host=/run/postgresql")];
        assert!(!weak(&socket).contains(&"login to postgres".to_owned()));
        assert_eq!(telemetry(true).status, Status::Ok);
    }

    #[test]
    fn a_superuser_is_a_warning() {
        let mut state = sound();
        assert_eq!(role(&state).status, Status::Ok);
        state.is_superuser = true;
        assert_eq!(role(&state).status, Status::Warning);
    }
}
