//! Why the ingress does not start, or ends by itself.

use std::io;
use std::net::SocketAddr;

use harkara_runtime::admin::AdminError;
use harkara_storage::StorageError;
use harkara_streams::{LevelUnavailable, ServerProblem};
use harkara_tls::PemError;

use crate::schema_check::UnknownSchema;

/// Why the ingress did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Nothing could be verified.
    #[error(
        "no endpoint is configured, so no delivery could be verified; give the webhook's secret as HARKARA__ENDPOINTS__DEFAULT__SECRETS or in the section [endpoints.default] of the settings file"
    )]
    NoEndpoints,
    /// Redis cannot hold deliveries.
    #[error(transparent)]
    Redis(#[from] ServerProblem),
    /// Redis is less durable than configured.
    #[error(transparent)]
    Level(#[from] LevelUnavailable),
    /// The settings of PostgreSQL cannot be used for the inbox.
    #[error("the inbox cannot be set up")]
    Inbox(#[source] StorageError),
    /// The settings of PostgreSQL cannot be used for the backlog.
    #[error("the backlog cannot be observed")]
    Backlog(#[source] StorageError),
    /// The binary does not support the database schema.
    #[error(transparent)]
    Schema(#[from] UnknownSchema),
    /// The certificate of the public port cannot be used.
    #[error(
        "webhooks cannot be received over TLS; correct ingress.tls_certificate_file (HARKARA__INGRESS__TLS_CERTIFICATE_FILE) and ingress.tls_key_file (HARKARA__INGRESS__TLS_KEY_FILE)"
    )]
    Certificate(#[source] PemError),
    /// The public address cannot be bound.
    #[error(
        "cannot listen on {address}; is another process using it? ingress.bind (HARKARA__INGRESS__BIND) changes it"
    )]
    Bind {
        /// The configured address.
        address: SocketAddr,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The admin address cannot be bound.
    #[error(
        "cannot open the admin port; ingress.admin_bind (HARKARA__INGRESS__ADMIN_BIND) changes it"
    )]
    Admin(#[source] AdminError),
}

/// Why a running ingress ended by itself.
#[derive(Debug, thiserror::Error)]
#[error("the server failed")]
pub struct RunError(#[source] pub(crate) io::Error);
