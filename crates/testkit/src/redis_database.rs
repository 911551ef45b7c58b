//! A logical Redis database for one test.

use crate::servers::redis_url;

/// Logical databases of the test server; `cargo dev test` starts it with as many.
const DATABASES: u64 = 4096;

/// Takes the next logical database, empties it, and returns its URL.
///
/// Stream keys are fixed names, so tests are kept apart by database. Number 0 holds the counter.
pub async fn redis_database() -> String {
    let server = redis_url();
    let client = redis::Client::open(server.as_str()).expect("the test Redis URL is valid");
    let mut connection = client
        .get_multiplexed_async_connection()
        .await
        .expect("the test Redis answers");
    let taken: u64 = redis::cmd("INCR")
        .arg("harkara:test:databases")
        .query_async(&mut connection)
        .await
        .expect("INCR");
    let url = format!(
        "{}/{}",
        server.trim_end_matches('/'),
        taken % (DATABASES - 1) + 1
    );
    let own = redis::Client::open(url.as_str()).expect("the database URL is valid");
    let mut own = own
        .get_multiplexed_async_connection()
        .await
        .expect("the database can be selected");
    let () = redis::cmd("FLUSHDB")
        .query_async(&mut own)
        .await
        .expect("FLUSHDB");
    url
}
