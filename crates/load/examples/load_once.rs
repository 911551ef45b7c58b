//! Loads one address once and prints what came of it.
//!
//! `cargo run --release -p harkara-load --example load_once -- 127.0.0.1:8080 closed 128 10` sends over
//! 128 connections for 10 s; `open 10000 10` instead sends 10,000 a second for 10 s. Deliveries are
//! signed with the secret of development, or with the one in `HARKARA_LOAD_SECRET`.
#![expect(clippy::print_stdout, reason = "it is a program that prints")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use harkara_core::secret::Secret;
use harkara_load::{Closed, Corpus, Histogram, Mix, Open, TICK_FINE, Target, closed, open};
use rustix::time::{ClockId, clock_gettime};

/// Deliveries prepared: about two gigabytes at most.
const DELIVERIES_MAX: f64 = 1_000_000.0;

/// More than a generator on one core can send in a second.
const CLOSED_RATE_MAX: f64 = 120_000.0;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, model, size, seconds] = arguments.as_slice() else {
        bail!("usage: load_once ADDRESS closed CONNECTIONS SECONDS | ADDRESS open RATE SECONDS");
    };
    let target = Target::new(address.parse::<SocketAddr>().context("the address")?);
    let duration = Duration::from_secs_f64(seconds.parse().context("the seconds")?);
    let rate = if model == "open" {
        size.parse().context("the rate")?
    } else {
        CLOSED_RATE_MAX
    };
    let secret = std::env::var("HARKARA_LOAD_SECRET");
    let secret = Secret::new(secret.as_deref().unwrap_or("harkara-dev-secret"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number between 0 and a million"
    )]
    let deliveries = (rate * duration.as_secs_f64())
        .ceil()
        .clamp(0.0, DELIVERIES_MAX) as usize;
    let began = Instant::now();
    let corpus = Arc::new(Corpus::prepare(
        Mix::Realistic,
        deliveries,
        &secret,
        u64::from(now.subsec_nanos()),
        i64::try_from(now.as_secs())?,
    ));
    println!(
        "prepared {} deliveries in {:?}, bodies of {:.0} bytes on average",
        corpus.len(),
        began.elapsed(),
        corpus.body_bytes_mean()
    );

    let range = 0..corpus.len();
    let cpu_before = cpu_time()?;
    let report = match model.as_str() {
        "closed" => {
            let connections = size.parse().context("the connections")?;
            let model = Closed {
                connections,
                duration,
            };
            closed(&target, &corpus, range, &model).await?
        }
        "open" => {
            let model = Open {
                rate_per_s: rate,
                connections_max: 256,
                tick: TICK_FINE,
                duration,
            };
            open(&target, &corpus, range, &model).await?
        }
        other => bail!("{other:?} is neither closed nor open"),
    };
    let cpu = cpu_time()?.saturating_sub(cpu_before);
    println!(
        "{:.2} µs of CPU a request",
        cpu.as_secs_f64() * 1e6 / f64::from(u32::try_from(report.sent)?)
    );
    println!(
        "{:.0} answers/s in {:?}: sent {}, statuses {:?}, accepted {}, failed {}, unsent {}, waited {}, \
         connections opened {}, exhausted {}",
        report.answered_per_s(),
        report.elapsed,
        report.sent,
        report.statuses,
        report.accepted.len(),
        report.failed,
        report.unsent,
        report.waited,
        report.connections_opened,
        report.exhausted
    );
    if let Some(failure) = report.first_failure {
        println!("first failure: {:#}", anyhow::Error::new(failure));
    }
    print_quantiles("latency", &report.latency);
    print_quantiles("started late", &report.started_late);
    Ok(())
}

/// What this process has used so far, in user and in system mode.
fn cpu_time() -> anyhow::Result<Duration> {
    Ok(clock_gettime(ClockId::ProcessCPUTime).try_into()?)
}

/// Quantiles of a histogram of nanoseconds, in whole microseconds.
fn print_quantiles(name: &str, histogram: &Histogram) {
    let us = |quantile| histogram.value_at_quantile(quantile) / 1_000;
    println!(
        "{name}: p50 {} µs, p99 {} µs, p99.9 {} µs, max {} µs",
        us(0.5),
        us(0.99),
        us(0.999),
        histogram.max() / 1_000
    );
}
