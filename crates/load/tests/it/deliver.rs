use std::future::{Future, pending};
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use harkara_core::secret::Secret;
use harkara_load::{
    DeliverOptions, Delivered, Injected, LoadPlan, LoadProgress, LoadTarget, Outcome, Pace, deliver,
};
use tokio::sync::Notify;

use crate::payments;
use crate::server::{self, Reaction};

fn options(retries: u32) -> DeliverOptions {
    DeliverOptions {
        connections_max: 32,
        timeout: Duration::from_secs(5),
        retries,
        retry_after: Duration::from_millis(20),
        old_secret: None,
    }
}

fn plan(deliveries: u16, injected: Injected) -> LoadPlan {
    let pace = Pace {
        rate_per_s: 1_000.0,
        duration: Duration::from_millis(deliveries.into()),
        bursts: None,
    };
    LoadPlan::new(&pace, &injected, 7).unwrap()
}

/// Sends as many deliveries, nothing injected.
async fn send(address: SocketAddr, deliveries: u16, options: DeliverOptions) -> Delivered {
    send_plan(address, &plan(deliveries, Injected::default()), options).await
}

async fn send_plan(address: SocketAddr, plan: &LoadPlan, options: DeliverOptions) -> Delivered {
    send_until(address, plan, options, pending(), |_| {}).await
}

/// Sends a plan to a target given twice, and checks the sum that every run must keep.
async fn send_until(
    address: SocketAddr,
    plan: &LoadPlan,
    options: DeliverOptions,
    stop: impl Future<Output = ()>,
    report: impl FnMut(LoadProgress),
) -> Delivered {
    let targets = vec![LoadTarget::new(address), LoadTarget::new(address)];
    let corpus = payments(plan.deliveries);
    let delivering = deliver(targets, &corpus, plan, options, stop, report);
    let delivered = delivering.await.unwrap();
    let refused: usize = delivered.refused.values().sum();
    let answered_or_not = delivered.accepted + refused + delivered.unanswered;
    assert_eq!(delivered.sent, answered_or_not);
    delivered
}

fn all(delivered: &Delivered, holds: impl Fn(&Outcome) -> bool) -> bool {
    delivered.outcomes.iter().all(holds)
}

#[tokio::test]
async fn every_delivery_is_sent_once_and_its_answer_counted() {
    let address = server::answering(200).await;
    let delivered = send(address, 200, options(3)).await;
    assert_eq!((delivered.sent, delivered.accepted), (200, 200));
    assert_eq!((delivered.retried, delivered.unsent), (0, 0));
    assert!(all(&delivered, |o| o.sent && o.accepted && !o.bad));
    assert_eq!(delivered.latency.len(), 200);
    assert!(delivered.took >= Duration::from_millis(199));
}

#[tokio::test]
async fn a_delivery_that_is_not_accepted_is_sent_again_until_it_is() {
    let address = server::reacting(|request| match request % 4 {
        0 => Reaction::Answer(503),
        1 => Reaction::HangUp,
        2 => Reaction::BreakOff,
        _ => Reaction::AnswerInChunks(202),
    })
    .await;
    let delivered = send(address, 50, options(100)).await;
    assert_eq!(delivered.accepted, 50);
    assert!(all(&delivered, |o| o.accepted));
    assert_eq!(delivered.retried, delivered.sent - 50);
    let (refused, unanswered) = (delivered.refused[&503], delivered.unanswered);
    assert!(refused > 20 && unanswered > 40, "{delivered:?}");
}

#[tokio::test]
async fn retries_end_when_they_are_used_up() {
    let address = server::answering(503).await;
    let delivered = send(address, 10, options(2)).await;
    assert_eq!((delivered.sent, delivered.retried), (30, 20));
    assert_eq!(delivered.refused[&503], 30);
    assert_eq!(delivered.latency.len(), 0);
    assert!(all(&delivered, |o| o.sent && !o.accepted));
    assert!(delivered.longest_refusal >= Duration::from_millis(40));
}

#[tokio::test]
async fn a_target_that_is_unavailable_at_the_start_is_reached_later() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut options = options(1_000);
    options.retry_after = Duration::from_millis(5);
    let plan = plan(20, Injected::default());
    let refused = Notify::new();
    let delivering = send_until(address, &plan, options, pending(), |progress| {
        if progress.unanswered >= 20 {
            refused.notify_one();
        }
    });
    let starting = async {
        refused.notified().await;
        server::answering_at(address).await;
    };
    let (delivered, ()) = tokio::join!(delivering, starting);
    assert_eq!(delivered.accepted, 20);
    assert!(delivered.unanswered >= 20);
}

#[tokio::test]
async fn bad_signatures_are_not_sent_again_and_no_failure_of_the_target() {
    let address = server::answering(401).await;
    let injected = Injected {
        bad_signatures: 100.0,
        ..Injected::default()
    };
    let delivered = send_plan(address, &plan(30, injected), options(5)).await;
    assert_eq!((delivered.sent, delivered.refused[&401]), (30, 30));
    assert!(delivered.refused_valid.is_empty());
    assert!(all(&delivered, |o| o.bad));
    assert!(delivered.longest_refusal.is_zero());
}

#[tokio::test]
async fn slow_and_old_and_duplicate_deliveries_arrive_whole() {
    let address = server::answering(200).await;
    let injected = Injected {
        slow: 50.0,
        old_secret: 50.0,
        duplicates: 20.0,
        ..Injected::default()
    };
    let plan = plan(60, injected);
    let mut options = options(0);
    options.old_secret = Some(Secret::new("before"));
    let began = Instant::now();
    let delivered = send_plan(address, &plan, options).await;
    assert_eq!((delivered.sent, delivered.accepted), (60, 60));
    assert!(delivered.duplicates > 0);
    let slow = plan.requests.iter().filter(|request| request.slow).count();
    assert_eq!(delivered.latency.len(), 60 - slow as u64);
    assert!(began.elapsed() >= Duration::from_millis(350));
}

#[tokio::test]
async fn silence_longer_than_the_timeout_is_no_answer() {
    let address = server::stalling(0, 3_000).await;
    let mut options = options(0);
    options.timeout = Duration::from_millis(100);
    let delivered = send(address, 10, options).await;
    assert_eq!((delivered.sent, delivered.unanswered), (10, 10));
}

#[tokio::test]
async fn a_request_that_finds_no_connection_until_long_after_is_not_sent() {
    let address = server::stalling(0, 600).await;
    let mut options = options(0);
    options.connections_max = 1;
    options.timeout = Duration::from_millis(400);
    let delivered = send(address, 10, options).await;
    assert_eq!(delivered.sent + delivered.unsent, 10);
    let (unsent, unanswered) = (delivered.unsent, delivered.unanswered);
    assert!(unsent > 0 && unanswered > 0, "{delivered:?}");
}

#[tokio::test]
async fn a_stop_ends_the_sending_and_everything_sent_is_reported() {
    let address = server::answering(200).await;
    let plan = plan(3_000, Injected::default());
    let some_accepted = Notify::new();
    let stop = some_accepted.notified();
    let delivered = send_until(address, &plan, options(9), stop, |progress| {
        if progress.accepted > 0 {
            some_accepted.notify_one();
        }
    })
    .await;
    assert!((1..3_000).contains(&delivered.sent), "{}", delivered.sent);
    assert_eq!(delivered.sent, delivered.accepted);
    assert_eq!(delivered.sent + delivered.unsent, 3_000);
    assert!(all(&delivered, |o| o.sent == o.accepted));
}
