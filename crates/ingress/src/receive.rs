//! Receives one delivery: the way from a request to an answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use harkara_core::delivery::Delivery;
use harkara_core::endpoint::EndpointName;
use harkara_core::entry::event_name;
use harkara_core::ids::EventId;
use harkara_core::lane::LaneTable;
use harkara_core::signature::verify;
use harkara_core::trace::TraceContext;
use harkara_runtime::clock;

use crate::admission::buffered::{Buffered, Charge};
use crate::admission::{Admission, Gate, NotAdmitted, connections};
use crate::answer;
use crate::body::{self, NoBody};
use crate::durable::Ways;
use crate::metrics::{Counters, Outcome};
use crate::refusals::Refusals;
use crate::secrets::LiveSecrets;

const SIGNATURE: HeaderName = HeaderName::from_static("x-razorpay-signature");
const EVENT_ID: HeaderName = HeaderName::from_static("x-razorpay-event-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The name of the endpoint whose URL has none.
const DEFAULT_ENDPOINT: &str = "default";

/// What receiving needs; one for each server thread.
pub(crate) struct Receiver {
    pub(crate) rules: Arc<Rules>,
    pub(crate) ways: Ways,
    pub(crate) counters: Counters,
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
    connections::is_busy(&request);
    answer::and_close(answer::method_not_allowed(), unread.into_inner())
}

async fn refuse_path(request: HttpRequest, unread: web::Payload) -> HttpResponse {
    connections::is_busy(&request);
    answer::and_close(answer::not_found(), unread.into_inner())
}

async fn receive(
    request: HttpRequest,
    payload: web::Payload,
    receiver: web::Data<Receiver>,
) -> HttpResponse {
    let received_at = clock::now();
    connections::is_busy(&request);
    let Receiver {
        rules,
        ways,
        counters,
    } = receiver.as_ref();
    let mut payload = payload.into_inner();

    let headers = request.headers();
    if header_bytes(headers) > rules.header_bytes_max {
        counters.count(Outcome::HeadersTooLarge);
        return answer::and_close(answer::headers_too_large(), payload);
    }
    let name = request
        .match_info()
        .get("endpoint")
        .unwrap_or(DEFAULT_ENDPOINT);
    let Some(endpoint) = rules.endpoints.get(name) else {
        counters.count(Outcome::UnknownEndpoint);
        return answer::and_close(answer::unknown_endpoint(), payload);
    };
    if let Err(reason) = rules.admission.admit(&request, &endpoint.gate) {
        return answer::and_close(not_admitted(reason, counters), payload);
    }
    // Held until the answer: so long the body is in memory.
    let mut charge = rules.buffered.charge();
    let body = match read_body(headers, &mut payload, rules, &mut charge).await {
        Ok(body) => body,
        Err(no_body) => {
            let response = without_body(no_body, &rules.retry_after, counters);
            return answer::and_close(response, payload);
        }
    };

    let signature = headers.get(&SIGNATURE).map(HeaderValue::as_bytes);
    let delivery = Delivery {
        endpoint: endpoint.name.clone(),
        event_id: text(headers, &EVENT_ID).and_then(EventId::from_header),
        signature,
        trace: trace(headers),
        received_at,
        body: body.clone(),
    };
    // The secrets may be replaced meanwhile: a delivery is judged by those that it found.
    let verified = {
        let secrets = endpoint.secrets.load();
        match verify(delivery, secrets.keys()) {
            Ok(verified) => {
                secrets.count_use(&verified);
                verified
            }
            Err(refusal) => {
                counters.refused(refusal);
                endpoint.refusals.tell(refusal, signature, body);
                return answer::invalid_signature();
            }
        }
    };

    let event_name = event_name(verified.body());
    let lane = rules.lanes.lane_of(event_name.as_deref());
    let name = event_name.as_deref().unwrap_or_default();
    if let Ok(durable) = ways.make_durable(&verified, lane, name).await {
        counters.accepted(verified.body().len(), durable.level());
        answer::accepted(durable)
    } else {
        counters.count(Outcome::Unavailable);
        answer::unavailable(&rules.retry_after)
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

fn not_admitted(reason: NotAdmitted, counters: &Counters) -> HttpResponse {
    match reason {
        NotAdmitted::Forbidden => {
            counters.count(Outcome::Forbidden);
            answer::forbidden()
        }
        NotAdmitted::TooMany { retry_after_s } => {
            counters.count(Outcome::RateLimited);
            answer::rate_limited(retry_after_s)
        }
    }
}

fn without_body(no_body: NoBody, retry_after: &HeaderValue, counters: &Counters) -> HttpResponse {
    match no_body {
        NoBody::TooLarge => {
            counters.count(Outcome::TooLarge);
            answer::body_too_large()
        }
        NoBody::TooSlow => {
            counters.count(Outcome::Timeout);
            answer::body_too_slow()
        }
        NoBody::Incomplete => {
            counters.count(Outcome::Incomplete);
            answer::body_incomplete()
        }
        NoBody::Overloaded => {
            counters.count(Outcome::Overloaded);
            answer::overloaded(retry_after)
        }
    }
}

/// The caller's trace context, or a new one, so that every delivery can be followed.
fn trace(headers: &HeaderMap) -> TraceContext {
    text(headers, &TRACEPARENT)
        .and_then(|traceparent| TraceContext::parse(traceparent, text(headers, &TRACESTATE)))
        .unwrap_or_else(|| TraceContext::generated(rand::random(), rand::random()))
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
