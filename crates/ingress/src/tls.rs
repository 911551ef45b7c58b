//! The TLS certificate of the public port, and its reload.

use std::sync::Arc;
use std::time::Duration;

use harkara_core::causes::with_causes;
use harkara_settings::IngressTls;
use harkara_tls::{PemError, ServerCertificate, ServerConfig};

/// The certificate that clients are shown.
pub(crate) struct Tls {
    certificate: Arc<ServerCertificate>,
    reload_every: Duration,
}

impl Tls {
    /// Reads the files that the settings name.
    pub(crate) fn read(settings: &IngressTls) -> Result<Self, PemError> {
        let certificate =
            ServerCertificate::read(settings.certificate_file.clone(), settings.key_file.clone())?;
        Ok(Self {
            certificate: Arc::new(certificate),
            reload_every: settings.reload_every,
        })
    }

    /// The configuration of a server that always shows the latest certificate.
    pub(crate) fn config(&self) -> ServerConfig {
        self.certificate.config()
    }

    /// Reloads the files periodically, until aborted. While they cannot be used the certificate stays; each
    /// error is logged once.
    pub(crate) async fn reload(self) {
        let mut last_error = None;
        loop {
            tokio::time::sleep(self.reload_every).await;
            let certificate = self.certificate.clone();
            let reloaded = tokio::task::spawn_blocking(move || certificate.reload()).await;
            let error = match reloaded.expect("reading files does not panic") {
                Ok(false) => None,
                Ok(true) => {
                    tracing::info!("Reloaded the TLS certificate.");
                    None
                }
                Err(error) => Some(with_causes(&error)),
            };
            if error.is_some() && error != last_error {
                tracing::warn!(
                    error,
                    "The TLS certificate in the files cannot be used; keeping the previous one."
                );
            }
            last_error = error;
        }
    }
}
