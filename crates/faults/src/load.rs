//! `harkara load`, which delivers while a fault lasts and audits afterwards.

use std::collections::BTreeMap;
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tokio::process::{Child, Command};

/// Parts of the deliveries, in percent, that come twice, late, and with a wrong signature.
const DUPLICATES_PERCENT: u32 = 3;
const REORDERED_PERCENT: u32 = 3;
const BAD_SIGNATURES_PERCENT: u32 = 1;

/// How often a delivery is sent again that got no 2xx. Razorpay does so for a day; a run has no day.
const RETRIES: u32 = 300;

/// Most connections: at the long form's rate as many as are busy while every answer takes its full two
/// seconds, and some more, so that what is measured is not a wait for a connection.
const CONNECTIONS: u32 = 5_000;

/// A load under way.
pub(crate) struct Load(Child);

/// What is to be delivered where.
pub(crate) struct Order<'a> {
    pub(crate) harkara: &'a std::path::Path,
    pub(crate) url: String,
    pub(crate) secret: &'a str,
    pub(crate) postgres_url: &'a str,
    pub(crate) seed: u64,
    pub(crate) rate_per_s: u32,
    pub(crate) duration: Duration,
    pub(crate) settle: Duration,
    pub(crate) again_after: Duration,
    pub(crate) retry_after: Duration,
}

/// What became of the deliveries, as `harkara load --json` tells it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Verdict {
    pub(crate) sent: u64,
    pub(crate) accepted: u64,
    /// By status.
    pub(crate) refused: BTreeMap<String, u64>,
    pub(crate) unanswered: u64,
    pub(crate) unsent: u64,
    /// What of the answers fails the run.
    pub(crate) faults: Vec<String>,
    pub(crate) never_accepted: u64,
    pub(crate) latency_ms: Latency,
    pub(crate) longest_refusal_ms: f64,
    pub(crate) slowest_refusal_ms: f64,
    pub(crate) audit: Audit,
    pub(crate) passed: bool,
}

/// From the instant at which a delivery was due to its answer, in milliseconds.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

/// What the ledger and the tables hold.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Audit {
    pub(crate) unprocessed: u64,
    pub(crate) lost: u64,
    pub(crate) altered: u64,
    pub(crate) doubled: u64,
    pub(crate) refused_stored: u64,
    /// How many deliveries the ledger has of each level of durability.
    pub(crate) durability: BTreeMap<String, u64>,
    pub(crate) faults: Vec<String>,
}

impl Load {
    pub(crate) fn start(order: &Order<'_>) -> Result<Self> {
        let child = Command::new(order.harkara)
            .arg("load")
            .args(["--url", &order.url, "--secret", order.secret])
            .args(["--seed", &order.seed.to_string()])
            .args(["--rate", &order.rate_per_s.to_string()])
            .args(["--duration", &milliseconds(order.duration)])
            .args(["--connections", &CONNECTIONS.to_string()])
            .args(["--settle", &milliseconds(order.settle)])
            .args(["--again-after", &milliseconds(order.again_after)])
            .args(["--duplicates", &DUPLICATES_PERCENT.to_string()])
            .args(["--reorder", &REORDERED_PERCENT.to_string()])
            .args(["--bad-signatures", &BAD_SIGNATURES_PERCENT.to_string()])
            .args(["--retries", &RETRIES.to_string()])
            .args(["--retry-after", &milliseconds(order.retry_after), "--json"])
            .env_clear()
            .env("HARKARA__POSTGRES__URL", order.postgres_url)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} cannot be started", order.harkara.display()))?;
        Ok(Self(child))
    }

    /// Waits until all is sent and audited.
    pub(crate) async fn verdict(self) -> Result<Verdict> {
        let Output {
            status,
            stdout,
            stderr,
        } = self.0.wait_with_output().await?;
        let told = String::from_utf8_lossy(&stderr);
        // 1 is a verdict too: that something was lost. It is judged with the rest.
        if !matches!(status.code(), Some(0 | 1)) {
            bail!("harkara load ended with {status}:\n{told}");
        }
        serde_json::from_slice(&stdout)
            .with_context(|| format!("harkara load gave no verdict ({status}):\n{told}"))
    }
}

fn milliseconds(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}
