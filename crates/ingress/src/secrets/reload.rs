//! Takes over what is written to files of secrets, without a restart.
//!
//! The files are read again and again: where an orchestrator swaps links, neither their time of change nor
//! a notification tells that their content is another.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use harkara_core::secret::{Fingerprint, Secret};
use harkara_settings::{UnusableSecretsFile, read_secrets_file};
use harkara_telemetry::catalogue::INGRESS_SECRETS_RELOADS;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tokio::time::MissedTickBehavior;

use super::LiveSecrets;

/// The one task that replaces secrets.
pub(crate) struct SecretsReload {
    files: Vec<WatchedFile>,
    look_every: Duration,
    changed: Counter,
    failed: Counter,
}

struct WatchedFile {
    path: PathBuf,
    live: Arc<LiveSecrets>,
    /// Other secrets than the live ones, seen once. Whoever writes a file in place may be in the midst of
    /// it, so they are taken when the next look finds them too.
    seen: Option<Vec<Secret>>,
    /// What was told of the file being unusable; told once.
    told: Option<String>,
}

type Found = Result<Vec<Secret>, UnusableSecretsFile>;

impl SecretsReload {
    /// Watches those of the endpoints whose secrets come from files.
    pub(crate) fn new(
        endpoints: &[Arc<LiveSecrets>],
        look_every: Duration,
        registry: &mut Registry,
    ) -> Self {
        let reloads = Family::<[(&'static str, &'static str); 1], Counter>::default();
        INGRESS_SECRETS_RELOADS.register(registry, reloads.clone());
        let watched = |live: &Arc<LiveSecrets>| {
            Some(WatchedFile {
                path: live.file()?.to_owned(),
                live: live.clone(),
                seen: None,
                told: None,
            })
        };
        Self {
            files: endpoints.iter().filter_map(watched).collect(),
            look_every,
            changed: reloads.get_or_create_owned(&[("outcome", "changed")]),
            failed: reloads.get_or_create_owned(&[("outcome", "failed")]),
        }
    }

    /// Runs until it is aborted; ends at once where there are no files.
    pub(crate) async fn run(mut self) {
        let mut looks = tokio::time::interval(self.look_every);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.files.is_empty() {
            looks.tick().await;
            let paths: Vec<PathBuf> = self.files.iter().map(|file| file.path.clone()).collect();
            let read =
                move || -> Vec<Found> { paths.iter().map(|p| read_secrets_file(p)).collect() };
            // A disk may be slow, and this thread does other things.
            let Ok(found) = tokio::task::spawn_blocking(read).await else {
                continue;
            };
            for (file, found) in self.files.iter_mut().zip(found) {
                match file.look(found) {
                    Look::Same => {}
                    Look::Changed => {
                        self.changed.inc();
                    }
                    Look::Failed => {
                        self.failed.inc();
                    }
                }
            }
        }
    }
}

enum Look {
    Same,
    Changed,
    Failed,
}

impl WatchedFile {
    fn look(&mut self, found: Found) -> Look {
        let endpoint = self.live.endpoint().as_str();
        let file = self.path.display();
        let seen = self.seen.take();
        match found {
            Ok(secrets) if secrets == self.live.load().live() => {
                if self.told.take().is_some() {
                    tracing::info!(
                        endpoint, %file,
                        "The file of webhook secrets is sound again and holds the secrets that are live."
                    );
                }
                Look::Same
            }
            Ok(secrets) if seen.as_ref() == Some(&secrets) => {
                let n_secrets = secrets.len();
                let fingerprints: Vec<_> = secrets.iter().map(Fingerprint::of).collect();
                self.live.replace(secrets);
                self.told = None;
                tracing::info!(
                    endpoint, %file, secrets = n_secrets, ?fingerprints,
                    "Webhook secrets were replaced from their file."
                );
                Look::Changed
            }
            Ok(secrets) => {
                self.seen = Some(secrets);
                Look::Same
            }
            Err(error) => {
                let error = error.to_string();
                if self.told.as_ref() != Some(&error) {
                    tracing::error!(
                        endpoint, %file, error,
                        remedy = "write the endpoint's secrets into it, one a line, newest first",
                        "The file of webhook secrets cannot be used; those from before stay live."
                    );
                    self.told = Some(error);
                }
                Look::Failed
            }
        }
    }
}
