//! The endpoints and their secrets. One without a secret is a fault of the settings, as is a file of secrets
//! that cannot be read.

use harkara_core::endpoint::EndpointName;
use harkara_settings::{EndpointSettings, Settings};

use super::finding::{Area, Finding};
use crate::secrets::DEVELOPMENT_SECRET;
use crate::wording::counted;

const AREA: Area = Area::Endpoints;

/// A secret of fewer characters may be found by trying, away from us, with a single delivery that somebody
/// saw: of random letters and digits so many are 80 bits.
const SECRET_CHARACTERS_MIN: usize = 14;

/// Looks at what the settings hold of them.
pub(super) fn examine(settings: &Settings) -> Vec<Finding> {
    if settings.endpoints.is_empty() {
        return vec![AREA.warning(
            "configured",
            "no endpoint is configured here; an ingress would not start (a worker needs none)",
            "give the webhook's secret as HARKARA__ENDPOINTS__DEFAULT__SECRETS, or as a file of it",
        )];
    }
    let each = settings.endpoints.iter();
    each.map(|(name, endpoint)| secrets(name, endpoint))
        .collect()
}

fn secrets(name: &EndpointName, endpoint: &EndpointSettings) -> Finding {
    let check = format!("secrets of {name}");
    let is = |wrong: fn(&str) -> bool| endpoint.secrets.iter().any(|s| wrong(s.expose()));
    if is(|secret| secret == DEVELOPMENT_SECRET) {
        return AREA.warning(
            check,
            "one of them is the secret of development, which everybody knows",
            "give it a random secret, here and at Razorpay, wherever real webhooks arrive",
        );
    }
    if is(|secret| secret.chars().count() < SECRET_CHARACTERS_MIN) {
        return AREA.warning(
            check,
            format!(
                "one of them has fewer than {SECRET_CHARACTERS_MIN} characters and may be guessed"
            ),
            "replace it by a long random one (docs/operations.md, \"Rotating a webhook secret\")",
        );
    }
    let n_secrets = u64::try_from(endpoint.secrets.len()).unwrap_or(u64::MAX);
    let from = match &endpoint.secrets_file {
        Some(file) => format!("read from {}", file.display()),
        None => "from the settings; a file of them is taken up without a restart".to_owned(),
    };
    AREA.ok(check, format!("{}, {from}", counted(n_secrets, "secret")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::finding::Status;
    use super::*;

    fn found(secrets: &str) -> Vec<(Status, String)> {
        let map: BTreeMap<String, String> = [("endpoints.live.secrets", secrets)]
            .into_iter()
            .filter(|(_, secrets)| !secrets.is_empty())
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let settings = Settings::from_map(map).unwrap();
        let findings = examine(&settings).into_iter();
        findings.map(|f| (f.status, f.found)).collect()
    }

    #[test]
    fn secrets_that_others_may_have_are_warned_of_and_never_told() {
        for (secrets, status, words) in [
            ("", Status::Warning, "no endpoint"),
            ("harkara-dev-secret", Status::Warning, "development"),
            ("a-long-random-secret,short-one", Status::Warning, "guessed"),
            (
                "a-long-random-secret,another-long-one",
                Status::Ok,
                "2 secrets",
            ),
        ] {
            let found = found(secrets);
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0].0, status, "{found:?}");
            assert!(found[0].1.contains(words), "{found:?}");
            assert!(!found[0].1.contains("short-one"), "{found:?}");
        }
    }
}
