//! `XADD` of the same entries as the ingress writes, pipelined over a few connections: the ceiling of
//! Redis, and the way in which streams are filled for the worker.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use harkara_core::delivery::Delivery;
use harkara_core::durability::Durability;
use harkara_core::endpoint::EndpointName;
use harkara_core::entry;
use harkara_core::ids::EventId;
use harkara_core::lane::LaneTable;
use harkara_core::secret::Secret;
use harkara_core::signature::{EndpointSecrets, verify};
use harkara_core::trace::TraceContext;
use harkara_load::{Corpus, DeliveryRef};
use harkara_runtime::clock;
use redis::{Cmd, Pipeline, cmd};

use crate::bench::SECRET;
use crate::redis_server::{RedisServer, stream_key};

/// Entries of one pipeline.
const ENTRIES_PER_PIPELINE: usize = 64;

/// Connections, each with one pipeline in flight.
const CONNECTIONS: usize = 4;

/// Entries that are rendered before they are sent; they take memory.
const RENDERED_MAX: usize = 50_000;

/// Renders entries and appends them; only their sending counts as time. If `is_sampled`, whoever processes
/// them keeps all their traces.
pub(crate) async fn append(
    redis: &RedisServer,
    corpus: &Corpus,
    range: Range<usize>,
    is_sampled: bool,
) -> Result<Duration> {
    let renderer = Renderer {
        secrets: EndpointSecrets::new(&[Secret::new(SECRET)])?,
        lanes: LaneTable::new(&BTreeMap::new())
            .ok()
            .context("the built-in lanes are in order")?,
        endpoint: EndpointName::default_name(),
        is_sampled,
    };
    let mut elapsed = Duration::ZERO;
    let positions: Vec<usize> = range.collect();
    for positions in positions.chunks(RENDERED_MAX) {
        let pipelines = positions.chunks(ENTRIES_PER_PIPELINE);
        let pipelines = pipelines.map(|positions| renderer.pipeline(corpus, positions));
        elapsed += send(redis, pipelines.collect::<Result<_>>()?).await?;
    }
    Ok(elapsed)
}

async fn send(redis: &RedisServer, pipelines: Vec<Pipeline>) -> Result<Duration> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(redis.connection().await?);
    }
    let pipelines = Mutex::new(pipelines.into_iter());
    let next = || {
        let mut pipelines = pipelines.lock().unwrap_or_else(PoisonError::into_inner);
        pipelines.next()
    };
    let started = Instant::now();
    let sending = connections.into_iter().map(async |mut connection| {
        while let Some(pipeline) = next() {
            pipeline.exec_async(&mut connection).await?;
        }
        redis::RedisResult::Ok(())
    });
    futures_util::future::try_join_all(sending)
        .await
        .context("Redis did not accept the entries")?;
    Ok(started.elapsed())
}

/// Renders entries as the ingress does: nothing unverified is appended.
struct Renderer {
    secrets: EndpointSecrets,
    lanes: LaneTable,
    endpoint: EndpointName,
    is_sampled: bool,
}

impl Renderer {
    fn pipeline(&self, corpus: &Corpus, positions: &[usize]) -> Result<Pipeline> {
        let mut pipeline = redis::pipe();
        for at in positions {
            let entry = self.entry(corpus.delivery(*at))?;
            pipeline.add_command(entry).ignore();
        }
        Ok(pipeline)
    }

    fn entry(&self, sent: DeliveryRef<'_>) -> Result<Cmd> {
        // Any distinct bits do for the trace.
        let bytes = sent.event_id.bytes();
        let bits = bytes.fold(0u128, |bits, byte| (bits << 7) ^ u128::from(byte));
        let delivery = Delivery {
            endpoint: self.endpoint.clone(),
            event_id: EventId::from_header(sent.event_id),
            signature: Some(sent.signature_hex.as_bytes()),
            trace: TraceContext::of(bits, 1, self.is_sampled, ""),
            received_at: clock::now(),
            body: Bytes::copy_from_slice(sent.body),
        };
        let verified = verify(delivery, &self.secrets)?;
        let mut command = cmd("XADD");
        command
            .arg(stream_key(self.lanes.lane_of(Some(sent.event_name))))
            .arg("*");
        for (name, value) in entry::fields_of(&verified, sent.event_name, Durability::Appended) {
            command.arg(name).arg(value.as_ref());
        }
        Ok(command)
    }
}
