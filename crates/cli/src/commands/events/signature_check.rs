//! Whether a stored signature still verifies.

use bytes::Bytes;
use harkara_core::delivery::Delivery;
use harkara_core::endpoint::EndpointName;
use harkara_core::secret::Secret;
use harkara_core::signature::{EndpointSecrets, verify};
use harkara_core::time::ReceivedAt;
use harkara_core::trace::TraceContext;
use harkara_settings::Settings;
use harkara_storage::ledger::EventDetail;
use serde::Serialize;

/// What the secrets configured now say about a stored signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub(super) enum SignatureCheck {
    /// A secret gives it.
    Verifies {
        /// Which one; 0 is the newest.
        secret_position: usize,
        /// How many the endpoint has.
        secrets: usize,
    },
    /// None does: the secret was removed since, or the bytes are not those that were signed.
    DoesNotVerify {
        /// How many the endpoint has.
        secrets: usize,
    },
    /// No secret of the endpoint is configured here.
    NoSecrets,
}

/// Checks a stored signature over the stored bytes against the secrets of its endpoint.
pub(super) fn check(settings: &Settings, event: &EventDetail) -> SignatureCheck {
    let endpoint = EndpointName::parse(&event.row.endpoint).ok();
    let configured: &[Secret] = endpoint
        .as_ref()
        .and_then(|name| settings.endpoints.get(name))
        .map_or(&[], |endpoint| endpoint.secrets.as_slice());
    let (Some(endpoint), Ok(secrets)) = (endpoint, EndpointSecrets::new(configured)) else {
        return SignatureCheck::NoSecrets;
    };
    let delivery = Delivery {
        endpoint,
        event_id: None,
        signature: Some(event.signature.as_bytes()),
        trace: TraceContext::default(),
        received_at: ReceivedAt::from_millis(event.row.created_at.timestamp_millis()),
        body: Bytes::copy_from_slice(&event.body),
    };
    match verify(delivery, &secrets) {
        Ok(verified) => SignatureCheck::Verifies {
            secret_position: verified.secret_position(),
            secrets: configured.len(),
        },
        Err(_) => SignatureCheck::DoesNotVerify {
            secrets: configured.len(),
        },
    }
}

impl SignatureCheck {
    /// A phrase for people.
    pub(super) fn told(self) -> String {
        match self {
            Self::Verifies {
                secret_position: 0,
                secrets,
            } => {
                format!("verifies under secret 1 of {secrets}, the newest")
            }
            Self::Verifies {
                secret_position,
                secrets,
            } => {
                format!("verifies under secret {} of {secrets}", secret_position + 1)
            }
            Self::DoesNotVerify { secrets } => {
                format!(
                    "verifies under none of the {secrets} configured: its secret was removed since"
                )
            }
            Self::NoSecrets => {
                "cannot be checked: no secret of the endpoint is configured here".to_owned()
            }
        }
    }
}
