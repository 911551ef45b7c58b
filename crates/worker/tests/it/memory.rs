//! A worker's memory is bounded, however many large bodies wait.

use harkara_core::lane::{CONSUMER_GROUP, Lane};
use harkara_core::redis_keys::RedisKeys;
use harkara_simulator::SimulatedEvent;
use redis::{AsyncCommands, Script};
use tokio::process::Child;

use crate::pipeline::Pipeline;

const MIB: u64 = 1 << 20;

/// All of them together are half as much again as the bound.
const BODIES: u64 = 360;

const BODY_BYTES: usize = 256 << 10;

/// `worker.batch_bytes_max` and `worker.batches_in_flight_max`.
const BATCH_BYTES: u64 = MIB / 4;
const BATCHES: u64 = 2;

/// What `docs/operations.md` promises.
const BOUND: u64 = 50 * MIB + (BATCH_BYTES + BODY_BYTES as u64) * (6 + 8 * BATCHES);

/// The event with a larger body.
fn large(event: SimulatedEvent) -> SimulatedEvent {
    let padding = "x".repeat(BODY_BYTES - event.body.len() - 100);
    let body = event.body.strip_prefix(b"{").expect("an object");
    let mut larger = format!(r#"{{"padding":"{padding}","#).into_bytes();
    larger.extend_from_slice(body);
    SimulatedEvent {
        body: larger,
        ..event
    }
}

/// Lets the consumer `dead` claim entries of the default lane.
async fn claim_as_dead(pipeline: &Pipeline, n_entries: u64) {
    let mut redis = pipeline.redis().await;
    let key = RedisKeys::default().stream(Lane::Default);
    let () = redis
        .xgroup_create(&key, CONSUMER_GROUP, "0")
        .await
        .unwrap();
    let claim =
        "redis.call('XREADGROUP', 'GROUP', ARGV[1], 'dead', 'COUNT', 1, 'STREAMS', KEYS[1], '>')";
    let claim = Script::new(claim);
    for _ in 0..n_entries {
        let mut claim = claim.key(&key);
        claim.arg(CONSUMER_GROUP);
        let () = claim.invoke_async(&mut redis).await.unwrap();
    }
}

/// The most memory that a process ever had, in bytes.
fn peak_memory(process: &Child) -> u64 {
    let id = process.id().expect("it runs");
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes: String = peak.unwrap().chars().filter(char::is_ascii_digit).collect();
    kibibytes.parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn a_worker_needs_little_memory_for_many_large_bodies() {
    let mut pipeline = Pipeline::start().await;
    for _ in 0..BODIES {
        let event = large(pipeline.bodies.event("payment.captured"));
        pipeline.deliver(&event).await;
    }
    // A third waits as pending entries, the rest as new ones.
    claim_as_dead(&pipeline, BODIES / 3).await;
    let worker = pipeline.worker_process(&[
        ("worker.claim_idle_ms", "300"),
        ("worker.batch_bytes_max", &BATCH_BYTES.to_string()),
        ("worker.batches_in_flight_max", &BATCHES.to_string()),
    ]);
    pipeline.until_processed(BODIES.cast_signed()).await;
    let peak = peak_memory(&worker);
    assert!(peak < BOUND, "{} MiB for entries", peak / MIB);

    // All of them once more, as due rows.
    assert_eq!(pipeline.replay_all().await, BODIES);
    pipeline
        .until_events("processed", BODIES.cast_signed())
        .await;
    let peak = peak_memory(&worker);
    assert!(peak < BOUND, "{} MiB for due rows", peak / MIB);
}
