//! Why the ingress does not start, or ends by itself.

use std::io;
use std::net::SocketAddr;

use harkara_runtime::admin::AdminError;
use harkara_storage::StorageError;
use harkara_storage::migrations::SchemaState;
use harkara_streams::{ForeignStreams, LevelUnavailable, ServerProblem};
use harkara_tls::PemError;

/// Why the ingress did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Nothing could be verified.
    #[error("no endpoint is configured, so no delivery could be verified")]
    NoEndpoints,
    /// Redis cannot hold deliveries.
    #[error("{}", .0.problem())]
    Redis(#[from] ServerProblem),
    /// The streams belong to another deployment, and there is no inbox.
    #[error(transparent)]
    Foreign(ForeignStreams),
    /// Redis is less durable than configured.
    #[error("{}", .0.problem())]
    Level(#[from] LevelUnavailable),
    /// The settings of PostgreSQL cannot be used for the inbox.
    #[error("the inbox cannot be set up")]
    Inbox(#[source] StorageError),
    /// The settings of PostgreSQL cannot be used for the backlog.
    #[error("the backlog cannot be observed")]
    Backlog(#[source] StorageError),
    /// The binary does not support the database schema.
    #[error("{}", .0.problem().unwrap_or_default())]
    Schema(SchemaState),
    /// The certificate of the public port cannot be used.
    #[error("webhooks cannot be received over TLS")]
    Certificate(#[source] PemError),
    /// The public address cannot be bound.
    #[error("cannot listen on {address}")]
    Bind {
        /// The configured address.
        address: SocketAddr,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The admin address cannot be bound.
    #[error("cannot open the admin port")]
    Admin(#[source] AdminError),
}

impl StartError {
    /// What an operator can do about it, where that is known.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        let remedy = match self {
            Self::NoEndpoints => {
                "give the webhook's secret as HARKARA__ENDPOINTS__DEFAULT__SECRETS or in the section [endpoints.default] of the settings file"
            }
            Self::Redis(problem) => return Some(problem.remedy()),
            Self::Foreign(foreign) => foreign.remedy(),
            Self::Level(level) => level.remedy(),
            Self::Inbox(_) | Self::Backlog(_) => return None,
            Self::Schema(state) => state.remedy(),
            Self::Certificate(_) => {
                "correct ingress.tls_certificate_file (HARKARA__INGRESS__TLS_CERTIFICATE_FILE) and ingress.tls_key_file (HARKARA__INGRESS__TLS_KEY_FILE)"
            }
            Self::Bind { .. } => {
                "is another process using it? ingress.bind (HARKARA__INGRESS__BIND) changes it"
            }
            Self::Admin(_) => "ingress.admin_bind (HARKARA__INGRESS__ADMIN_BIND) changes it",
        };
        Some(remedy.to_owned())
    }
}

/// Why a running ingress ended by itself.
#[derive(Debug, thiserror::Error)]
#[error("the server failed")]
pub struct RunError(#[source] pub(crate) io::Error);
