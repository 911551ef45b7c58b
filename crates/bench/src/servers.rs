//! The private Redis and PostgreSQL, given by the environment.

pub(crate) mod postgres;
pub(crate) mod redis;

use std::env;

use anyhow::{Context, Result};

const REDIS_URL: &str = "HARKARA_BENCH_REDIS_URL";
const POSTGRES_URL: &str = "HARKARA_BENCH_POSTGRES_URL";

/// Connects to the servers that the environment names.
pub(crate) async fn connect() -> Result<(redis::Redis, postgres::Server)> {
    let redis = redis::Redis::connect(&url(REDIS_URL)?).await?;
    let postgres = postgres::Server::connect(&url(POSTGRES_URL)?).await?;
    Ok((redis, postgres))
}

fn url(variable: &str) -> Result<String> {
    env::var(variable).with_context(|| {
        format!("{variable} is not set; start the benchmark with `cargo dev bench`")
    })
}
