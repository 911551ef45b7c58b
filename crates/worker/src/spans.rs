//! The spans of a batch and of its events: claimed, decoded, committed, acknowledged.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use harkara_core::durability::Durability;
use harkara_core::ids::EventId;
use harkara_core::lane::CONSUMER_GROUP;
use harkara_runtime::clock;
use harkara_storage::StatementTime;
use harkara_storage::commit::CommittedBatch;
use harkara_storage::record::{EventRecord, Origin, Verdict};
use harkara_telemetry::{Span, SpanIds, SpanKind, Timeline, Tracer};

/// The name of our way of messaging: the standard has none for streams of Redis.
const MESSAGING_SYSTEM: &str = "redis_streams";

/// Keeps the traces of a worker.
pub(crate) struct BatchSpans {
    pub(crate) tracer: Tracer,
    pub(crate) consumer: String,
    /// Whether processing is a trace of its own.
    pub(crate) links_only: bool,
}

/// The instants of a batch's way to its commit.
#[derive(Clone, Copy)]
pub(crate) struct BatchTimes {
    line: Timeline,
    claimed: Instant,
    decoded: (Instant, Instant),
}

/// What is kept of a committed batch beyond its acknowledgement.
pub(crate) struct KeptTraces {
    events: Vec<KeptEvent>,
    statements: Vec<StatementTime>,
}

/// An event whose trace is kept.
struct KeptEvent {
    /// Its position in the batch.
    at: usize,
    is_duplicate: bool,
    /// Its id, where it came under the id of another body.
    contested_id: Option<EventId>,
}

/// What comes after the decoding, for a batch and for each of its events.
type Steps = [(&'static str, (Instant, Instant)); 2];

const COMMIT: &str = "commit";
const ACKNOWLEDGE: &str = "acknowledge";

impl BatchTimes {
    /// A batch whose first entry was claimed at an instant and that was taken up at another, decoded by now.
    pub(crate) fn decoded(claimed: Instant, taken_up: Instant) -> Self {
        let line = Timeline::from_now();
        Self {
            line,
            claimed: claimed.min(taken_up),
            decoded: (taken_up, line.origin()),
        }
    }

    /// How long it waited since its claim, and how long it was decoded.
    pub(crate) fn took(&self) -> (Duration, Duration) {
        let (from, until) = self.decoded;
        (from - self.claimed, until - from)
    }

    fn span(
        &self,
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        place: SpanIds,
        times: (Instant, Instant),
    ) -> Span {
        Span::new(name, kind, place, &self.line, times)
    }
}

impl KeptTraces {
    /// The id of the trace of the record at a position, where it is kept.
    pub(crate) fn trace_id(&self, at: usize, record: &EventRecord) -> Option<String> {
        self.events
            .binary_search_by_key(&at, |event| event.at)
            .ok()?;
        let ids = record.claimed.trace.ids()?;
        Some(format!("{:032x}", ids.trace_id))
    }
}

impl BatchSpans {
    /// What the trail of a batch needs of it after its acknowledgement; `None` where no traces are kept.
    pub(crate) fn kept_of(
        &self,
        batch: &CommittedBatch,
        records: &[EventRecord],
    ) -> Option<KeptTraces> {
        self.tracer.is_on().then(|| {
            let of_events = records.iter().enumerate();
            let is_kept = |(at, record): (usize, &EventRecord)| {
                self.keeps(record).then(|| KeptEvent {
                    at,
                    is_duplicate: batch.is_duplicate(at),
                    contested_id: batch.contested_id(at).cloned(),
                })
            };
            KeptTraces {
                events: of_events.filter_map(is_kept).collect(),
                statements: batch.statements().to_vec(),
            }
        })
    }

    /// Writes down what is kept of a batch that has come to its end.
    pub(crate) fn end(
        &self,
        trail: &BatchTimes,
        records: &[EventRecord],
        kept: &KeptTraces,
        committed: (Instant, Instant),
        acknowledged: (Instant, Instant),
    ) {
        if kept.events.is_empty() {
            return;
        }
        let steps = [(COMMIT, committed), (ACKNOWLEDGE, acknowledged)];
        let batch = SpanIds::root();
        for event in &kept.events {
            self.event(trail, &records[event.at], event, steps, batch);
        }
        self.batch(trail, records, kept, steps, batch);
    }

    /// Sampled by the ingress or by whoever called it; or failed, retried or slow.
    fn keeps(&self, record: &EventRecord) -> bool {
        let ids = record.claimed.trace.ids();
        if ids.is_some_and(|ids| ids.is_sampled) {
            return true;
        }
        let is_again = record.claimed.attempts() > 1;
        let is_done = matches!(record.verdict, Verdict::Project(_));
        let is_notable = is_again || !is_done || self.tracer.is_slow(since_receipt(record));
        is_notable && self.tracer.keeps_notable(Instant::now())
    }

    /// The spans of one event, in the trace of its delivery or in one of its own.
    fn event(
        &self,
        trail: &BatchTimes,
        record: &EventRecord,
        kept: &KeptEvent,
        steps: Steps,
        batch: SpanIds,
    ) {
        let claimed = &record.claimed;
        // What is done again, perhaps days later, is a trace of its own that tells where it came from.
        let is_first = match claimed.origin {
            Origin::Stream(_) | Origin::Inbox => true,
            Origin::Ledger { is_first, .. } => is_first,
        };
        let below = SpanIds::child_of(&claimed.trace).filter(|_| is_first && !self.links_only);
        let place = below.unwrap_or_else(SpanIds::root);
        let span = trail.span(
            format!("process {}", claimed.lane),
            SpanKind::Consumer,
            place,
            (trail.claimed, steps[0].1.1),
        );
        let span = if below.is_none() {
            span.linked_to(&claimed.trace)
        } else {
            span
        };
        let span = self
            .messaging(span.linked(batch), "process")
            .with("messaging.destination.name", claimed.lane.as_str())
            .with(
                "messaging.message.body.size",
                i64::try_from(claimed.body.len()).unwrap_or(i64::MAX),
            )
            .with(
                "harkara.event.id",
                kept.contested_id
                    .as_ref()
                    .unwrap_or(&claimed.event_id)
                    .to_string(),
            )
            .with("harkara.event.type", claimed.event_type.to_string())
            .with("harkara.endpoint", claimed.endpoint.to_string())
            .with("harkara.attempt", i64::from(claimed.attempts()))
            .with("harkara.outcome", outcome(record, kept.is_duplicate))
            .with_some(
                "harkara.durability",
                claimed.durability.map(Durability::as_str),
            );
        let span = match &record.verdict {
            // What went wrong may quote the body; the ledger row has it.
            Verdict::Fail { .. } => span.failed("failed", "stored as a dead letter"),
            Verdict::Retry { .. } => span.failed("retried", "stored to be tried again"),
            Verdict::Project(_) | Verdict::Hold => span,
        };
        self.tracer.record(span);
        for (name, times) in steps {
            let span = self.step(trail, name, place.child(), times);
            self.tracer.record(span.linked(batch));
        }
    }

    /// The spans of the batch, which link to the events that are kept.
    fn batch(
        &self,
        trail: &BatchTimes,
        records: &[EventRecord],
        kept: &KeptTraces,
        steps: Steps,
        batch: SpanIds,
    ) {
        let times = (trail.claimed, steps[1].1.1);
        let span = trail.span("batch", SpanKind::Consumer, batch, times);
        let linked = kept.events.iter().fold(span, |span, event| {
            span.linked_to(&records[event.at].claimed.trace)
        });
        let n_events = i64::try_from(records.len()).unwrap_or(i64::MAX);
        self.tracer.record(
            self.messaging(linked, "process")
                .with("messaging.batch.message_count", n_events),
        );
        let claim = (trail.claimed, trail.decoded.0);
        for (name, times) in [("claim", claim), ("decode", trail.decoded)] {
            let span = trail.span(name, SpanKind::Internal, batch.child(), times);
            self.tracer.record(span);
        }
        for (name, times) in steps {
            let place = batch.child();
            self.tracer.record(self.step(trail, name, place, times));
            if name == COMMIT {
                for statement in &kept.statements {
                    self.statement(trail, statement, place);
                }
            }
        }
    }

    fn step(
        &self,
        trail: &BatchTimes,
        name: &'static str,
        place: SpanIds,
        times: (Instant, Instant),
    ) -> Span {
        let span = trail.span(name, SpanKind::Client, place, times);
        if name == COMMIT {
            return span
                .with("db.system.name", "postgresql")
                .with("db.operation.name", "COMMIT");
        }
        span.with("db.system.name", "redis")
            .with("db.operation.name", "XACK XDEL")
            .with("messaging.system", MESSAGING_SYSTEM)
            .with("messaging.operation.name", name)
            .with("messaging.operation.type", "settle")
            .with("messaging.consumer.group.name", CONSUMER_GROUP)
            .with("messaging.client.id", self.consumer.clone())
    }

    fn statement(&self, trail: &BatchTimes, statement: &StatementTime, commit: SpanIds) {
        let times = (statement.from, statement.until);
        let span = trail.span(statement.name, SpanKind::Client, commit.child(), times);
        self.tracer.record(
            span.with("db.system.name", "postgresql")
                .with("db.query.summary", statement.name),
        );
    }

    fn messaging(&self, span: Span, operation: &'static str) -> Span {
        span.with("messaging.system", MESSAGING_SYSTEM)
            .with("messaging.operation.name", operation)
            .with("messaging.operation.type", operation)
            .with("messaging.consumer.group.name", CONSUMER_GROUP)
            .with("messaging.client.id", self.consumer.clone())
    }
}

fn outcome(record: &EventRecord, is_duplicate: bool) -> &'static str {
    if is_duplicate {
        return "duplicate";
    }
    match record.verdict {
        Verdict::Project(_) => "processed",
        Verdict::Fail { .. } => "failed",
        Verdict::Retry { .. } => "retried",
        Verdict::Hold => "held",
    }
}

fn since_receipt(record: &EventRecord) -> Duration {
    clock::now().since(record.claimed.received_at)
}
