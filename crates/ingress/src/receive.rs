//! Receives one delivery: the way from a request to an answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use harkara_core::delivery::{Delivery, VerifiedDelivery};
use harkara_core::durability::Durability;
use harkara_core::endpoint::EndpointName;
use harkara_core::entry::event_name;
use harkara_core::ids::EventId;
use harkara_core::lane::{Lane, LaneTable};
use harkara_core::signature::{Refusal, check_form, verify};
use harkara_core::time::ReceivedAt;
use harkara_core::trace::TraceContext;
use harkara_runtime::clock;
use harkara_telemetry::Tracer;

use crate::admission::buffered::{Buffered, Charge};
use crate::admission::{Admission, Gate, NotAdmitted};
use crate::answer;
use crate::body::{self, NoBody};
use crate::connections;
use crate::durable_sink::{Durable, DurableSink, NotDurable};
use crate::endpoint_health::EndpointHealth;
use crate::metrics::{Counters, Outcome};
use crate::refusals::Refusals;
use crate::secrets::LiveSecrets;
use crate::spans::RequestSpans;

const SIGNATURE: HeaderName = HeaderName::from_static("x-razorpay-signature");
const EVENT_ID: HeaderName = HeaderName::from_static("x-razorpay-event-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The name of the endpoint whose URL has none.
const DEFAULT_ENDPOINT: &str = "default";

/// What receiving needs; one for each server thread.
pub(crate) struct Receiver {
    pub(crate) rules: Arc<Rules>,
    pub(crate) sink: DurableSink,
    pub(crate) counters: Counters,
    pub(crate) tracer: Tracer,
}

/// What is the same for all server threads and does not change while the process runs.
pub(crate) struct Rules {
    pub(crate) endpoints: HashMap<String, Endpoint>,
    pub(crate) lanes: LaneTable,
    pub(crate) admission: Admission,
    pub(crate) buffered: Buffered,
    pub(crate) body_bytes_max: usize,
    pub(crate) header_bytes_max: usize,
    pub(crate) body_read_timeout: Duration,
    pub(crate) retry_after: HeaderValue,
}

/// An endpoint and its live secrets.
pub(crate) struct Endpoint {
    pub(crate) name: EndpointName,
    pub(crate) secrets: Arc<LiveSecrets>,
    pub(crate) refusals: Refusals,
    pub(crate) gate: Gate,
    pub(crate) health: EndpointHealth,
}

/// The routes of the public port.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    let webhook = |path: &str| {
        web::resource(path)
            .route(web::post().to(receive))
            .default_service(web::to(refuse_method))
    };
    config
        .service(webhook("/webhooks/razorpay"))
        .service(webhook("/webhooks/razorpay/{endpoint}"))
        .default_service(web::to(refuse_path));
}

async fn refuse_method(request: HttpRequest, unread: web::Payload) -> HttpResponse {
    connections::mark_active(&request);
    answer::and_close(answer::method_not_allowed(), unread.into_inner())
}

async fn refuse_path(request: HttpRequest, unread: web::Payload) -> HttpResponse {
    connections::mark_active(&request);
    answer::and_close(answer::not_found(), unread.into_inner())
}

async fn receive(
    request: HttpRequest,
    payload: web::Payload,
    receiver: web::Data<Receiver>,
) -> HttpResponse {
    let received_at = clock::now();
    let since = Instant::now();
    let _in_hand = receiver.counters.begin();
    connections::mark_active(&request);
    let headers = request.headers();
    let caller = caller(headers);
    let mut spans = RequestSpans::begin(&receiver.tracer, caller.as_ref());
    let trace = match (&spans, caller) {
        (Some(spans), _) => spans.context(),
        (None, Some(caller)) => caller,
        // A new one, so that every delivery can be followed.
        (None, None) => TraceContext::generated(rand::random(), rand::random()),
    };
    let taken = receiver
        .take(
            &request,
            payload.into_inner(),
            received_at,
            trace,
            spans.as_mut(),
        )
        .await;
    let trace_id = spans.and_then(|spans| spans.end(&receiver.tracer, &request, &taken));
    receiver
        .counters
        .end(taken.outcome, since.elapsed(), trace_id);
    if let Some(endpoint) = taken.endpoint {
        match taken.outcome {
            Outcome::Accepted => endpoint.health.succeeded(),
            // Anybody may send what Razorpay would not have signed.
            _ if check_form(signature(headers)).is_ok() => endpoint.health.failed(),
            _ => {}
        }
    }
    taken.response
}

impl Receiver {
    async fn take(
        &self,
        request: &HttpRequest,
        mut payload: Payload,
        received_at: ReceivedAt,
        trace: TraceContext,
        mut spans: Option<&mut RequestSpans>,
    ) -> Taken<'_> {
        let rules = &*self.rules;
        let headers = request.headers();
        if header_bytes(headers) > rules.header_bytes_max {
            let response = answer::and_close(answer::headers_too_large(), payload);
            return Taken::unread(Outcome::HeadersTooLarge, response);
        }
        let name = request
            .match_info()
            .get("endpoint")
            .unwrap_or(DEFAULT_ENDPOINT);
        let Some(endpoint) = rules.endpoints.get(name) else {
            let response = answer::and_close(answer::unknown_endpoint(), payload);
            return Taken::unread(Outcome::UnknownEndpoint, response);
        };
        if let Err(reason) = rules.admission.admit(request, &endpoint.gate) {
            let (outcome, response) = not_admitted(reason);
            return Taken::unread(outcome, answer::and_close(response, payload)).at(endpoint);
        }
        // Held until the answer: so long the body is in memory.
        let mut charge = rules.buffered.charge();
        let body = match read_body(headers, &mut payload, rules, &mut charge).await {
            Ok(body) => body,
            Err(no_body) => {
                let (outcome, response) = without_body(no_body, &rules.retry_after);
                return Taken::unread(outcome, answer::and_close(response, payload)).at(endpoint);
            }
        };

        let verifying = spans.is_some().then(Instant::now);
        let signature = signature(headers);
        let delivery = Delivery {
            endpoint: endpoint.name.clone(),
            event_id: text(headers, &EVENT_ID).and_then(EventId::from_header),
            signature,
            trace,
            received_at,
            body: body.clone(),
        };
        // The secrets may be replaced meanwhile: a delivery is judged by those that it found.
        let verified = {
            let secrets = endpoint.secrets.load();
            let verified = verify(delivery, secrets.keys());
            if let Ok(verified) = &verified {
                secrets.count_use(verified);
                self.counters.matched(verified.secret_position());
            }
            verified
        };
        if let (Some(spans), Some(from)) = (spans.as_deref_mut(), verifying) {
            spans.verified(from);
        }
        let verified = match verified {
            Ok(verified) => verified,
            Err(refusal) => {
                self.counters.refused(refusal);
                let trace = || match &spans {
                    Some(spans) => Some(spans.context()),
                    None => caller(headers),
                };
                let trace_id = || Some(format!("{:032x}", trace()?.ids()?.trace_id));
                endpoint.refusals.tell(refusal, signature, body, trace_id);
                let response = answer::invalid_signature();
                return Taken {
                    refusal: Some(refusal),
                    ..Taken::unread(Outcome::InvalidSignature, response).at(endpoint)
                };
            }
        };
        self.keep(verified, spans).await.at(endpoint)
    }

    /// Makes a verified delivery durable.
    async fn keep(
        &self,
        verified: VerifiedDelivery,
        spans: Option<&mut RequestSpans>,
    ) -> Taken<'_> {
        let appending = spans.is_some().then(Instant::now);
        let event_name = event_name(verified.body());
        let lane = self.rules.lanes.lane_of(event_name.as_deref());
        let name = event_name.as_deref().unwrap_or_default();
        let kept = self.sink.make_durable(&verified, lane, name).await;
        if let (Some(spans), Some(from)) = (spans, appending) {
            spans.appended(from);
        }
        let level = kept.as_ref().ok().map(Durable::level);
        let (outcome, response) = match kept {
            Ok(durable) => {
                self.counters
                    .accepted(verified.body().len(), durable.level());
                (Outcome::Accepted, answer::accepted(durable))
            }
            Err(NotDurable) => (
                Outcome::Unavailable,
                answer::unavailable(&self.rules.retry_after),
            ),
        };
        drop(event_name);
        Taken {
            delivery: Some(Passed {
                verified,
                lane,
                level,
            }),
            ..Taken::unread(outcome, response)
        }
    }
}

/// What became of a request, and what is known of its delivery.
pub(crate) struct Taken<'a> {
    pub(crate) outcome: Outcome,
    pub(crate) response: HttpResponse,
    /// The endpoint, where it is one of ours.
    pub(crate) endpoint: Option<&'a Endpoint>,
    pub(crate) refusal: Option<Refusal>,
    pub(crate) delivery: Option<Passed>,
}

/// A delivery whose signature was right.
pub(crate) struct Passed {
    pub(crate) verified: VerifiedDelivery,
    pub(crate) lane: Lane,
    /// How durable it was when it was answered; `None` where nothing took it.
    pub(crate) level: Option<Durability>,
}

impl<'a> Taken<'a> {
    /// What was answered before anything was known of a delivery.
    fn unread(outcome: Outcome, response: HttpResponse) -> Self {
        Self {
            outcome,
            response,
            endpoint: None,
            refusal: None,
            delivery: None,
        }
    }

    fn at(self, endpoint: &'a Endpoint) -> Self {
        Self {
            endpoint: Some(endpoint),
            ..self
        }
    }
}

async fn read_body(
    headers: &HeaderMap,
    payload: &mut Payload,
    rules: &Rules,
    charge: &mut Charge<'_>,
) -> Result<bytes::Bytes, NoBody> {
    let declared_bytes = text(headers, &CONTENT_LENGTH).and_then(|length| length.parse().ok());
    body::read(
        payload,
        declared_bytes,
        rules.body_bytes_max,
        rules.body_read_timeout,
        charge,
    )
    .await
}

fn not_admitted(reason: NotAdmitted) -> (Outcome, HttpResponse) {
    match reason {
        NotAdmitted::Forbidden => (Outcome::Forbidden, answer::forbidden()),
        NotAdmitted::TooMany { retry_after_s } => {
            (Outcome::RateLimited, answer::rate_limited(retry_after_s))
        }
    }
}

fn without_body(no_body: NoBody, retry_after: &HeaderValue) -> (Outcome, HttpResponse) {
    match no_body {
        NoBody::TooLarge => (Outcome::TooLarge, answer::body_too_large()),
        NoBody::TooSlow => (Outcome::Timeout, answer::body_too_slow()),
        NoBody::Incomplete => (Outcome::Incomplete, answer::body_incomplete()),
        NoBody::Overloaded => (Outcome::Overloaded, answer::overloaded(retry_after)),
    }
}

fn signature(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get(&SIGNATURE).map(HeaderValue::as_bytes)
}

/// The trace context that the caller sent, where it did.
fn caller(headers: &HeaderMap) -> Option<TraceContext> {
    let traceparent = text(headers, &TRACEPARENT)?;
    TraceContext::parse(traceparent, text(headers, &TRACESTATE))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn header_bytes(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum()
}
