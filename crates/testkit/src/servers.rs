//! The addresses of the test servers, and the programs that tests start, which `cargo dev test` puts into variables.

use std::path::PathBuf;

/// The program `promtool`, which checks rules and scraped metrics.
#[must_use]
pub fn promtool() -> PathBuf {
    variable("HARKARA_TEST_PROMTOOL").into()
}

/// The folder with `kubectl`, `helm` and a Python environment with `kubernetes-validate`.
#[must_use]
pub fn manifest_tools() -> PathBuf {
    variable("HARKARA_TEST_MANIFEST_TOOLS").into()
}

pub(crate) fn postgres_url() -> String {
    variable("HARKARA_TEST_POSTGRES_URL")
}

pub(crate) fn redis_url() -> String {
    variable("HARKARA_TEST_REDIS_URL")
}

/// The program of a Redis whose `WAITAOF` can be trusted.
pub(crate) fn redis_with_waitaof() -> String {
    variable("HARKARA_TEST_REDIS_WITH_WAITAOF")
}

/// The program `pgbouncer`.
pub(crate) fn pgbouncer() -> PathBuf {
    variable("HARKARA_TEST_PGBOUNCER").into()
}

/// The folder of PostgreSQL's programs.
pub(crate) fn postgres_programs() -> PathBuf {
    variable("HARKARA_TEST_POSTGRES_PROGRAMS").into()
}

fn variable(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!(
            "{variable} is not set: run the tests with `cargo dev test`, or start servers for single tests \
             with `cargo dev test --servers-only` and export what it prints (it says so where it cannot give it)"
        )
    })
}
