//! Where the test servers are.

/// The variable that names the test PostgreSQL.
const POSTGRES: &str = "HARKARA_TEST_POSTGRES_URL";

/// The variable that names the test Redis.
const REDIS: &str = "HARKARA_TEST_REDIS_URL";

pub(crate) fn postgres_url() -> String {
    url(POSTGRES)
}

pub(crate) fn redis_url() -> String {
    url(REDIS)
}

fn url(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!(
            "{variable} is not set: run the tests with `cargo dev test`, or start servers for single tests \
             with `cargo dev test --servers-only` and export what it prints"
        )
    })
}
