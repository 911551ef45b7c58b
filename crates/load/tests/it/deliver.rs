use std::future::pending;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use harkara_core::secret::Secret;
use harkara_load::{Delivered, Injected, Manner, Pace, Plan, Target, deliver};

use tokio::sync::Notify;

use crate::closed::corpus;
use crate::server::{self, Reaction};

fn manner(retries: u32) -> Manner {
    Manner {
        connections_max: 32,
        timeout: Duration::from_secs(5),
        retries,
        retry_after: Duration::from_millis(20),
        old_secret: None,
    }
}

fn plan(deliveries: u16, injected: Injected) -> Plan {
    let pace = Pace {
        rate_per_s: 1_000.0,
        duration: Duration::from_millis(deliveries.into()),
        bursts: None,
    };
    Plan::new(&pace, &injected, 7).unwrap()
}

async fn delivered(addresses: &[SocketAddr], plan: &Plan, manner: Manner) -> Delivered {
    let targets = addresses.iter().copied().map(Target::new).collect();
    let corpus = corpus(plan.deliveries);
    deliver(targets, &corpus, plan, manner, pending(), |_| {})
        .await
        .unwrap()
}

/// The sum that every run must keep.
fn answers_add_up(delivered: &Delivered) {
    let refused: usize = delivered.refused.values().sum();
    assert_eq!(
        delivered.sent,
        delivered.accepted + refused + delivered.unanswered
    );
}

#[tokio::test]
async fn every_delivery_is_sent_once_and_its_answer_counted() {
    let address = server::start(None, |_| Reaction::Answer(200)).await;
    let plan = plan(200, Injected::default());
    let delivered = delivered(&[address], &plan, manner(3)).await;
    assert_eq!((delivered.sent, delivered.accepted), (200, 200));
    assert_eq!((delivered.retried, delivered.unsent), (0, 0));
    assert!(
        delivered
            .fates
            .iter()
            .all(|fate| fate.sent && fate.accepted && !fate.bad)
    );
    assert_eq!(delivered.latency.len(), 200);
    assert!(delivered.took >= Duration::from_millis(199));
}

#[tokio::test]
async fn what_is_not_taken_is_sent_again_until_it_is() {
    let address = server::start(None, |request| match request % 4 {
        0 => Reaction::Answer(503),
        1 => Reaction::HangUp,
        2 => Reaction::BreakOff,
        _ => Reaction::AnswerInChunks(202),
    })
    .await;
    let plan = plan(50, Injected::default());
    let delivered = delivered(&[address], &plan, manner(100)).await;
    assert_eq!(delivered.accepted, 50);
    assert!(delivered.fates.iter().all(|fate| fate.accepted));
    assert_eq!(delivered.retried, delivered.sent - 50);
    assert!(
        delivered.refused[&503] > 20 && delivered.unanswered > 40,
        "{delivered:?}"
    );
    answers_add_up(&delivered);
}

#[tokio::test]
async fn retries_end_where_they_are_used_up() {
    let address = server::start(None, |_| Reaction::Answer(503)).await;
    let plan = plan(10, Injected::default());
    let delivered = delivered(&[address], &plan, manner(2)).await;
    assert_eq!((delivered.sent, delivered.retried), (30, 20));
    assert_eq!(delivered.refused[&503], 30);
    assert_eq!(delivered.latency.len(), 0);
    assert!(
        delivered
            .fates
            .iter()
            .all(|fate| fate.sent && !fate.accepted)
    );
    assert!(delivered.longest_refusal >= Duration::from_millis(40));
}

#[tokio::test]
async fn a_target_that_is_away_at_the_start_is_reached_when_it_comes() {
    let place = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = place.local_addr().unwrap();
    drop(place);
    let plan = plan(20, Injected::default());
    let mut away = manner(1_000);
    away.retry_after = Duration::from_millis(5);
    let corpus = corpus(plan.deliveries);
    let targets = vec![Target::new(address)];
    let refused = Notify::new();
    let delivering = deliver(targets, &corpus, &plan, away, pending(), |progress| {
        if progress.unanswered >= 20 {
            refused.notify_one();
        }
    });
    let comes = async {
        refused.notified().await;
        server::start_at(address, |_| Reaction::Answer(200)).await;
    };
    let (delivered, ()) = tokio::join!(delivering, comes);
    let delivered = delivered.unwrap();
    assert_eq!(delivered.accepted, 20);
    assert!(delivered.unanswered >= 20);
    answers_add_up(&delivered);
}

#[tokio::test]
async fn bad_signatures_are_not_sent_again_and_no_failure_of_the_target() {
    let address = server::start(None, |_| Reaction::Answer(401)).await;
    let injected = Injected {
        badly_signed: 100.0,
        ..Injected::default()
    };
    let delivered = delivered(&[address], &plan(30, injected), manner(5)).await;
    assert_eq!((delivered.sent, delivered.refused[&401]), (30, 30));
    assert!(delivered.refused_valid.is_empty());
    assert!(delivered.fates.iter().all(|fate| fate.bad));
    assert!(delivered.longest_refusal.is_zero());
}

#[tokio::test]
async fn slow_and_old_and_repeated_deliveries_arrive_whole() {
    let address = server::start(None, |_| Reaction::Answer(200)).await;
    let injected = Injected {
        slow: 50.0,
        old_secret: 50.0,
        duplicates: 20.0,
        ..Injected::default()
    };
    let plan = plan(60, injected);
    let manner = Manner {
        old_secret: Some(Secret::new("before")),
        ..manner(0)
    };
    let began = Instant::now();
    let delivered = delivered(&[address, address], &plan, manner).await;
    assert_eq!((delivered.sent, delivered.accepted), (60, 60));
    assert!(delivered.duplicates > 0);
    let slow = plan.sendings.iter().filter(|sending| sending.slow).count();
    assert_eq!(delivered.latency.len(), 60 - slow as u64);
    assert!(began.elapsed() >= Duration::from_millis(350));
}

#[tokio::test]
async fn silence_longer_than_the_timeout_is_no_answer() {
    let stall = (Duration::ZERO, Duration::from_secs(3));
    let address = server::start(Some(stall), |_| Reaction::Answer(200)).await;
    let impatient = Manner {
        timeout: Duration::from_millis(100),
        ..manner(0)
    };
    let plan = plan(10, Injected::default());
    let delivered = delivered(&[address], &plan, impatient).await;
    assert_eq!((delivered.sent, delivered.unanswered), (10, 10));
}

#[tokio::test]
async fn what_finds_no_connection_until_long_after_is_not_sent() {
    let stall = (Duration::ZERO, Duration::from_millis(600));
    let address = server::start(Some(stall), |_| Reaction::Answer(200)).await;
    let one = Manner {
        connections_max: 1,
        timeout: Duration::from_millis(400),
        ..manner(0)
    };
    let plan = plan(10, Injected::default());
    let delivered = delivered(&[address], &plan, one).await;
    assert_eq!(delivered.sent + delivered.unsent, 10);
    assert!(
        delivered.unsent > 0 && delivered.unanswered > 0,
        "{delivered:?}"
    );
}

#[tokio::test]
async fn a_stop_ends_the_sending_and_all_that_was_sent_is_told() {
    let address = server::start(None, |_| Reaction::Answer(200)).await;
    let plan = plan(3_000, Injected::default());
    let corpus = corpus(plan.deliveries);
    let targets = vec![Target::new(address)];
    let some_accepted = Notify::new();
    let stop = some_accepted.notified();
    let delivering = deliver(targets, &corpus, &plan, manner(9), stop, |progress| {
        if progress.accepted > 0 {
            some_accepted.notify_one();
        }
    });
    let delivered = delivering.await.unwrap();
    assert!((1..3_000).contains(&delivered.sent), "{}", delivered.sent);
    assert_eq!(delivered.sent, delivered.accepted);
    assert_eq!(delivered.sent + delivered.unsent, 3_000);
    assert!(
        delivered
            .fates
            .iter()
            .all(|fate| fate.sent == fate.accepted)
    );
}
