//! The addresses of the test servers, and the programs that tests start.

use std::path::PathBuf;

/// The variable that names the test PostgreSQL.
const POSTGRES: &str = "HARKARA_TEST_POSTGRES_URL";

/// The variable that names the folder of PostgreSQL's programs.
const POSTGRES_PROGRAMS: &str = "HARKARA_TEST_POSTGRES_PROGRAMS";

/// The variable that names the test Redis.
const REDIS: &str = "HARKARA_TEST_REDIS_URL";

/// The variable that names the program of a Redis whose `WAITAOF` can be trusted.
const REDIS_WITH_WAITAOF: &str = "HARKARA_TEST_REDIS_WITH_WAITAOF";

/// The variable that names the program `promtool`.
const PROMTOOL: &str = "HARKARA_TEST_PROMTOOL";

/// The program `promtool`, which checks rules and what is scraped.
#[must_use]
pub fn promtool() -> PathBuf {
    PathBuf::from(variable(PROMTOOL))
}

pub(crate) fn postgres_url() -> String {
    variable(POSTGRES)
}

pub(crate) fn redis_url() -> String {
    variable(REDIS)
}

pub(crate) fn redis_with_waitaof() -> String {
    variable(REDIS_WITH_WAITAOF)
}

/// The folder of PostgreSQL's programs.
pub(crate) fn postgres_programs() -> PathBuf {
    PathBuf::from(variable(POSTGRES_PROGRAMS))
}

fn variable(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!(
            "{variable} is not set: run the tests with `cargo dev test`, or start servers for single tests \
             with `cargo dev test --servers-only` and export what it prints (it says so where it cannot give it)"
        )
    })
}
