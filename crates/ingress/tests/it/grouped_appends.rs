//! Appends to a server that writes to disk before it answers go in groups.

use std::time::Duration;

use harkara_core::lane::Lane;
use harkara_testkit::{RedisServer, wait_until};

use crate::http::Response;
use crate::ingress::Ingress;

const FSYNC_EVERY_WRITE: [&str; 2] = ["--appendfsync", "always"];

const BOUND: Duration = Duration::from_secs(15);

/// Far more than one group of each server thread holds.
const DELIVERIES: usize = 600;

/// Sends deliveries at the same time, each with a body of its own of the event that `name` gives it.
async fn deliver_at_once(ingress: &Ingress, name: impl Fn(usize) -> &'static str) -> Vec<Response> {
    let deliveries =
        (0..DELIVERIES).map(|n| ingress.deliver(format!(r#"{{"event":"{}","n":{n}}}"#, name(n))));
    futures_util::future::join_all(deliveries).await
}

fn n_with_status(responses: &[Response], status: u16) -> usize {
    responses
        .iter()
        .filter(|response| response.status == status)
        .count()
}

#[tokio::test]
async fn what_is_delivered_at_once_is_appended_once_each() {
    let redis = RedisServer::start(&FSYNC_EVERY_WRITE).await;
    let ingress = Ingress::start_on(&redis.url(), &[]).await;
    let responses = deliver_at_once(&ingress, |_| "order.paid").await;
    assert_eq!(n_with_status(&responses, 200), DELIVERIES);
    let mut bodies: Vec<_> = ingress
        .entries(Lane::Default)
        .await
        .into_iter()
        .map(|entry| entry.body)
        .collect();
    assert_eq!(bodies.len(), DELIVERIES);
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), DELIVERIES);
    ingress.stop().await;
}

#[tokio::test]
async fn groups_are_transactions() {
    let redis = RedisServer::start(&FSYNC_EVERY_WRITE).await;
    let ingress = Ingress::start_on(&redis.url(), &[("ingress.threads", "1")]).await;
    deliver_at_once(&ingress, |_| "order.paid").await;
    let mut connection = redis.connection().await;
    let told: String = redis::cmd("INFO")
        .arg("commandstats")
        .query_async(&mut connection)
        .await
        .unwrap();
    let n_groups: usize = told
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_exec:calls="))
        .and_then(|rest| rest.split(',').next()?.parse().ok())
        .unwrap_or_default();
    assert!((1..DELIVERIES / 2).contains(&n_groups), "{n_groups}");
    ingress.stop().await;
}

#[tokio::test]
async fn an_entry_that_the_server_refuses_takes_no_other_of_its_group_with_it() {
    let redis = RedisServer::start(&FSYNC_EVERY_WRITE).await;
    let ingress = Ingress::start_on(&redis.url(), &[("ingress.threads", "1")]).await;
    let mut connection = redis.connection().await;
    redis::cmd("SET")
        .arg(&[Lane::Critical.stream_key(0).as_str(), "no stream"])
        .exec_async(&mut connection)
        .await
        .unwrap();
    let name = |n: usize| {
        if n.is_multiple_of(3) {
            "payment.dispute.created"
        } else {
            "order.paid"
        }
    };
    let responses = deliver_at_once(&ingress, name).await;
    for (n, response) in responses.iter().enumerate() {
        let expected = if n.is_multiple_of(3) { 503 } else { 200 };
        assert_eq!(response.status, expected, "delivery {n}");
    }
    let n_appended = ingress.entries(Lane::Default).await.len();
    assert_eq!(n_appended, n_with_status(&responses, 200));
    ingress.stop().await;
}

#[tokio::test]
async fn a_group_that_the_server_has_no_memory_for_is_answered_503() {
    let redis = RedisServer::start(&FSYNC_EVERY_WRITE).await;
    let ingress = Ingress::start_on(&redis.url(), &[]).await;
    redis.configure("maxmemory", "1").await;
    let responses = deliver_at_once(&ingress, |_| "order.paid").await;
    assert_eq!(n_with_status(&responses, 503), DELIVERIES);
    assert_eq!(ingress.entries(Lane::Default).await.len(), 0);
    redis.configure("maxmemory", "0").await;
    wait_until("deliveries are accepted again", BOUND, async || {
        ingress.deliver("{}").await.status == 200
    })
    .await;
    let responses = deliver_at_once(&ingress, |_| "order.paid").await;
    assert_eq!(n_with_status(&responses, 200), DELIVERIES);
    assert_eq!(ingress.entries(Lane::Default).await.len(), DELIVERIES + 1);
    ingress.stop().await;
}
