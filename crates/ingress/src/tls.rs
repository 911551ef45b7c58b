//! TLS on the public port: the certificate, and keeping it fresh.

use std::sync::Arc;
use std::time::Duration;

use harkara_settings::IngressTls;
use harkara_tls::{PemFault, ServerCertificate, ServerConfig};

/// The certificate with which webhooks are received.
pub(crate) struct Tls {
    certificate: Arc<ServerCertificate>,
    reload_every: Duration,
}

impl Tls {
    /// Reads the files that the settings name.
    pub(crate) fn read(settings: &IngressTls) -> Result<Self, PemFault> {
        let certificate =
            ServerCertificate::read(settings.certificate_file.clone(), settings.key_file.clone())?;
        Ok(Self {
            certificate: Arc::new(certificate),
            reload_every: settings.reload_every,
        })
    }

    /// What a server needs to speak TLS. It goes on to show the certificate of the moment.
    pub(crate) fn config(&self) -> ServerConfig {
        self.certificate.config()
    }

    /// Takes over what the files hold, again and again, until dropped. Files that cannot be used are told
    /// once, and the certificate stays.
    pub(crate) async fn keep_fresh(self) {
        let mut told = String::new();
        loop {
            tokio::time::sleep(self.reload_every).await;
            let certificate = self.certificate.clone();
            let reloaded = tokio::task::spawn_blocking(move || certificate.reload()).await;
            match reloaded.expect("reading files does not panic") {
                Ok(false) => told.clear(),
                Ok(true) => {
                    told.clear();
                    tracing::info!(
                        "New connections are shown the certificate that the files hold now."
                    );
                }
                Err(fault) => {
                    let fault = fault.to_string();
                    if fault != told {
                        tracing::warn!(
                            error = fault,
                            "The certificate in the files cannot be used; the one before stays."
                        );
                        told = fault;
                    }
                }
            }
        }
    }
}
