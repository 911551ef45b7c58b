//! `XADD` of the same entries as the ingress writes, pipelined over a few connections: what Redis
//! could take at most, and the way in which streams are filled for the worker.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use harkara_core::delivery::Delivery;
use harkara_core::durability::Durability;
use harkara_core::endpoint::EndpointName;
use harkara_core::entry;
use harkara_core::ids::EventId;
use harkara_core::lane::{Lane, LaneTable};
use harkara_core::secret::Secret;
use harkara_core::signature::{EndpointSecrets, verify};
use harkara_core::trace::TraceContext;
use harkara_load::{Corpus, DeliveryRef};
use harkara_runtime::clock;
use redis::{Cmd, Pipeline, cmd, pipe};

use crate::servers::redis::{Redis, stream_key};

/// Entries of one pipeline.
const ENTRIES_AT_ONCE: usize = 64;

/// Connections, each with one pipeline under way.
const CONNECTIONS: usize = 4;

/// Entries that are rendered before they are sent. What is rendered takes memory.
const RENDERED_MAX: usize = 50_000;

/// Renders entries and appends them; only their sending counts as time. Where `is_sampled`, the traces of all
/// are kept by whoever processes them.
pub(crate) async fn append(
    redis: &Redis,
    corpus: &Arc<Corpus>,
    range: Range<usize>,
    secret: &Secret,
    is_sampled: bool,
) -> Result<Duration> {
    let renderer = Renderer::new(secret, is_sampled)?;
    let mut elapsed = Duration::ZERO;
    let mut start = range.start;
    while start < range.end {
        let end = range.end.min(start + RENDERED_MAX);
        let pipelines = renderer.pipelines(corpus, start..end)?;
        elapsed += send(redis, pipelines).await?;
        start = end;
    }
    Ok(elapsed)
}

async fn send(redis: &Redis, pipelines: VecDeque<Pipeline>) -> Result<Duration> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(redis.connection().await?);
    }
    let pipelines = Arc::new(Mutex::new(pipelines));
    let next = move || {
        let mut pipelines = pipelines.lock().unwrap_or_else(PoisonError::into_inner);
        pipelines.pop_front()
    };
    let started = Instant::now();
    let sending = connections.into_iter().map(|mut connection| {
        let next = next.clone();
        async move {
            while let Some(pipeline) = next() {
                pipeline.exec_async(&mut connection).await?;
            }
            redis::RedisResult::Ok(())
        }
    });
    futures_util::future::try_join_all(sending)
        .await
        .context("Redis did not take the entries")?;
    Ok(started.elapsed())
}

/// Makes entries of deliveries in the way of the ingress: nothing unverified is appended.
struct Renderer {
    secrets: EndpointSecrets,
    lanes: LaneTable,
    endpoint: EndpointName,
    is_sampled: bool,
}

impl Renderer {
    fn new(secret: &Secret, is_sampled: bool) -> Result<Self> {
        Ok(Self {
            secrets: EndpointSecrets::new(std::slice::from_ref(secret))?,
            lanes: LaneTable::new(&BTreeMap::new())
                .ok()
                .context("the built-in lanes are in order")?,
            endpoint: EndpointName::default_name(),
            is_sampled,
        })
    }

    fn pipelines(&self, corpus: &Corpus, range: Range<usize>) -> Result<VecDeque<Pipeline>> {
        let positions: Vec<usize> = range.collect();
        positions
            .chunks(ENTRIES_AT_ONCE)
            .map(|positions| {
                let mut pipeline = pipe();
                for at in positions {
                    pipeline
                        .add_command(self.entry(corpus.delivery(*at))?)
                        .ignore();
                }
                Ok(pipeline)
            })
            .collect()
    }

    fn entry(&self, delivery: DeliveryRef<'_>) -> Result<Cmd> {
        let DeliveryRef {
            event_name,
            event_id,
            signature_hex,
            body,
        } = delivery;
        // Any distinct bits do for the trace.
        let bits = event_id
            .bytes()
            .fold(0u128, |bits, byte| (bits << 7) ^ u128::from(byte));
        let delivery = Delivery {
            endpoint: self.endpoint.clone(),
            event_id: EventId::from_header(event_id),
            signature: Some(signature_hex.as_bytes()),
            trace: TraceContext::of(bits, 1, self.is_sampled, ""),
            received_at: clock::now(),
            body: Bytes::copy_from_slice(body),
        };
        let verified = verify(delivery, &self.secrets)?;
        let lane: Lane = self.lanes.lane_of(Some(event_name));
        let mut command = cmd("XADD");
        command.arg(stream_key(lane)).arg("*");
        for (name, value) in entry::fields_of(&verified, event_name, Durability::Appended) {
            command.arg(name).arg(value.as_ref());
        }
        Ok(command)
    }
}
