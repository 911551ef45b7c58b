//! The endpoints and their secrets. An endpoint without a secret, or with an unreadable file of secrets, is a
//! problem of the settings.

use harkara_core::endpoint::EndpointName;
use harkara_settings::{EndpointSettings, Settings};
use harkara_storage::grants::Process;

use super::finding::{Area, Finding};
use crate::secrets::DEVELOPMENT_SECRET;
use crate::wording::counted;

const AREA: Area = Area::Endpoints;

/// A shorter secret may be found offline by brute force from a single recorded delivery: this many random
/// letters and digits are 80 bits.
const SECRET_CHARACTERS_MIN: usize = 14;

/// Checks the secrets of every endpoint. Only an ingress needs endpoints.
pub(super) fn examine(settings: &Settings, role: Option<Process>) -> Vec<Finding> {
    if settings.endpoints.is_empty() && role.is_none_or(|role| role == Process::Ingress) {
        return vec![AREA.check("configured").warning(
            "no endpoint is configured here; an ingress would not start (a worker needs none)",
            "set HARKARA__ENDPOINTS__DEFAULT__SECRETS to the webhook's secret, or …_SECRETS_FILE to a file",
        )];
    }
    let each = settings.endpoints.iter();
    each.map(|(name, endpoint)| secrets(name, endpoint))
        .collect()
}

fn secrets(name: &EndpointName, endpoint: &EndpointSettings) -> Finding {
    let check = AREA.check(format!("secrets of {name}"));
    let any = |is_weak: fn(&str) -> bool| endpoint.secrets.iter().any(|s| is_weak(s.expose()));
    if any(|secret| secret == DEVELOPMENT_SECRET) {
        return check.warning(
            "one of them is the public development secret",
            "use a random secret, here and at Razorpay, if real webhooks arrive",
        );
    }
    if any(|secret| secret.chars().count() < SECRET_CHARACTERS_MIN) {
        return check.warning(
            format!(
                "one of them has fewer than {SECRET_CHARACTERS_MIN} characters and may be guessed"
            ),
            "replace it with a long random one (docs/operations.md, \"Rotating a webhook secret\")",
        );
    }
    let n_secrets = u64::try_from(endpoint.secrets.len()).unwrap_or(u64::MAX);
    let from = match &endpoint.secrets_file {
        Some(file) => format!("read from {}", file.display()),
        None => "from the settings; only a secrets file can change without a restart".to_owned(),
    };
    check.ok(format!("{}, {from}", counted(n_secrets, "secret")))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;

    #[test]
    fn secrets_that_others_may_have_are_reported_and_never_shown() {
        for (secrets, status, part) in [
            ("", Status::Warning, "no endpoint"),
            ("harkara-dev-secret", Status::Warning, "development"),
            ("a-long-random-secret,short-one", Status::Warning, "guessed"),
            (
                "a-long-random-secret,another-long-one",
                Status::Ok,
                "2 secrets",
            ),
        ] {
            let given = (!secrets.is_empty()).then_some(("endpoints.live.secrets", secrets));
            let settings = Settings::from_pairs(given).unwrap();
            let findings = examine(&settings, None);
            let [
                Finding {
                    status: is, found, ..
                },
            ] = &findings[..]
            else {
                panic!("{findings:?}")
            };
            assert_eq!(*is, status, "{found}");
            assert!(
                found.contains(part) && !found.contains("short-one"),
                "{found}"
            );
        }
    }
}
