//! The inbox while PostgreSQL fails. (The worker's tests show that its deliveries are processed.)

use std::time::{Duration, Instant};

use harkara_testkit::{Link, Proxy, RedisServer, TestDatabase, wait_until};

use crate::BOUND;
use crate::http::Request;
use crate::ingress::Ingress;

/// `ingress.append_timeout_ms` and `ingress.inbox_timeout_ms` together are 3.4 seconds. This is the longest
/// that Razorpay waits.
const ANSWER_BOUND: Duration = Duration::from_secs(5);

/// An ingress without Redis, with more time for its inbox than a busy machine needs.
async fn ingress_on(database: &TestDatabase) -> Ingress {
    let mut redis = RedisServer::start(&[]).await;
    redis.kill();
    let settings = [
        ("postgres.url", database.url.as_str()),
        ("ingress.inbox_timeout_ms", "5000"),
        ("ingress.threads", "1"),
    ];
    Ingress::start_on(&redis.url(), &settings).await
}

#[tokio::test]
async fn if_postgres_is_black_holed_the_answer_is_503_and_in_time() {
    let hole = Proxy::to_port(0).await;
    hole.set(Link::BlackHoled);
    let postgres = format!("postgres://harkara@{}/harkara", hole.address());
    let settings = [
        ("postgres.url", postgres.as_str()),
        ("postgres.connect_timeout_ms", "3000"),
    ];
    let (mut redis, ingress) = Ingress::start_with_redis(&[], &settings).await;
    let assert_in_time = async |redis: &str| {
        for _ in 0..3 {
            let asked_at = Instant::now();
            ingress.assert_status(503).await;
            let took = asked_at.elapsed();
            assert!(took < ANSWER_BOUND, "{took:?} with Redis {redis}");
        }
    };
    redis.pause();
    assert_in_time("hanging").await;
    redis.kill();
    assert_in_time("refusing").await;
    // A stop does not wait for them either.
    ingress.stop.request();
    ingress.ended().await;
}

#[tokio::test]
async fn the_inbox_is_connected_and_prepared_before_the_first_delivery() {
    let database = TestDatabase::migrated().await;
    let ingress = ingress_on(&database).await;
    wait_until("every connection has its statements", BOUND, async || {
        let prepared: i64 = database
            .value(
                "SELECT count(*) FROM pg_stat_activity
                 WHERE application_name = 'harkara-ingress' AND datname = current_database()
                   AND state = 'idle' AND query LIKE 'INSERT INTO webhook_events %'",
            )
            .await;
        prepared == 2
    })
    .await;
    let rows: i64 = database.value("SELECT count(*) FROM webhook_events").await;
    assert_eq!(rows, 0);
    ingress.assert_accepts().await;
}

#[tokio::test]
async fn a_postgres_that_takes_a_second_for_a_commit_stores_deliveries() {
    let database = TestDatabase::migrated().await;
    database
        .execute(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$;
             CREATE TRIGGER slow AFTER INSERT ON webhook_events FOR EACH ROW EXECUTE FUNCTION slow()",
        )
        .await;
    let mut redis = RedisServer::start(&[]).await;
    redis.kill();
    let settings = [("postgres.url", database.url.as_str())];
    let ingress = Ingress::start_on(&redis.url(), &settings).await;
    ingress.assert_accepts().await;
}

#[tokio::test]
async fn a_delivery_that_postgres_refuses_takes_no_other_of_its_group_with_it() {
    let database = TestDatabase::migrated().await;
    database
        .execute("ALTER TABLE webhook_events ADD CHECK (event_type <> 'refund.failed')")
        .await;
    let ingress = ingress_on(&database).await;
    let name = |n: usize| match n % 10 {
        0 => "refund.failed",
        _ => "order.paid",
    };
    let body = |n| format!(r#"{{"event":"{}","n":{n}}}"#, name(n));
    for (n, response) in ingress.deliver_all(50, body).await.iter().enumerate() {
        let expected = if name(n) == "order.paid" { 200 } else { 503 };
        assert_eq!(response.status, expected, "delivery {n}");
    }
    let stored: i64 = database
        .value("SELECT count(*) FROM webhook_events WHERE status = 'pending'")
        .await;
    assert_eq!(stored, 45);
}

#[tokio::test]
async fn a_stop_waits_for_deliveries_that_are_being_stored_in_the_inbox() {
    let database = TestDatabase::migrated().await;
    let ingress = ingress_on(&database).await;
    database
        .execute("BEGIN; LOCK TABLE webhook_events IN ACCESS EXCLUSIVE MODE")
        .await;
    let public = ingress.public;
    let deliveries: Vec<_> = (0..5)
        .map(|n| tokio::spawn(Request::delivery(format!("{{\"n\":{n}}}")).send(public)))
        .collect();
    wait_until("the inbox waits for the table", BOUND, async || {
        let waiting: i64 = database
            .value("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'webhook_events'::regclass")
            .await;
        waiting > 0
    })
    .await;
    ingress.stop.request();
    ingress.until_ready(503).await;
    database.execute("COMMIT").await;
    for delivery in deliveries {
        assert_eq!(delivery.await.unwrap().status, 200);
    }
    ingress.ended().await;
    let stored: i64 = database.value("SELECT count(*) FROM webhook_events").await;
    assert_eq!(stored, 5);
}

#[tokio::test]
async fn a_connection_that_postgres_ends_under_a_commit_refuses_no_delivery() {
    let database = TestDatabase::migrated().await;
    let ingress = ingress_on(&database).await;
    ingress.assert_accepts().await;
    database
        .execute("BEGIN; LOCK TABLE event_identities IN ACCESS EXCLUSIVE MODE")
        .await;
    let end_the_waiting = async {
        wait_until("a commit waits and is ended", BOUND, async || {
            let ended: i64 = database
                .value(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                     WHERE application_name = 'harkara-ingress'
                       AND datname = current_database() AND wait_event_type = 'Lock'",
                )
                .await;
            ended > 0
        })
        .await;
        database.execute("ROLLBACK").await;
    };
    let (answer, ()) = tokio::join!(ingress.deliver("[]"), end_the_waiting);
    assert_eq!(answer.status, 200);
}
