//! The private Redis and PostgreSQL, given by the environment.

pub(crate) mod postgres;
pub(crate) mod redis;

use std::env;

use anyhow::{Context, Result};

use crate::process::Pid;

const REDIS_URL: &str = "HARKARA_BENCH_REDIS_URL";
const REDIS_PID: &str = "HARKARA_BENCH_REDIS_PID";
const POSTGRES_URL: &str = "HARKARA_BENCH_POSTGRES_URL";
const POSTGRES_PID: &str = "HARKARA_BENCH_POSTGRES_PID";

/// Connects to the servers that the environment names. The numbers of their processes may be left
/// out; then the servers are asked.
pub(crate) async fn connect() -> Result<(redis::Redis, postgres::Server)> {
    let redis = redis::Redis::connect(&url(REDIS_URL)?, pid(REDIS_PID)?).await?;
    let postgres = postgres::Server::connect(&url(POSTGRES_URL)?, pid(POSTGRES_PID)?).await?;
    Ok((redis, postgres))
}

fn url(variable: &str) -> Result<String> {
    env::var(variable).with_context(|| {
        format!("{variable} is not set; start the benchmark with `cargo dev bench`")
    })
}

fn pid(variable: &str) -> Result<Option<Pid>> {
    match env::var(variable) {
        Ok(pid) if !pid.is_empty() => {
            let pid = pid.parse();
            Ok(Some(pid.with_context(|| {
                format!("{variable} is not a process number")
            })?))
        }
        _ => Ok(None),
    }
}
