//! Receives one delivery: from the request to the answer.

use std::sync::Arc;
use std::time::Instant;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use harkara_core::delivery::{Delivery, VerifiedDelivery};
use harkara_core::durability::Durability;
use harkara_core::entry::event_name;
use harkara_core::ids::EventId;
use harkara_core::lane::Lane;
use harkara_core::signature::{Refusal, check_form, verify};
use harkara_core::time::ReceivedAt;
use harkara_core::trace::TraceContext;
use harkara_runtime::clock;
use harkara_telemetry::Tracer;

use crate::admission::buffered::Charge;
use crate::connections::InRequest;
use crate::durable_sink::{DurableSink, NotDurable};
use crate::metrics::Counters;
use crate::outcome::{Rejected, Rejection, RequestOutcome};
use crate::routed_delivery::RoutedDelivery;
use crate::rules::{Endpoint, Rules};
use crate::spans::RequestSpans;
use crate::{answer, body};

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

/// A request with its answer.
pub(crate) struct Handled<'a> {
    pub(crate) outcome: RequestOutcome,
    pub(crate) response: HttpResponse,
    /// `None` for an unknown endpoint.
    pub(crate) endpoint: Option<&'a Endpoint>,
    pub(crate) refusal: Option<Refusal>,
    /// `None` unless the signature was valid.
    pub(crate) delivery: Option<HandledDelivery>,
}

/// A verified delivery that was answered.
pub(crate) struct HandledDelivery {
    pub(crate) verified: VerifiedDelivery,
    pub(crate) lane: Lane,
    /// `None` if it is not known to be durable.
    pub(crate) level: Option<Durability>,
}

/// The routes of the public port.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    let webhook = |path: &str| {
        web::resource(path)
            .route(web::post().to(receive))
            .default_service(web::to(method_not_allowed))
    };
    config
        .service(webhook("/webhooks/razorpay"))
        .service(webhook("/webhooks/razorpay/{endpoint}"))
        .default_service(web::to(not_found));
}

async fn method_not_allowed(request: HttpRequest, unread: web::Payload) -> HttpResponse {
    let in_request = InRequest::begin(&request);
    let response = answer::and_close(answer::method_not_allowed(), unread.into_inner());
    in_request.ends_with(response)
}

async fn not_found(request: HttpRequest, unread: web::Payload) -> HttpResponse {
    let in_request = InRequest::begin(&request);
    let response = answer::and_close(answer::not_found(), unread.into_inner());
    in_request.ends_with(response)
}

async fn receive(
    request: HttpRequest,
    payload: web::Payload,
    receiver: web::Data<Receiver>,
) -> HttpResponse {
    let received_at = clock::now();
    let since = Instant::now();
    let _in_flight = receiver.counters.begin();
    let in_request = InRequest::begin(&request);
    let caller = caller_trace(request.headers());
    let mut spans = RequestSpans::begin(&receiver.tracer, caller.as_ref());
    let trace = match (&spans, caller) {
        (Some(spans), _) => spans.context(),
        (None, Some(caller)) => caller,
        // A new one, so that every delivery can be followed.
        (None, None) => TraceContext::generated(rand::random(), rand::random()),
    };
    let payload = payload.into_inner();
    let handling = receiver.handle(
        &request,
        &in_request,
        payload,
        received_at,
        trace,
        spans.as_mut(),
    );
    let handled = handling.await;
    receiver.count(&request, &handled, since, spans);
    in_request.ends_with(handled.response)
}

impl Receiver {
    async fn handle(
        &self,
        request: &HttpRequest,
        in_request: &InRequest,
        mut payload: Payload,
        received_at: ReceivedAt,
        trace: TraceContext,
        mut spans: Option<&mut RequestSpans>,
    ) -> Handled<'_> {
        let endpoint = match self.endpoint(request) {
            Ok(endpoint) => endpoint,
            Err(rejection) => return self.reject(None, rejection.into(), payload),
        };
        if let Err(rejected) = self.rules.admission.admit(request, &endpoint.gate) {
            return self.reject(Some(endpoint), rejected, payload);
        }
        let headers = request.headers();
        // Held until the answer, as the body is.
        let mut charge = self.rules.buffered.charge();
        let body = match self
            .read_body(headers, in_request, &mut payload, &mut charge)
            .await
        {
            Ok(body) => body,
            Err(rejection) => return self.reject(Some(endpoint), rejection.into(), payload),
        };
        let delivery = Delivery {
            endpoint: endpoint.name.clone(),
            event_id: text(headers, &EVENT_ID).and_then(EventId::from_header),
            signature: signature(headers),
            trace,
            received_at,
            body: body.clone(),
        };
        match self.verify(endpoint, delivery, spans.as_deref_mut()) {
            Ok(verified) => {
                in_request.has_signed();
                self.store(endpoint, verified, spans).await
            }
            Err(refusal) => self.refuse(endpoint, refusal, headers, body, spans.as_deref()),
        }
    }

    /// The endpoint whose URL was called.
    fn endpoint(&self, request: &HttpRequest) -> Result<&Endpoint, Rejection> {
        if header_bytes(request.headers()) > self.rules.header_bytes_max {
            return Err(Rejection::HeadersTooLarge);
        }
        let name = request.match_info().get("endpoint");
        let endpoint = self.rules.endpoints.get(name.unwrap_or(DEFAULT_ENDPOINT));
        endpoint.ok_or(Rejection::UnknownEndpoint)
    }

    async fn read_body(
        &self,
        headers: &HeaderMap,
        in_request: &InRequest,
        payload: &mut Payload,
        charge: &mut Charge<'_>,
    ) -> Result<Bytes, Rejection> {
        let declared_bytes = text(headers, &CONTENT_LENGTH).and_then(|length| length.parse().ok());
        body::read(
            payload,
            in_request,
            declared_bytes,
            self.rules.body_bytes_max,
            self.rules.body_read_timeout,
            charge,
        )
        .await
    }

    fn verify(
        &self,
        endpoint: &Endpoint,
        delivery: Delivery<'_>,
        spans: Option<&mut RequestSpans>,
    ) -> Result<VerifiedDelivery, Refusal> {
        let from = spans.is_some().then(Instant::now);
        // A reload may replace the secrets at any time; this delivery is judged by these.
        let secrets = endpoint.secrets.load();
        let verified = verify(delivery, &secrets.keys);
        if let Ok(verified) = &verified {
            secrets.count_use(verified);
            self.counters.matched(verified.secret_position());
        }
        if let (Some(spans), Some(from)) = (spans, from) {
            spans.verified(from);
        }
        verified
    }

    /// Makes a verified delivery durable.
    async fn store<'a>(
        &self,
        endpoint: &'a Endpoint,
        verified: VerifiedDelivery,
        spans: Option<&mut RequestSpans>,
    ) -> Handled<'a> {
        let from = spans.is_some().then(Instant::now);
        let event_name = event_name(verified.body());
        let lane = self.rules.lanes.lane_of(event_name.as_deref());
        let routed = RoutedDelivery {
            verified: &verified,
            lane,
            event_name: event_name.as_deref().unwrap_or_default(),
        };
        let stored = self.sink.make_durable(routed).await;
        drop(event_name);
        if let (Some(spans), Some(from)) = (spans, from) {
            spans.appended(from);
        }
        match stored {
            Ok(durable) => {
                let level = durable.level();
                self.counters.accepted(verified.body().len(), level);
                Handled {
                    outcome: RequestOutcome::Accepted,
                    response: answer::accepted(durable),
                    endpoint: Some(endpoint),
                    refusal: None,
                    delivery: Some(HandledDelivery {
                        verified,
                        lane,
                        level: Some(level),
                    }),
                }
            }
            Err(NotDurable) => Handled {
                delivery: Some(HandledDelivery {
                    verified,
                    lane,
                    level: None,
                }),
                ..self.reject(Some(endpoint), Rejection::Unavailable.into(), Payload::None)
            },
        }
    }

    /// Answers a delivery whose signature is invalid, and hands it in to be diagnosed.
    fn refuse<'a>(
        &self,
        endpoint: &'a Endpoint,
        refusal: Refusal,
        headers: &HeaderMap,
        body: Bytes,
        spans: Option<&RequestSpans>,
    ) -> Handled<'a> {
        self.counters.refused(refusal);
        let trace = || match spans {
            Some(spans) => Some(spans.context()),
            None => caller_trace(headers),
        };
        let trace_id = || Some(format!("{:032x}", trace()?.ids()?.trace_id));
        let refusals = &endpoint.refusals;
        refusals.hand_in(refusal, signature(headers), body, trace_id);
        Handled {
            refusal: Some(refusal),
            // The body was read.
            ..self.reject(
                Some(endpoint),
                Rejection::InvalidSignature.into(),
                Payload::None,
            )
        }
    }

    fn reject<'a>(
        &self,
        endpoint: Option<&'a Endpoint>,
        rejected: Rejected,
        unread: Payload,
    ) -> Handled<'a> {
        let Rejected {
            rejection,
            retry_after_s,
        } = rejected;
        let response = match retry_after_s {
            None => answer::rejected(rejection, &self.rules.retry_after),
            Some(seconds) => answer::rejected(rejection, &HeaderValue::from(seconds.get())),
        };
        Handled {
            outcome: RequestOutcome::Rejected(rejection),
            response: answer::and_close(response, unread),
            endpoint,
            refusal: None,
            delivery: None,
        }
    }

    /// Records a handled request in spans, metrics and the health of its endpoint.
    fn count(
        &self,
        request: &HttpRequest,
        handled: &Handled<'_>,
        since: Instant,
        spans: Option<RequestSpans>,
    ) {
        let trace_id = spans.and_then(|spans| spans.end(&self.tracer, request, handled));
        self.counters
            .end(handled.outcome, since.elapsed(), trace_id);
        let Some(endpoint) = handled.endpoint else {
            return;
        };
        if handled.outcome == RequestOutcome::Accepted {
            endpoint.health.succeeded();
        } else if check_form(signature(request.headers())).is_ok() {
            // Without a signature that Razorpay could have sent, it was somebody else.
            endpoint.health.failed();
        }
    }
}

fn signature(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get(&SIGNATURE).map(HeaderValue::as_bytes)
}

/// The trace context that the caller sent.
fn caller_trace(headers: &HeaderMap) -> Option<TraceContext> {
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
