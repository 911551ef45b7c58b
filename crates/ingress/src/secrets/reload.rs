//! Reloads secrets from their files, without a restart.
//!
//! The files are read periodically: where an orchestrator swaps links, neither a modification time nor a
//! notification shows that their content has changed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use harkara_core::secret::{Fingerprint, Secret};
use harkara_settings::{SecretsFileError, read_secrets_file};
use harkara_telemetry::catalogue::INGRESS_SECRETS_RELOADS;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tokio::time::MissedTickBehavior;

use super::LiveSecrets;

/// The one task that replaces secrets.
pub(crate) struct SecretsReload {
    files: Vec<SecretsFile>,
    poll_every: Duration,
    changed: Counter,
    failed: Counter,
}

struct SecretsFile {
    path: PathBuf,
    live: Arc<LiveSecrets>,
    /// Other secrets than the live ones, read once. Somebody may still be writing the file in place, so they
    /// are used when the next read returns them too.
    candidate: Option<Vec<Secret>>,
    /// The error of the last read; each is logged once.
    last_error: Option<String>,
}

type ReadSecrets = Result<Vec<Secret>, SecretsFileError>;

impl SecretsReload {
    /// Reloads the secrets of those endpoints that have a file.
    pub(crate) fn new(
        endpoints: &[Arc<LiveSecrets>],
        poll_every: Duration,
        registry: &mut Registry,
    ) -> Self {
        let [changed, failed] = INGRESS_SECRETS_RELOADS.per_value(registry, Counter::default);
        let file = |live: &Arc<LiveSecrets>| {
            Some(SecretsFile {
                path: live.file.clone()?,
                live: live.clone(),
                candidate: None,
                last_error: None,
            })
        };
        Self {
            files: endpoints.iter().filter_map(file).collect(),
            poll_every,
            changed,
            failed,
        }
    }

    /// Runs until it is aborted; ends immediately if there are no files.
    pub(crate) async fn run(mut self) {
        let mut polls = tokio::time::interval(self.poll_every);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.files.is_empty() {
            polls.tick().await;
            let paths: Vec<PathBuf> = self.files.iter().map(|file| file.path.clone()).collect();
            let read = move || -> Vec<ReadSecrets> {
                paths.iter().map(|path| read_secrets_file(path)).collect()
            };
            // A disk may be slow, and this thread has other tasks.
            let Ok(read) = tokio::task::spawn_blocking(read).await else {
                continue;
            };
            for (file, read) in self.files.iter_mut().zip(read) {
                match file.apply(read) {
                    Reload::Unchanged => 0,
                    Reload::Changed => self.changed.inc(),
                    Reload::Failed => self.failed.inc(),
                };
            }
        }
    }
}

enum Reload {
    Unchanged,
    Changed,
    Failed,
}

impl SecretsFile {
    fn apply(&mut self, read: ReadSecrets) -> Reload {
        let endpoint = self.live.endpoint.as_str();
        let file = self.path.display();
        let candidate = self.candidate.take();
        match read {
            Ok(secrets) if secrets == self.live.load().live => {
                if self.last_error.take().is_some() {
                    tracing::info!(
                        endpoint, %file,
                        "The file of webhook secrets can be used again and holds the live secrets."
                    );
                }
                Reload::Unchanged
            }
            Ok(secrets) if candidate.as_ref() == Some(&secrets) => {
                let n_secrets = secrets.len();
                let fingerprints: Vec<_> = secrets.iter().map(Fingerprint::of).collect();
                self.live.replace(secrets);
                self.last_error = None;
                tracing::info!(
                    endpoint, %file, secrets = n_secrets, ?fingerprints,
                    "Webhook secrets were replaced from their file."
                );
                Reload::Changed
            }
            Ok(secrets) => {
                self.candidate = Some(secrets);
                Reload::Unchanged
            }
            Err(error) => {
                let error = error.to_string();
                if self.last_error.as_ref() != Some(&error) {
                    tracing::error!(
                        endpoint, %file, error,
                        remedy = "write the endpoint's secrets into it, one a line, newest first",
                        "The file of webhook secrets cannot be used; keeping the previous secrets."
                    );
                    self.last_error = Some(error);
                }
                Reload::Failed
            }
        }
    }
}
