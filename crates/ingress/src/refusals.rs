//! Tells the operator why signatures are refused: of samples, away from requests, and never the caller.
//!
//! However many deliveries are refused, of each endpoint no more than one malformed signature and one that
//! no secret fits wait to be told of, and one is told at a time. So a flood of one kind, or at one
//! endpoint, hides no other, and neither logs nor memory grow with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use harkara_core::signature::Refusal;
use harkara_core::signature::diagnosis::{BODY_BYTES_MAX, Cause, Suspects, likely_cause};
use harkara_telemetry::catalogue::INGRESS_REFUSED_CAUSES;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tokio::sync::mpsc;

use crate::secrets::LiveSecrets;

/// The least time between two samples: bounds the lines in the log, and the work, which takes some
/// milliseconds each.
const SAMPLE_EVERY: Duration = Duration::from_millis(500);

/// Samples of one endpoint that may wait: one malformed, one that no secret fits.
const WAITING_PER_ENDPOINT: usize = 2;

/// Where the refusals of one endpoint are handed in.
pub(crate) struct Refusals {
    secrets: Arc<LiveSecrets>,
    waiting: Arc<[AtomicBool; WAITING_PER_ENDPOINT]>,
    samples: mpsc::Sender<Sample>,
}

/// The one task that looks into samples.
pub(crate) struct Diagnoses {
    endpoints: Vec<Arc<LiveSecrets>>,
    samples: mpsc::Receiver<Sample>,
    causes: Family<Label, Counter>,
}

struct Sample {
    refusal: Refusal,
    trace_id: Option<String>,
    /// Signature and body; absent where there is nothing to be found out, or too much to be kept.
    examined: Option<(Vec<u8>, Bytes)>,
    secrets: Arc<LiveSecrets>,
    waiting: Arc<[AtomicBool; WAITING_PER_ENDPOINT]>,
}

type Label = [(&'static str, &'static str); 1];

impl Refusals {
    /// Where each endpoint's refusals are handed in, in the order of the endpoints, and the task for all.
    pub(crate) fn of_all(
        endpoints: &[Arc<LiveSecrets>],
        registry: &mut Registry,
    ) -> (Vec<Self>, Diagnoses) {
        let causes = Family::<Label, Counter>::default();
        INGRESS_REFUSED_CAUSES.register(registry, causes.clone());
        for code in Cause::CODES {
            drop(causes.get_or_create(&[("cause", code)]));
        }
        // Room for all that may wait; a channel cannot have none.
        let room = (WAITING_PER_ENDPOINT * endpoints.len()).max(1);
        let (sender, samples) = mpsc::channel(room);
        let each = endpoints.iter().map(|secrets| Self {
            secrets: secrets.clone(),
            waiting: Arc::default(),
            samples: sender.clone(),
        });
        let diagnoses = Diagnoses {
            endpoints: endpoints.to_vec(),
            samples,
            causes,
        };
        (each.collect(), diagnoses)
    }

    /// Hands in a refused delivery. Does no more than to look whether one like it waits already.
    /// `trace_id` is that of the request, in hex.
    pub(crate) fn tell(
        &self,
        refusal: Refusal,
        signature: Option<&[u8]>,
        body: Bytes,
        trace_id: impl FnOnce() -> Option<String>,
    ) {
        tracing::debug!(
            endpoint = self.secrets.endpoint().as_str(),
            reason = refusal.code(),
            "A signature was refused."
        );
        if self.waiting[kind(refusal)].swap(true, Ordering::Relaxed) {
            return;
        }
        let is_examined = refusal == Refusal::NoMatch && body.len() <= BODY_BYTES_MAX;
        let sample = Sample {
            refusal,
            trace_id: trace_id(),
            examined: signature
                .filter(|_| is_examined)
                .map(|signature| (signature.to_vec(), body)),
            secrets: self.secrets.clone(),
            waiting: self.waiting.clone(),
        };
        if self.samples.try_send(sample).is_err() {
            self.waiting[kind(refusal)].store(false, Ordering::Relaxed);
        }
    }
}

fn kind(refusal: Refusal) -> usize {
    usize::from(refusal == Refusal::NoMatch)
}

impl Diagnoses {
    /// Runs until it is aborted.
    pub(crate) async fn run(mut self) {
        while let Some(sample) = self.samples.recv().await {
            sample.waiting[kind(sample.refusal)].store(false, Ordering::Relaxed);
            if sample.refusal == Refusal::NoMatch {
                self.diagnose(sample).await;
            } else {
                tracing::warn!(
                    endpoint = sample.secrets.endpoint().as_str(),
                    reason = sample.refusal.code(),
                    trace_id = sample.trace_id,
                    "A delivery was refused for its signature. Not every one is told of."
                );
            }
            tokio::time::sleep(SAMPLE_EVERY).await;
        }
    }

    async fn diagnose(&self, sample: Sample) {
        let called = sample.secrets.clone();
        let trace_id = sample.trace_id.clone();
        let others = self.endpoints.iter();
        let elsewhere: Vec<_> = others
            .filter(|other| other.endpoint() != called.endpoint())
            .map(|other| (other.endpoint().clone(), other.load().live().to_vec()))
            .collect();
        // It takes milliseconds, and this thread does other things.
        let found = tokio::task::spawn_blocking(move || {
            let Some((signature, body)) = sample.examined else {
                return Cause::NotExamined;
            };
            let set = sample.secrets.load();
            let suspects = Suspects {
                live: set.live(),
                retired: set.retired(),
                diagnose_with: sample.secrets.diagnose_with(),
                elsewhere: &elsewhere,
            };
            likely_cause(&body, &signature, &suspects)
        });
        let Ok(cause) = found.await else {
            return;
        };
        self.causes.get_or_create(&[("cause", cause.code())]).inc();
        tracing::warn!(
            endpoint = called.endpoint().as_str(),
            reason = Refusal::NoMatch.code(),
            cause = cause.code(),
            trace_id,
            remedy = %cause.remedy(),
            "A delivery was refused for its signature. Not every one is told of."
        );
    }
}
