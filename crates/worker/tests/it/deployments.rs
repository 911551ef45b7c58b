//! Several deployments and one Redis.

use harkara_core::lane::Lane;
use harkara_core::redis_keys::RedisKeys;
use harkara_runtime::shutdown::Shutdown;
use harkara_settings::Settings;
use harkara_telemetry::Tracer;
use harkara_testkit::{Proxy, RedisServer, TestDatabase, redis_database};
use harkara_worker::App;
use redis::aio::MultiplexedConnection;
use redis::streams::StreamPendingCountReply;
use redis::{AsyncCommands, cmd};

use crate::pipeline::{BOUND, Pipeline, SECRET, settings, until};
use crate::starts::refusal;

const MARK: &str = "harkara:{0}:deployment";

/// An ingress on these stores.
async fn pipeline(redis: &str, changed: &[(&str, &str)]) -> Pipeline {
    let database = TestDatabase::migrated().await;
    Pipeline::start_with(database, redis.to_owned(), changed, Tracer::off()).await
}

async fn entries_of(redis: &mut MultiplexedConnection) -> u64 {
    let mut entries = 0;
    for stream in RedisKeys::default().streams() {
        let length: u64 = redis.xlen(stream).await.unwrap();
        entries += length;
    }
    entries
}

/// How a worker of these settings, which would start, ends by itself.
async fn ended(worker: App) -> String {
    let ended = tokio::time::timeout(BOUND, worker.run_until_stopped(Shutdown::manual())).await;
    let error = ended.expect("it ends").unwrap_err();
    let remedy = error.remedy().expect("it has a remedy");
    format!("{error}; {remedy}")
}

async fn app(settings: &Settings) -> App {
    App::build(settings, &Tracer::off()).await.unwrap()
}

#[tokio::test]
async fn a_second_deployment_takes_nothing_and_loses_nothing() {
    let redis = redis_database().await;
    let mut first = pipeline(&redis, &[]).await;
    first.deliver_payments(5).await;
    let mut second = pipeline(&redis, &[]).await;
    second.deliver_payments(3).await;
    let mut connection = first.redis().await;
    assert_eq!(entries_of(&mut connection).await, 5);
    assert_eq!(second.events("pending").await, 3, "stored in its inbox");

    let error = refusal(&redis, &second.database.url, &[]).await;
    for part in [
        "harkara:{0}:*",
        "belong to",
        "redis.prefix",
        "harkara adopt",
    ] {
        assert!(error.contains(part), "{error}");
    }
    let stream = RedisKeys::default().stream(Lane::Default);
    let groups: Vec<redis::Value> = cmd("XINFO")
        .arg(&["GROUPS", &stream])
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(groups, [], "it created no group");

    let worker = first.worker(&[]).await;
    first.until_processed(5).await;
    worker.stop().await;
    assert_eq!(second.events("processed").await, 0);
    // With a prefix of its own it goes on with what it has stored.
    let worker = second.worker(&[("redis.prefix", "second")]).await;
    second.until_events("processed", 3).await;
    worker.stop().await;
}

#[tokio::test]
async fn deployments_with_prefixes_of_their_own_share_a_redis() {
    let redis = redis_database().await;
    let prefixes = ["harkara", "team-b:harkara"].map(|prefix| [("redis.prefix", prefix)]);
    let mut first = pipeline(&redis, &prefixes[0]).await;
    let mut second = pipeline(&redis, &prefixes[1]).await;
    let workers = [
        first.worker(&prefixes[0]).await,
        second.worker(&prefixes[1]).await,
    ];
    for _ in 0..5 {
        first.deliver_payments(2).await;
        second.deliver_payments(3).await;
    }
    first.until_events("processed", 10).await;
    second.until_events("processed", 15).await;
    for worker in workers {
        worker.stop().await;
    }
    for (pipeline, events) in [(first, 10), (second, 15)] {
        let stored = pipeline.count("webhook_events").await;
        assert_eq!(stored, events);
        let levels = "webhook_events WHERE durability = 'appended'";
        assert_eq!(pipeline.count(levels).await, events, "through Redis");
    }
}

#[tokio::test]
async fn a_copy_of_a_database_is_told_by_its_name() {
    let redis = redis_database().await;
    let first = pipeline(&redis, &[]).await;
    let copy = TestDatabase::migrated().await;
    let id: String = first
        .text("SELECT ledger_id::text FROM harkara_schema")
        .await;
    copy.execute(&format!("UPDATE harkara_schema SET ledger_id = '{id}'"))
        .await;
    let error = refusal(&redis, &copy.url, &[("deployment.name", "staging")]).await;
    assert!(error.contains("this is staging with the ledger"), "{error}");
}

#[tokio::test]
async fn a_worker_ends_once_the_streams_are_anothers_and_leaves_them_alone() {
    let redis = redis_database().await;
    let mut pipeline = pipeline(&redis, &[]).await;
    let quick = [
        ("worker.claim_idle_ms", "300"),
        ("worker.consumer_idle_ms", "301"),
    ];
    let worker = app(&settings(&redis, &pipeline.database.url, &quick)).await;
    let mut connection = pipeline.redis().await;
    let () = connection.set(MARK, "other 1-2-3").await.unwrap();
    let error = ended(worker).await;
    assert!(
        error.contains("belong to the deployment other with the ledger 1-2-3"),
        "{error}"
    );
    assert!(
        pipeline.consumers(Lane::Default).await.is_empty(),
        "it left the group"
    );

    // Neither does the ingress append any more.
    until("deliveries go to the inbox", async || {
        pipeline.deliver_payments(1).await;
        pipeline.events("pending").await > 0
    })
    .await;
    let before = entries_of(&mut connection).await;
    pipeline.deliver_payments(5).await;
    assert_eq!(entries_of(&mut connection).await, before);
}

#[tokio::test]
async fn a_worker_whose_address_leads_to_anothers_redis_takes_nothing_there() {
    let (own, other) = (RedisServer::start(&[]).await, RedisServer::start(&[]).await);
    let mut foreign = pipeline(&other.url(), &[]).await;
    foreign.deliver_payments(3).await;
    let address = Proxy::to_port(own.port).await;
    let url = format!("redis://{}", address.address());
    let database = TestDatabase::migrated().await;
    let quick = [
        ("worker.claim_idle_ms", "300"),
        ("worker.consumer_idle_ms", "301"),
        ("worker.reclaim_every_ms", "10"),
    ];
    let worker = app(&settings(&url, &database.url, &quick)).await;
    // As if they had been left by a dead worker of the other deployment.
    let mut redis = other.connection().await;
    let key = RedisKeys::default().stream(Lane::Default);
    let () = redis.xgroup_create(&key, "harkara", "0").await.unwrap();
    let () = cmd("XREADGROUP")
        .arg(&[
            "GROUP", "harkara", "dead", "COUNT", "1", "STREAMS", &key, ">",
        ])
        .query_async::<redis::Value>(&mut redis)
        .await
        .map(drop)
        .unwrap();

    address.turn_to_port(other.port);
    drop(own);
    let error = ended(worker).await;
    assert!(
        error.contains("belong to the deployment harkara"),
        "{error}"
    );
    let stored: i64 = database.value("SELECT count(*) FROM webhook_events").await;
    assert_eq!(stored, 0);
    let pending: StreamPendingCountReply = redis
        .xpending_count(&key, "harkara", "-", "+", 10)
        .await
        .unwrap();
    let consumers: Vec<&str> = pending.ids.iter().map(|id| id.consumer.as_str()).collect();
    assert_eq!(consumers, ["dead"]);
}

#[tokio::test]
async fn a_mark_that_is_lost_with_the_data_of_redis_is_written_again() {
    let redis = redis_database().await;
    let mut pipeline = pipeline(&redis, &[]).await;
    let mut connection = pipeline.redis().await;
    let mark: String = connection.get(MARK).await.unwrap();
    let worker = pipeline.worker(&[]).await;
    let () = cmd("FLUSHDB").query_async(&mut connection).await.unwrap();
    until("the mark is back", async || {
        let found: Option<String> = connection.get(MARK).await.unwrap();
        found.as_ref() == Some(&mark)
    })
    .await;
    pipeline.deliver_payments(2).await;
    pipeline.until_processed(2).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_redis_that_is_full_and_has_no_mark_is_emptied_nevertheless() {
    let redis = RedisServer::start(&["--maxmemory-policy", "noeviction"]).await;
    let mut pipeline = pipeline(&redis.url(), &[]).await;
    let worker = pipeline.worker(&[]).await;
    worker.stop().await;
    pipeline.deliver_payments(3).await;
    redis.configure("maxmemory", "1").await;
    let mut connection = pipeline.redis().await;
    let () = connection.del(MARK).await.unwrap();
    let worker = pipeline.worker(&[]).await;
    pipeline.until_events("processed", 3).await;
    worker.stop().await;
    assert_eq!(entries_of(&mut connection).await, 0);
    let mark: Option<String> = connection.get(MARK).await.unwrap();
    assert_eq!(mark, None, "it was full all the time");
}

#[tokio::test]
async fn entries_of_an_unknown_endpoint_wait_for_a_worker_that_knows_it() {
    let redis = redis_database().await;
    let both = [("endpoints.new.secrets", SECRET)];
    let mut pipeline = pipeline(&redis, &both).await;
    let quick = [
        ("worker.claim_idle_ms", "300"),
        ("worker.consumer_idle_ms", "3600000"),
        ("worker.claims_max", "3"),
    ];
    let named = |name| [&quick[..], &[("worker.consumer", name)]].concat();
    let older = pipeline.worker(&named("older")).await;
    for _ in 0..3 {
        let event = pipeline.bodies.event("payment.captured");
        assert_eq!(pipeline.try_deliver_to("/new", &event).await, 200);
    }
    pipeline.deliver_payments(4).await;
    pipeline.until_events("processed", 4).await;
    // It looks at them again and again, more often than an entry may be claimed.
    let looked = "harkara_worker_entries_unknown_endpoint_total";
    older.until_counter(looked, 3 * 4).await;
    assert_eq!(pipeline.count("webhook_events").await, 4);
    assert_eq!(pipeline.length(Lane::Default).await, 3);

    let mut connection = pipeline.redis().await;
    until("no claim of the older worker counts", async || {
        let key = RedisKeys::default().stream(Lane::Default);
        let pending = connection.xpending_count(&key, "harkara", "-", "+", 10);
        let pending: StreamPendingCountReply = pending.await.unwrap();
        pending.ids.iter().all(|entry| entry.times_delivered == 0)
    })
    .await;
    let newer = [named("newer"), both.to_vec()].concat();
    let newer = pipeline.worker(&newer).await;
    pipeline.until_processed(7).await;
    older.stop().await;
    newer.stop().await;
}
