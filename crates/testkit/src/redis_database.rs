//! A logical Redis database for one test.

use redis::{Client, Cmd, FromRedisValue, cmd};

use crate::servers::redis_url;

/// Logical databases of the test server; `cargo dev test` starts it with as many.
const DATABASES: u64 = 4096;

/// Takes the next logical database, empties it, and returns its URL.
///
/// Stream keys are fixed names, so tests are kept apart by database. Number 0 holds the counter.
pub async fn redis_database() -> String {
    let server = redis_url();
    let taken: u64 = ask(&server, cmd("INCR").arg("harkara:test:databases")).await;
    let number = taken % (DATABASES - 1) + 1;
    let url = format!("{}/{number}", server.trim_end_matches('/'));
    let () = ask(&url, &cmd("FLUSHDB")).await;
    url
}

async fn ask<T: FromRedisValue>(url: &str, command: &Cmd) -> T {
    let client = Client::open(url).expect("the URL of the test Redis is valid");
    let connection = client.get_multiplexed_async_connection().await;
    let mut connection = connection.expect("the test Redis answers");
    let answer = command.query_async(&mut connection).await;
    answer.expect("the test Redis answers")
}
