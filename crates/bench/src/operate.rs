//! One operation of the product again and again, on the same events each time, for counting its
//! instructions.

use std::hint::black_box;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use harkara_core::delivery::Delivery;
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

/// The events that are operated on, again from the first after the last.
pub(crate) const EVENTS: usize = 3 * FOLDED_AT_ONCE;

/// Events that are folded at once, as many as a worker takes: the default of `worker.batch_entries_max`.
const FOLDED_AT_ONCE: usize = 400;

/// When the events happen and are received: 1 January 2026.
const NOW_SECONDS: i64 = 1_767_225_600;

/// Does an operation `n` times; folding counts each event of a batch.
///
/// On a thread of its own, whose stack lies the same way whatever the environment holds: copying takes
/// more or fewer instructions by where things lie.
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

    /// As the ingress gets it. Making one is not what is counted, so it shares all that it can.
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

    fn encode(&self, n: usize) -> Result<()> {
        let verified = (0..EVENTS)
            .map(|at| {
                let delivery = Delivery {
                    trace: TraceContext::generated(1, 1),
                    ..self.delivery(at)
                };
                verify(delivery, &self.secrets)
            })
            .collect::<Result<Vec<_>, _>>()?;
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

    /// The fields of an entry as Redis gives them.
    fn fields(&self, at: usize) -> Result<Vec<(Bytes, Bytes)>> {
        let delivery = Delivery {
            trace: TraceContext::generated(1, 1),
            ..self.delivery(at)
        };
        let verified = verify(delivery, &self.secrets)?;
        let name = event_name(verified.body()).context("every event has a name")?;
        let fields = fields_of(&verified, &name, Durability::Fsynced).into_iter();
        Ok(fields
            .map(|(key, value)| {
                (
                    Bytes::from_static(key.as_bytes()),
                    value.into_owned().into(),
                )
            })
            .collect())
    }

    fn decode(&self, n: usize) -> Result<()> {
        let entries = (0..EVENTS)
            .map(|at| self.fields(at))
            .collect::<Result<Vec<_>>>()?;
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
        if !n.is_multiple_of(FOLDED_AT_ONCE) {
            bail!("events are folded {FOLDED_AT_ONCE} at once");
        }
        let batches = events.chunks(FOLDED_AT_ONCE).cycle();
        for batch in batches.take(n / FOLDED_AT_ONCE) {
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
    use super::FOLDED_AT_ONCE;
    use crate::product::default_settings;

    #[test]
    fn as_many_events_are_folded_at_once_as_a_worker_takes() {
        let worker = default_settings().unwrap().worker;
        assert_eq!(FOLDED_AT_ONCE, worker.batch_entries_max);
    }
}
