//! What tests do to a Redis server of their own.

use harkara_testkit::{RedisServer, wait_until};
use redis::FromRedisValue;
use redis::aio::MultiplexedConnection;

use crate::BOUND;

pub(crate) const FSYNC_ALWAYS: [&str; 2] = ["--appendfsync", "always"];
pub(crate) const FSYNC_EVERY_SECOND: [&str; 2] = ["--appendfsync", "everysec"];

/// Runs a command, written as in `redis-cli` without quotes.
pub(crate) async fn run<T: FromRedisValue>(redis: &RedisServer, command: &str) -> T {
    run_over(&mut redis.connection().await, command).await
}

/// The same over a connection that is open already.
pub(crate) async fn run_over<T: FromRedisValue>(
    connection: &mut MultiplexedConnection,
    command: &str,
) -> T {
    let mut words = command.split(' ');
    let mut command = redis::cmd(words.next().unwrap());
    command.arg(words.collect::<Vec<_>>());
    command.query_async(connection).await.unwrap()
}

/// The URL of a user who may do anything but `rule`, such as `-info`.
pub(crate) async fn url_of_user_without(redis: &RedisServer, rule: &str) -> String {
    let () = run(
        redis,
        &format!("ACL SETUSER limited reset on >pass ~* +@all {rule}"),
    )
    .await;
    format!("redis://limited:pass@127.0.0.1:{}", redis.port)
}

/// A number in a section of `INFO`, after this text; 0 if it is not there.
pub(crate) async fn info(
    connection: &mut MultiplexedConnection,
    section: &str,
    before: &str,
) -> u64 {
    let info: String = run_over(connection, &format!("INFO {section}")).await;
    let number = info.lines().find_map(|line| line.strip_prefix(before));
    number.map_or(0, |n| n.split(',').next().unwrap().parse().unwrap())
}

/// A replica of the server that has caught up.
pub(crate) async fn replica_of(primary: &RedisServer) -> RedisServer {
    let port = primary.port.to_string();
    let replica = RedisServer::start(&["--replicaof", "127.0.0.1", &port]).await;
    wait_until("the replica is connected", BOUND, async || {
        let info: String = run(primary, "INFO replication").await;
        info.contains("state=online")
    })
    .await;
    replica
}
