//! Where the test servers are.

/// The variable that names the test PostgreSQL.
const POSTGRES: &str = "HARKARA_TEST_POSTGRES_URL";

/// The variable that names the test Redis.
const REDIS: &str = "HARKARA_TEST_REDIS_URL";

/// The variable that names the program of a Redis whose `WAITAOF` can be trusted.
const REDIS_WITH_WAITAOF: &str = "HARKARA_TEST_REDIS_WITH_WAITAOF";

pub(crate) fn postgres_url() -> String {
    told(POSTGRES)
}

pub(crate) fn redis_url() -> String {
    told(REDIS)
}

pub(crate) fn redis_with_waitaof() -> String {
    told(REDIS_WITH_WAITAOF)
}

fn told(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!(
            "{variable} is not set: run the tests with `cargo dev test`, or start servers for single tests \
             with `cargo dev test --servers-only` and export what it prints (it says so where it cannot give it)"
        )
    })
}
