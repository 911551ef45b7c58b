//! The rules by which requests are received: the same for all server threads, and fixed while the process
//! runs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::header::HeaderValue;
use harkara_core::endpoint::EndpointName;
use harkara_core::lane::LaneTable;
use harkara_settings::Settings;
use prometheus_client::registry::Registry;

use crate::admission::buffered::Buffered;
use crate::admission::{Admission, Gate};
use crate::endpoint_health::{self, EndpointHealth};
use crate::refusals::Refusals;
use crate::secrets::LiveSecrets;

/// What requests are checked against.
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

impl Rules {
    /// The rules of the settings. `secrets` and `refusals` are those of the endpoints, in the same order.
    pub(crate) fn new(
        settings: &Settings,
        secrets: Vec<Arc<LiveSecrets>>,
        refusals: Vec<Refusals>,
        registry: &mut Registry,
    ) -> Self {
        let began = Instant::now();
        let endpoint = |(secrets, refusals): (Arc<LiveSecrets>, Refusals)| {
            let name = secrets.endpoint.clone();
            let allow = settings.endpoints[&name].allow.clone();
            Endpoint {
                name,
                secrets,
                refusals,
                gate: Gate::new(allow, settings.ingress.endpoint_rate),
                health: EndpointHealth::new(began),
            }
        };
        let endpoints: Vec<Endpoint> = secrets.into_iter().zip(refusals).map(endpoint).collect();
        endpoint_health::register(&endpoints, registry);
        let ingress = &settings.ingress;
        Self {
            endpoints: endpoints
                .into_iter()
                .map(|endpoint| (endpoint.name.as_str().to_owned(), endpoint))
                .collect(),
            lanes: settings.lanes.clone(),
            admission: Admission::new(ingress),
            buffered: Buffered::new(ingress.buffered_bytes_max, registry),
            body_bytes_max: ingress.body_bytes_max,
            header_bytes_max: ingress.header_bytes_max,
            body_read_timeout: ingress.body_read_timeout,
            retry_after: HeaderValue::from(ingress.retry_after_s),
        }
    }
}
