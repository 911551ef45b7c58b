//! One operation of the product many times on the same events, for counting its instructions.

use std::hint::black_box;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use harkara_core::delivery::{Delivery, VerifiedDelivery};
use harkara_core::durability::Durability;
use harkara_core::endpoint::EndpointName;
use harkara_core::entry::{StreamEntry, event_name, fields_of};
use harkara_core::event::{self, Event};
use harkara_core::ids::EventId;
use harkara_core::projection::project;
use harkara_core::secret::Secret;
use harkara_core::signature::{EndpointSecrets, verify};
use harkara_core::time::ReceivedAt;
use harkara_core::trace::TraceContext;
use harkara_load::{Corpus, Mix};

use crate::arguments::Operation;
use crate::bench::{SECRET, SEED};

/// The number of events to operate on; after the last the first follows again.
pub(crate) const EVENTS: usize = 3 * EVENTS_PER_FOLD;

/// Events of one fold, as many as of a worker's batch: the default of `worker.batch_entries_max`.
const EVENTS_PER_FOLD: usize = 400;

/// When the events happen and are received: 1 January 2026.
const NOW_SECONDS: i64 = 1_767_225_600;

/// Does an operation `n` times; folding counts each event of a batch.
///
/// It runs on a thread of its own, whose stack has the same alignment whatever the environment contains:
/// the instructions for copying depend on alignment.
pub(crate) fn operate(operation: Operation, n: usize) -> Result<()> {
    match std::thread::spawn(move || operate_here(operation, n)).join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn operate_here(operation: Operation, n: usize) -> Result<()> {
    let events = Events::prepare()?;
    match operation {
        Operation::Verify => events.verify(n),
        Operation::Encode => events.encode(n),
        Operation::Decode => events.decode(n),
        Operation::Fold => events.fold(n),
    }
}

struct Events {
    corpus: Corpus,
    bodies: Vec<Bytes>,
    secrets: EndpointSecrets,
    endpoint: EndpointName,
}

impl Events {
    fn prepare() -> Result<Self> {
        let secret = Secret::new(SECRET);
        let corpus = Corpus::prepare(Mix::Realistic, EVENTS, &secret, SEED, NOW_SECONDS);
        let body = |at| Bytes::copy_from_slice(corpus.delivery(at).body);
        Ok(Self {
            bodies: (0..EVENTS).map(body).collect(),
            corpus,
            secrets: EndpointSecrets::new(&[secret])?,
            endpoint: EndpointName::default_name(),
        })
    }

    /// As the ingress receives it. Creating one should not count, so it shares as much as possible.
    fn delivery(&self, at: usize) -> Delivery<'_> {
        let delivery = self.corpus.delivery(at);
        Delivery {
            endpoint: self.endpoint.clone(),
            event_id: EventId::from_header(delivery.event_id),
            signature: Some(delivery.signature_hex.as_bytes()),
            trace: TraceContext::default(),
            received_at: ReceivedAt::from_millis(NOW_SECONDS * 1000),
            body: self.bodies[at].clone(),
        }
    }

    fn verify(&self, n: usize) -> Result<()> {
        for at in positions(n) {
            black_box(verify(black_box(self.delivery(at)), &self.secrets)?);
        }
        Ok(())
    }

    /// All deliveries with a trace, as the ingress appends them.
    fn verified(&self) -> Result<Vec<VerifiedDelivery>> {
        let verified = (0..EVENTS).map(|at| {
            let delivery = Delivery {
                trace: TraceContext::generated(1, 1),
                ..self.delivery(at)
            };
            Ok(verify(delivery, &self.secrets)?)
        });
        verified.collect()
    }

    fn encode(&self, n: usize) -> Result<()> {
        let verified = self.verified()?;
        for at in positions(n) {
            let delivery = black_box(&verified[at]);
            let name = event_name(delivery.body());
            black_box(fields_of(
                delivery,
                name.as_deref().unwrap_or_default(),
                Durability::Fsynced,
            ));
        }
        Ok(())
    }

    fn decode(&self, n: usize) -> Result<()> {
        let mut entries = Vec::new();
        for delivery in &self.verified()? {
            let name = event_name(delivery.body()).context("every event has a name")?;
            let fields = fields_of(delivery, &name, Durability::Fsynced).into_iter();
            // As Redis returns them.
            let fields = fields.map(|(key, value)| (key.into(), value.into_owned().into()));
            entries.push(fields.collect::<Vec<(Bytes, Bytes)>>());
        }
        for at in positions(n) {
            let entry = StreamEntry::from_fields(black_box(&entries[at]))?;
            let event = event::read(&entry.body)?;
            black_box((entry, event));
        }
        Ok(())
    }

    fn fold(&self, n: usize) -> Result<()> {
        let events = (0..EVENTS)
            .map(|at| {
                let id = EventId::from_header(self.corpus.delivery(at).event_id)
                    .context("every delivery has an id")?;
                Ok((id, event::read(&self.bodies[at])?))
            })
            .collect::<Result<Vec<(EventId, Event)>>>()?;
        let is_whole = n.is_multiple_of(EVENTS_PER_FOLD);
        ensure!(is_whole, "events are folded {EVENTS_PER_FOLD} at a time");
        let batches = events.chunks(EVENTS_PER_FOLD).cycle();
        for batch in batches.take(n / EVENTS_PER_FOLD) {
            black_box(project(
                black_box(batch).iter().map(|(id, event)| (id, event)),
            ));
        }
        Ok(())
    }
}

fn positions(n: usize) -> impl Iterator<Item = usize> {
    (0..EVENTS).cycle().take(n)
}

#[cfg(test)]
mod tests {
    use super::EVENTS_PER_FOLD;
    use crate::product::default_settings;

    #[test]
    fn a_fold_has_as_many_events_as_a_batch_of_the_worker() {
        let worker = default_settings().unwrap().worker;
        assert_eq!(EVENTS_PER_FOLD, worker.batch_entries_max);
    }
}
