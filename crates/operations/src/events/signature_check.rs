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

/// Whether a stored signature verifies under the secrets that are configured now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum SignatureCheck {
    /// It does.
    Verifies {
        /// Under which secret; 0 is the newest.
        secret_position: usize,
        /// Secrets of the endpoint.
        secrets: usize,
    },
    /// It does not: the secret was removed, or the bytes are not those that were signed.
    DoesNotVerify {
        /// Secrets of the endpoint.
        secrets: usize,
    },
    /// No secret of the endpoint is configured here.
    NoSecrets,
}

impl SignatureCheck {
    /// Checks the stored signature of the stored bytes with the secrets of the event's endpoint.
    pub(super) fn of(settings: &Settings, event: &EventDetail) -> Self {
        let endpoint = EndpointName::parse(&event.row.endpoint).ok();
        let configured: &[Secret] = endpoint
            .as_ref()
            .and_then(|name| settings.endpoints.get(name))
            .map_or(&[], |endpoint| endpoint.secrets.as_slice());
        let (Some(endpoint), Ok(secrets)) = (endpoint, EndpointSecrets::new(configured)) else {
            return Self::NoSecrets;
        };
        let delivery = Delivery {
            endpoint,
            event_id: None,
            signature: Some(event.signature.as_bytes()),
            trace: TraceContext::default(),
            received_at: ReceivedAt::from_millis(event.row.created_at.timestamp_millis()),
            body: Bytes::copy_from_slice(&event.body),
        };
        let n_secrets = configured.len();
        match verify(delivery, &secrets) {
            Ok(verified) => Self::Verifies {
                secret_position: verified.secret_position(),
                secrets: n_secrets,
            },
            Err(_) => Self::DoesNotVerify { secrets: n_secrets },
        }
    }
}
