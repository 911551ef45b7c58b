//! Diagnoses refused signatures for the operator: from samples, outside requests, and never in the answer.
//!
//! However many deliveries are refused, each endpoint has at most one waiting sample of a malformed
//! signature and one of a signature that no secret matches, and one sample is diagnosed at a time. So a
//! flood of one kind, or at one endpoint, hides no other, and neither the log nor memory grows with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use harkara_core::signature::Refusal;
use harkara_core::signature::diagnosis::{BODY_BYTES_MAX, Cause, Suspects, likely_cause};
use harkara_telemetry::catalogue::{ByLabel, INGRESS_REFUSED_CAUSES};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tokio::sync::mpsc;

use crate::secrets::LiveSecrets;

/// Least time between two samples. It bounds the log lines and the work, some milliseconds each.
const SAMPLE_EVERY: Duration = Duration::from_millis(500);

/// Samples of one endpoint that may wait: one malformed, one that no secret matches.
const WAITING_PER_ENDPOINT: usize = 2;

/// Takes samples of the refusals of one endpoint.
pub(crate) struct Refusals {
    secrets: Arc<LiveSecrets>,
    waiting: Arc<[AtomicBool; WAITING_PER_ENDPOINT]>,
    samples: mpsc::Sender<RefusedSample>,
}

/// The one task that diagnoses samples.
pub(crate) struct Diagnosis {
    endpoints: Vec<Arc<LiveSecrets>>,
    samples: mpsc::Receiver<RefusedSample>,
    causes: ByLabel<Counter>,
}

struct RefusedSample {
    refusal: Refusal,
    trace_id: Option<String>,
    /// Signature and body; `None` if there is nothing to diagnose, or too much to keep.
    examined: Option<(Vec<u8>, Bytes)>,
    secrets: Arc<LiveSecrets>,
    waiting: Arc<[AtomicBool; WAITING_PER_ENDPOINT]>,
}

impl Refusals {
    /// The refusals of each endpoint, in the order of `endpoints`, and the task that diagnoses them.
    pub(crate) fn of_all(
        endpoints: &[Arc<LiveSecrets>],
        registry: &mut Registry,
    ) -> (Vec<Self>, Diagnosis) {
        let causes = ByLabel::new_with_constructor(Counter::default as fn() -> Counter);
        INGRESS_REFUSED_CAUSES.register(registry, causes.clone());
        for &code in Cause::CODES {
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
        let diagnosis = Diagnosis {
            endpoints: endpoints.to_vec(),
            samples,
            causes,
        };
        (each.collect(), diagnosis)
    }

    /// Hands in a refused delivery. If one of its kind is waiting already, this costs one atomic operation.
    /// `trace_id` is that of the request, in hex.
    pub(crate) fn hand_in(
        &self,
        refusal: Refusal,
        signature: Option<&[u8]>,
        body: Bytes,
        trace_id: impl FnOnce() -> Option<String>,
    ) {
        tracing::debug!(
            endpoint = self.secrets.endpoint.as_str(),
            reason = refusal.code(),
            "A signature was refused."
        );
        if self.waiting[kind(refusal)].swap(true, Ordering::Relaxed) {
            return;
        }
        let is_examined = refusal == Refusal::NoMatch && body.len() <= BODY_BYTES_MAX;
        let sample = RefusedSample {
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

impl Diagnosis {
    /// Runs until it is aborted.
    pub(crate) async fn run(mut self) {
        while let Some(sample) = self.samples.recv().await {
            sample.waiting[kind(sample.refusal)].store(false, Ordering::Relaxed);
            self.diagnose(sample).await;
            tokio::time::sleep(SAMPLE_EVERY).await;
        }
    }

    async fn diagnose(&self, sample: RefusedSample) {
        let endpoint = sample.secrets.endpoint.clone();
        let (refusal, trace_id) = (sample.refusal, sample.trace_id.clone());
        let cause = match refusal {
            Refusal::NoMatch => self.cause_of(sample).await,
            _ => None,
        };
        let code = cause.as_ref().map(Cause::code);
        if let Some(code) = code {
            self.causes.get_or_create(&[("cause", code)]).inc();
        }
        tracing::warn!(
            endpoint = endpoint.as_str(),
            reason = refusal.code(),
            cause = code,
            trace_id,
            remedy = cause.as_ref().map(Cause::remedy).as_deref(),
            "Refused a delivery for its signature; only samples are logged."
        );
    }

    /// The likely cause; `None` only at the end of the process.
    async fn cause_of(&self, sample: RefusedSample) -> Option<Cause> {
        let others = self.endpoints.iter();
        let elsewhere: Vec<_> = others
            .filter(|other| other.endpoint != sample.secrets.endpoint)
            .map(|other| (other.endpoint.clone(), other.load().live.clone()))
            .collect();
        // It takes milliseconds, and this thread has other tasks.
        let found = tokio::task::spawn_blocking(move || {
            let Some((signature, body)) = sample.examined else {
                return Cause::NotExamined;
            };
            let set = sample.secrets.load();
            let suspects = Suspects {
                live: &set.live,
                retired: &set.retired,
                diagnose_with: &sample.secrets.diagnose_with,
                elsewhere: &elsewhere,
            };
            likely_cause(&body, &signature, &suspects)
        });
        found.await.ok()
    }
}
