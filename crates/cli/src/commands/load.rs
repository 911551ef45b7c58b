//! `harkara load`: load like Razorpay's, and a verification of its effects.

mod mix;

mod page;

mod progress;

mod verdict;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, Utc};
use clap::Args;
use futures_util::future::try_join_all;
use harkara_core::causes::with_causes;
use harkara_core::endpoint::EndpointName;
use harkara_core::secret::Secret;
use harkara_load::{
    Bursts, Contents, Corpus, DeliverOptions, Delivered, Injected, LoadPlan, LoadTarget, Pace,
    TIMEOUT_MAX, deliver,
};
use harkara_operations::verification::{Expected, Patience, SentDelivery, Verification, verify};
use harkara_settings::Settings;
use harkara_storage::{Pool, StorageError};
use humantime::parse_duration;
use tokio::signal::ctrl_c;

use crate::arguments::{now, secret};
use crate::commands::receiver::{signing_secret, url_of};
use crate::exit::{Ending, UsageError};
use crate::output;
use harkara_operations::database;
use progress::Progress;
use verdict::LoadVerdict;

/// Percentage of deliveries signed with the old secret unless given.
const OLD_SECRETS_USUAL: f64 = 10.0;

/// Sends load as Razorpay would, and verifies its effects
///
/// Signed deliveries go out at a fixed rate, regardless of how fast the ingress answers; latency
/// counts from when each was due. Then the database is compared: every 2xx must be in the ledger
/// with the same bytes and processed, every effect must be there once, and bad signatures must have
/// left nothing. Prints a verdict, and fails if anything was lost, altered or doubled. Refusals
/// such as 503 are counted but are no failure: Razorpay would send again, as --retries does.
///
/// Every run has new ids, so runs may share a database. Ctrl-C stops sending and continues with the
/// verdict; a second one stops waiting for the workers.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct LoadOptions {
    /// Where to send; may be repeated to take turns [default: this machine's ingress, by its settings]
    #[arg(long = "url", value_name = "URL")]
    urls: Vec<String>,

    /// The secret to sign with [default: the newest of the endpoint `default` in the settings]
    #[arg(long, value_parser = secret)]
    secret: Option<Secret>,

    /// Deliveries per second
    #[arg(long, value_name = "N", default_value_t = 200.0)]
    rate: f64,

    /// How long to send
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration)]
    duration: Duration,

    /// `realistic`, `payments`, or events with their weights: payment.captured=5,refund.processed=1
    #[arg(long, value_name = "MIX", default_value = "realistic", value_parser = mix::contents)]
    mix: Contents,

    /// Makes contents and order reproducible [default: random, and printed]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Maximum number of connections; deliveries that wait for one count that as latency
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = connections)]
    connections: usize,

    /// How long to wait for an answer; Razorpay waits 5 s
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = answer_wait)]
    timeout: Duration,

    /// Percentage of requests that resend an earlier delivery within a second
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    duplicates: f64,

    /// Percentage of deliveries that swap places with one up to a second later
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    reorder: f64,

    /// Percentage of deliveries with a wrong, malformed or missing signature; each must get 401
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    bad_signatures: f64,

    /// The secret before the last rotation, which the ingress must still accept
    #[arg(long, value_name = "SECRET", value_parser = secret)]
    old_secret: Option<Secret>,

    /// Percentage of deliveries signed with the old secret [default: 10 with --old-secret]
    #[arg(long, value_name = "PERCENT", requires = "old_secret", value_parser = percent)]
    old_secrets: Option<f64>,

    /// Percentage of deliveries sent in pieces over 0.4 s; they do not count as latency
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    slow: f64,

    /// Raises the rate in the last second of each such interval
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    burst_every: Option<Duration>,

    /// Factor by which a burst raises the rate
    #[arg(
        long,
        value_name = "N",
        default_value_t = 5.0,
        requires = "burst_every"
    )]
    burst_factor: f64,

    /// Maximum number of times to resend a delivery without a 2xx
    #[arg(long, value_name = "N", default_value_t = 0)]
    retries: u32,

    /// Delay before a retry
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = parse_duration)]
    retry_after: Duration,

    /// How long to wait until everything is processed
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_duration)]
    settle: Duration,

    /// Compares again this long after a clean comparison: entries of killed workers are processed a
    /// second time after `worker.claim_idle_ms`
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = parse_duration)]
    again_after: Duration,

    /// Skips the comparison with the database; the verdict covers the answers only
    #[arg(long)]
    no_audit: bool,

    /// Prints one JSON document: an object
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  harkara load
  harkara load --rate 2000 --duration 1m --duplicates 5 --reorder 10 --bad-signatures 2
  harkara load --mix payment.captured=5,refund.processed=1 --slow 2 --burst-every 10s
  harkara load --url http://10.0.0.7:8080/webhooks/razorpay --url http://10.0.0.8:8080/webhooks/razorpay
  harkara load --retries 20 --json --seed 7";

/// Sends, verifies, and prints the verdict.
pub(crate) async fn run(settings: &Settings, options: &LoadOptions) -> anyhow::Result<Ending> {
    let (urls, targets) = targets(settings, options).await?;
    let is_loopback = |target: &LoadTarget| target.address.ip().is_loopback();
    let secret = signing_secret(
        settings,
        &EndpointName::default_name(),
        options.secret.as_ref(),
        targets.iter().all(is_loopback),
    )?;
    let seed = options.seed.unwrap_or_else(|| rand::random::<u32>().into());
    let plan = LoadPlan::new(&options.pace()?, &options.injected(), seed)
        .map_err(|error| UsageError(format!("{error}; give a lower --rate or --duration")))?;
    let pool = if options.no_audit {
        None
    } else {
        Some(database::pool(&settings.postgres)?)
    };
    if let Some(pool) = &pool
        && let Err(error) = pool.ping().await
    {
        output::note(format!(
            "PostgreSQL is unavailable ({error}); comparing later."
        ));
    }

    let progress = Progress::new(plan.requests.len());
    progress.line("building and signing the deliveries");
    let began = now();
    let corpus = Arc::new(Corpus::prepare_run(
        &options.mix,
        plan.deliveries,
        &secret,
        seed,
        rand::random(),
        began.timestamp(),
    ));
    progress.begin(seed, &plan);
    let delivered = send(options, targets, &corpus, &plan, &progress).await?;
    let audit = match &pool {
        Some(pool) => Some(audit(pool, options, &corpus, &delivered, began, &progress).await),
        None => None,
    };
    progress.end();
    let verdict = LoadVerdict::new(seed, options, &delivered, audit);
    output::report(options.json, &verdict, |verdict| {
        Ok(page::print(verdict, &urls)?)
    })?;
    Ok(Ending::of(verdict.passed))
}

/// The URLs of the options, else that of the settings, and what they resolve to.
async fn targets(
    settings: &Settings,
    options: &LoadOptions,
) -> Result<(Vec<String>, Vec<LoadTarget>), UsageError> {
    let mut urls = options.urls.clone();
    if urls.is_empty() {
        let endpoint = EndpointName::default_name();
        urls.push(url_of(settings.ingress.bind, &endpoint)?);
    }
    let targets = try_join_all(urls.iter().map(|url| LoadTarget::resolve(url))).await;
    let targets = targets.map_err(|error| UsageError(with_causes(&error)))?;
    Ok((urls, targets))
}

/// Verifies what was sent; Ctrl-C ends the wait for the workers.
async fn audit(
    pool: &Pool,
    options: &LoadOptions,
    corpus: &Corpus,
    delivered: &Delivered,
    began: DateTime<Utc>,
    progress: &Progress,
) -> Result<Verification, StorageError> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let on_signal = Arc::clone(&interrupted);
    tokio::spawn(async move {
        if ctrl_c().await.is_ok() {
            on_signal.store(true, Ordering::Relaxed);
        }
    });
    let outcomes = delivered.outcomes.iter().enumerate();
    let sent = outcomes
        .filter(|(_, outcome)| outcome.sent)
        .map(|(at, outcome)| {
            let delivery = corpus.delivery(at);
            let expected = match (outcome.bad, outcome.accepted) {
                (true, _) => Expected::Nothing,
                (false, true) => Expected::Stored,
                (false, false) => Expected::Unknown,
            };
            SentDelivery::new(delivery.event_id, delivery.body, expected)
        });
    let sent: Vec<SentDelivery<'_>> = sent.collect();
    let patience = Patience {
        settle: options.settle,
        again_after: options.again_after,
        interrupted: &interrupted,
    };
    verify(pool, &sent, began, patience, |step| {
        progress.verifying(step);
    })
    .await
}

async fn send(
    options: &LoadOptions,
    targets: Vec<LoadTarget>,
    corpus: &Arc<Corpus>,
    plan: &LoadPlan,
    progress: &Progress,
) -> anyhow::Result<Delivered> {
    let options = DeliverOptions {
        connections_max: options.connections,
        timeout: options.timeout,
        retries: options.retries,
        retry_after: options.retry_after,
        old_secret: options.old_secret.clone(),
    };
    let stop = async {
        // Without a handler Ctrl-C ends the process, which also stops the sending.
        if ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let sending = deliver(targets, corpus, plan, options, stop, |sent| {
        progress.sending(&sent);
    });
    sending.await.context("the load cannot be sent")
}

impl LoadOptions {
    fn pace(&self) -> Result<Pace, UsageError> {
        let bursts = self.burst_every.map(|every| Bursts {
            every,
            factor: self.burst_factor,
        });
        if self.duration.is_zero() || self.burst_every.is_some_and(|every| every.is_zero()) {
            return Err(UsageError(
                "--duration and --burst-every must be above 0".to_owned(),
            ));
        }
        Ok(Pace {
            rate_per_s: self.rate,
            duration: self.duration,
            bursts,
        })
    }

    fn injected(&self) -> Injected {
        let usual = self.old_secret.as_ref().map_or(0.0, |_| OLD_SECRETS_USUAL);
        Injected {
            duplicates: self.duplicates,
            reordered: self.reorder,
            bad_signatures: self.bad_signatures,
            old_secret: self.old_secrets.unwrap_or(usual),
            slow: self.slow,
        }
    }
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse();
    number
        .ok()
        .filter(|percent| (0.0..=100.0).contains(percent))
        .ok_or_else(|| "expected a number from 0 to 100".to_owned())
}

fn connections(text: &str) -> Result<usize, String> {
    const CONNECTIONS_MAX: usize = 50_000;
    let number = text.parse().ok();
    number
        .filter(|number| (1..=CONNECTIONS_MAX).contains(number))
        .ok_or_else(|| format!("expected a number from 1 to {CONNECTIONS_MAX}"))
}

fn answer_wait(text: &str) -> Result<Duration, String> {
    let wait = parse_duration(text).map_err(|error| error.to_string())?;
    if wait.is_zero() || wait > TIMEOUT_MAX {
        return Err(format!(
            "a timeout must be above 0 and at most {} s",
            TIMEOUT_MAX.as_secs()
        ));
    }
    Ok(wait)
}
