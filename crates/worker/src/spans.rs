//! The spans of a batch and of its events: claim, decode, commit, acknowledge.

use std::borrow::Cow;
use std::time::Instant;

use harkara_core::durability::Durability;
use harkara_core::ids::EventId;
use harkara_core::lane::CONSUMER_GROUP;
use harkara_runtime::clock;
use harkara_storage::StatementTime;
use harkara_storage::commit::CommittedBatch;
use harkara_storage::record::{EventRecord, Origin, Verdict};
use harkara_telemetry::{Span, SpanIds, SpanKind, Timeline, Tracer};

use crate::outcome::EventOutcome;

/// The value of `messaging.system`: the standard has none for Redis Streams.
const MESSAGING_SYSTEM: &str = "redis_streams";

/// Begin and end.
pub(crate) type Interval = (Instant, Instant);

/// Decides which traces are kept, and records their spans.
pub(crate) struct BatchSpans {
    pub(crate) tracer: Tracer,
    pub(crate) consumer: String,
    /// Whether processing always is a trace of its own.
    pub(crate) links_only: bool,
}

/// The times of a batch up to its commit.
#[derive(Clone, Copy)]
pub(crate) struct BatchTimes {
    line: Timeline,
    claimed: Instant,
    started: Instant,
}

/// What spans need of a committed batch after its acknowledgement.
pub(crate) struct KeptTraces {
    events: Vec<KeptEvent>,
    statements: Vec<StatementTime>,
}

/// An event whose trace is kept.
struct KeptEvent {
    /// Its position in the batch.
    at: usize,
    outcome: EventOutcome,
    /// Its id, if it came under the id of another body.
    contested_id: Option<EventId>,
}

/// The recording of one batch's spans.
struct Recorder<'a> {
    spans: &'a BatchSpans,
    times: &'a BatchTimes,
    commit: Interval,
    acknowledge: Interval,
    batch: SpanIds,
}

impl BatchTimes {
    /// A batch whose first entry was claimed at `claimed`, whose decoding started at `started` and ends now.
    pub(crate) fn decoded(claimed: Instant, started: Instant) -> Self {
        Self {
            line: Timeline::from_now(),
            claimed: claimed.min(started),
            started,
        }
    }

    /// From the claim to the start of decoding.
    pub(crate) fn claim(&self) -> Interval {
        (self.claimed, self.started)
    }

    pub(crate) fn decode(&self) -> Interval {
        (self.started, self.line.origin())
    }
}

impl KeptTraces {
    /// The trace id of the record at a position, if its trace is kept.
    pub(crate) fn trace_id(&self, at: usize, record: &EventRecord) -> Option<String> {
        self.events
            .binary_search_by_key(&at, |event| event.at)
            .ok()?;
        let ids = record.claimed.trace.ids()?;
        Some(format!("{:032x}", ids.trace_id))
    }
}

impl BatchSpans {
    /// Selects the traces to keep of a committed batch; `None` without tracing.
    pub(crate) fn kept(
        &self,
        batch: &CommittedBatch,
        records: &[EventRecord],
    ) -> Option<KeptTraces> {
        self.tracer.is_on().then(|| {
            let events = records.iter().enumerate();
            let events = events.filter(|(_, record)| self.keeps(record));
            let events = events.map(|(at, record)| KeptEvent {
                at,
                outcome: EventOutcome::of(batch, at, record),
                contested_id: batch.contested_id(at).cloned(),
            });
            KeptTraces {
                events: events.collect(),
                statements: batch.statements().to_vec(),
            }
        })
    }

    /// Keeps what the ingress or its caller sampled, and what failed, was retried or is slow.
    fn keeps(&self, record: &EventRecord) -> bool {
        let ids = record.claimed.trace.ids();
        if ids.is_some_and(|ids| ids.is_sampled) {
            return true;
        }
        let is_retry = record.claimed.attempts() > 1;
        let is_failed = !matches!(record.verdict, Verdict::Project(_));
        let is_slow = || {
            let age = clock::now().since(record.claimed.received_at);
            self.tracer.is_slow(age)
        };
        let is_notable = is_retry || is_failed || is_slow();
        is_notable && self.tracer.keeps_notable(Instant::now())
    }

    /// Records the spans of an acknowledged batch.
    pub(crate) fn record(
        &self,
        times: &BatchTimes,
        records: &[EventRecord],
        kept: &KeptTraces,
        commit: Interval,
        acknowledge: Interval,
    ) {
        if kept.events.is_empty() {
            return;
        }
        let recorder = Recorder {
            spans: self,
            times,
            commit,
            acknowledge,
            batch: SpanIds::root(),
        };
        for event in &kept.events {
            recorder.record_event(&records[event.at], event);
        }
        recorder.record_batch(records, kept);
    }
}

impl Recorder<'_> {
    /// Records the spans of one event, in the trace of its delivery or in one of its own.
    fn record_event(&self, record: &EventRecord, kept: &KeptEvent) {
        let claimed = &record.claimed;
        // A replay or retry, perhaps days later, is a trace of its own that links to the delivery.
        let is_first = match claimed.origin {
            Origin::Stream(_) | Origin::Inbox => true,
            Origin::Ledger { is_first, .. } => is_first,
        };
        let links_only = self.spans.links_only;
        let below = SpanIds::child_of(&claimed.trace).filter(|_| is_first && !links_only);
        let place = below.unwrap_or_else(SpanIds::root);
        let whole = (self.times.claimed, self.commit.1);
        let name = format!("process {}", claimed.lane);
        let span = self.span(name, SpanKind::Consumer, place, whole);
        let span = match below {
            Some(_) => span,
            None => span.linked_to(&claimed.trace),
        };
        let body_bytes = i64::try_from(claimed.body.len()).unwrap_or(i64::MAX);
        let event_id = kept.contested_id.as_ref().unwrap_or(&claimed.event_id);
        let span = self
            .consuming(span.linked(self.batch), "process", "process")
            .with("messaging.destination.name", claimed.lane.as_str())
            .with("messaging.message.body.size", body_bytes)
            .with("harkara.event.id", event_id.to_string())
            .with("harkara.event.type", claimed.event_type.to_string())
            .with("harkara.endpoint", claimed.endpoint.to_string())
            .with("harkara.attempt", i64::from(claimed.attempts()))
            .with("harkara.outcome", kept.outcome.as_str())
            .with_some(
                "harkara.durability",
                claimed.durability.map(Durability::as_str),
            );
        // The error may quote the body, so it stays in the ledger row.
        self.record(match &record.verdict {
            Verdict::Fail { .. } => span.failed("failed", "stored as a dead letter"),
            Verdict::Retry { .. } => span.failed("retried", "stored for a retry"),
            Verdict::Postpone { .. } => {
                span.failed("postponed", "stored until its table can be written")
            }
            Verdict::Project(_) | Verdict::Defer => span,
        });
        self.record(self.commit_span(place.child()).linked(self.batch));
        self.record(self.acknowledge_span(place.child()).linked(self.batch));
    }

    /// Records the spans of the batch, which link to the kept events.
    fn record_batch(&self, records: &[EventRecord], kept: &KeptTraces) {
        let whole = (self.times.claimed, self.acknowledge.1);
        let span = self.span("batch", SpanKind::Consumer, self.batch, whole);
        let span = kept.events.iter().fold(span, |span, event| {
            span.linked_to(&records[event.at].claimed.trace)
        });
        let n_events = i64::try_from(records.len()).unwrap_or(i64::MAX);
        let span = self.consuming(span, "process", "process");
        self.record(span.with("messaging.batch.message_count", n_events));
        let (claim, decode) = (self.times.claim(), self.times.decode());
        for (name, interval) in [("claim", claim), ("decode", decode)] {
            self.record(self.span(name, SpanKind::Internal, self.batch.child(), interval));
        }
        let commit = self.batch.child();
        self.record(self.commit_span(commit));
        for statement in &kept.statements {
            let interval = (statement.from, statement.until);
            let span = self
                .span(statement.name, SpanKind::Client, commit.child(), interval)
                .with("db.system.name", "postgresql")
                .with("db.query.summary", statement.name);
            self.record(span);
        }
        self.record(self.acknowledge_span(self.batch.child()));
    }

    fn commit_span(&self, place: SpanIds) -> Span {
        self.span("commit", SpanKind::Client, place, self.commit)
            .with("db.system.name", "postgresql")
            .with("db.operation.name", "COMMIT")
    }

    fn acknowledge_span(&self, place: SpanIds) -> Span {
        let name = "acknowledge";
        let span = self
            .span(name, SpanKind::Client, place, self.acknowledge)
            .with("db.system.name", "redis")
            .with("db.operation.name", "XACK XDEL");
        self.consuming(span, name, "settle")
    }

    /// Adds the attributes of an operation of the consumer group.
    fn consuming(&self, span: Span, name: &'static str, kind: &'static str) -> Span {
        span.with("messaging.system", MESSAGING_SYSTEM)
            .with("messaging.operation.name", name)
            .with("messaging.operation.type", kind)
            .with("messaging.consumer.group.name", CONSUMER_GROUP)
            .with("messaging.client.id", self.spans.consumer.clone())
    }

    fn span(
        &self,
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        place: SpanIds,
        interval: Interval,
    ) -> Span {
        Span::new(name, kind, place, &self.times.line, interval)
    }

    fn record(&self, span: Span) {
        self.spans.tracer.record(span);
    }
}
