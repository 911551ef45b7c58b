//! URLs that name several hosts.

use std::time::Duration;

use harkara_storage::{Pool, PoolSettings};
use harkara_testkit::{PgBouncer, PostgresServer, TestDatabase, pool_settings};
use tokio::net::{TcpSocket, TcpStream};

use crate::records::{all_claimed, payment};
use crate::store::{Store, commit};

/// The host with its port, and the database.
fn parts(url: &str) -> (&str, &str) {
    let (_, after_user) = url.rsplit_once('@').unwrap();
    after_user.split_once('/').unwrap()
}

/// A pool on the database of the second URL, at the hosts of both in this order.
fn pool(first: &str, second: &str) -> Pool {
    let ((first, _), (second, database)) = (parts(first), parts(second));
    Pool::new(&PoolSettings {
        connect_timeout: Duration::from_secs(4),
        ..pool_settings(&format!("postgres://harkara@{first},{second}/{database}"))
    })
    .unwrap()
}

async fn takes_an_event(pool: &Pool, store: &Store, event_id: &str) {
    let event = payment(event_id, event_id, "captured", 10);
    let committed = commit(pool, all_claimed([&event])).await;
    assert_eq!(committed.unwrap().entries().len(), 1);
    let stored = format!("webhook_events WHERE razorpay_event_id = '{event_id}'");
    assert_eq!(store.count(&stored).await, 1);
}

#[tokio::test]
async fn a_host_that_is_gone_or_silent_leaves_time_for_the_next_one() {
    let store = Store::migrated().await;
    let gone = "postgres://harkara@127.0.0.1:1/none";
    takes_an_event(&pool(gone, &store.url), &store, "e1").await;

    // It takes no further connection, as a machine that is gone.
    let silent = TcpSocket::new_v4().unwrap();
    silent.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let silent = silent.listen(1).unwrap();
    let address = silent.local_addr().unwrap();
    let mut waiting = Vec::new();
    let second = Duration::from_secs(1);
    while let Ok(connected) = tokio::time::timeout(second, TcpStream::connect(address)).await {
        waiting.push(connected.unwrap());
    }
    let silent = format!("postgres://harkara@{address}/none");
    takes_an_event(&pool(&silent, &store.url), &store, "e2").await;
}

#[tokio::test]
async fn the_host_that_can_be_written_to_is_chosen() {
    let store = Store::migrated().await;
    let standby = PostgresServer::start(&["default_transaction_read_only=on", "fsync=off"]).await;
    let (_, name) = parts(&store.url);
    let admin = TestDatabase::at(standby.superuser_url()).await;
    for statement in [
        "SET default_transaction_read_only = off".to_owned(),
        format!("CREATE DATABASE {name}"),
    ] {
        admin.execute(&statement).await;
    }
    let direct = pool(&standby.url(), &store.url);
    takes_an_event(&direct, &store, "e1").await;
    assert!(!direct.is_pooled());

    let before_standby = PgBouncer::before(&standby.url(), &[]).await;
    let before_primary = PgBouncer::before(&store.url, &[]).await;
    let urls = [
        before_standby.url(&standby.url()),
        before_primary.url(&store.url),
    ];
    let pooled = pool(&urls[0], &urls[1]);
    takes_an_event(&pooled, &store, "e2").await;
    assert!(pooled.is_pooled());
}
