//! Appends to a server that writes to disk before it answers go in groups.

use harkara_core::lane::Lane;
use harkara_core::redis_keys::RedisKeys;

use crate::http::Response;
use crate::ingress::Ingress;
use crate::redis_server::{FSYNC_ALWAYS, info, run};

/// Far more than one group of each server thread holds.
const DELIVERIES: usize = 600;

/// By default, tests have two.
const ONE_THREAD: [(&str, &str); 1] = [("ingress.threads", "1")];

/// Sends different deliveries concurrently, each of the event that `name` returns.
async fn deliver_all(ingress: &Ingress, name: impl Fn(usize) -> &'static str) -> Vec<Response> {
    let body = |n| format!(r#"{{"event":"{}","n":{n}}}"#, name(n));
    ingress.deliver_all(DELIVERIES, body).await
}

fn n_with_status(responses: &[Response], status: u16) -> usize {
    let responses = responses.iter();
    responses.filter(|one| one.status == status).count()
}

#[tokio::test]
async fn deliveries_that_come_together_are_appended_once_each_in_transactions() {
    let (redis, ingress) = Ingress::start_with_redis(&FSYNC_ALWAYS, &ONE_THREAD).await;
    let responses = deliver_all(&ingress, |_| "order.paid").await;
    assert_eq!(n_with_status(&responses, 200), DELIVERIES);
    let entries = ingress.entries(Lane::Default).await;
    assert_eq!(entries.len(), DELIVERIES);
    let mut bodies: Vec<_> = entries.into_iter().map(|entry| entry.body).collect();
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), DELIVERIES);

    let mut connection = redis.connection().await;
    let n_groups = info(&mut connection, "commandstats", "cmdstat_exec:calls=").await;
    let n_groups_max = u64::try_from(DELIVERIES / 2).unwrap();
    assert!((1..n_groups_max).contains(&n_groups), "{n_groups}");
}

#[tokio::test]
async fn an_entry_that_the_server_refuses_takes_no_other_of_its_group_with_it() {
    let (redis, ingress) = Ingress::start_with_redis(&FSYNC_ALWAYS, &ONE_THREAD).await;
    let key = RedisKeys::default().stream(Lane::Critical);
    let () = run(&redis, &format!("SET {key} no-stream")).await;
    let responses = deliver_all(&ingress, |n| match n % 3 {
        0 => "payment.dispute.created",
        _ => "order.paid",
    })
    .await;
    for (n, response) in responses.iter().enumerate() {
        let expected = if n % 3 == 0 { 503 } else { 200 };
        assert_eq!(response.status, expected, "delivery {n}");
    }
    let n_appended = ingress.entries(Lane::Default).await.len();
    assert_eq!(n_appended, n_with_status(&responses, 200));
}

#[tokio::test]
async fn a_group_that_the_server_has_no_memory_for_is_answered_503() {
    let (redis, ingress) = Ingress::start_with_redis(&FSYNC_ALWAYS, &[]).await;
    redis.configure("maxmemory", "1").await;
    let responses = deliver_all(&ingress, |_| "order.paid").await;
    assert_eq!(n_with_status(&responses, 503), DELIVERIES);
    assert_eq!(ingress.entries(Lane::Default).await.len(), 0);
    redis.configure("maxmemory", "0").await;
    ingress.until_accepted().await;
    let responses = deliver_all(&ingress, |_| "order.paid").await;
    assert_eq!(n_with_status(&responses, 200), DELIVERIES);
    assert_eq!(ingress.entries(Lane::Default).await.len(), DELIVERIES + 1);
}
