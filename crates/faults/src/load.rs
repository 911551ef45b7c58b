//! `harkara load`, which delivers while a fault lasts and audits afterwards.

use std::collections::BTreeMap;
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use tokio::process::{Child, Command};

use crate::environment::{Environment, SECRET};

/// Shares of the deliveries, in percent, that are sent twice, late, and with a wrong signature.
const DUPLICATES_PERCENT: u32 = 3;
const REORDERED_PERCENT: u32 = 3;
const BAD_SIGNATURES_PERCENT: u32 = 1;

/// How often a delivery without a 2xx is sent again. Razorpay retries for a day, which a run does not have.
const RETRIES: u32 = 300;

/// Maximum connections: as many as are busy at the long form's rate if every answer takes its full 3.4 seconds,
/// and some more, so that no wait for a connection is measured.
const CONNECTIONS: u32 = 8_000;

/// How long after their claims have expired entries of dead workers may be in progress.
const LATE: Duration = Duration::from_secs(2);

/// A running load.
pub(crate) struct Load(Child);

/// The outcome of the deliveries, as `harkara load --json` reports it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct LoadVerdict {
    pub(crate) sent: u64,
    pub(crate) accepted: u64,
    /// By status.
    pub(crate) refused: BTreeMap<String, u64>,
    pub(crate) unanswered: u64,
    pub(crate) unsent: u64,
    /// Problems of the answers.
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

/// The audit of the ledger and the tables.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Audit {
    pub(crate) unprocessed: u64,
    pub(crate) lost: u64,
    pub(crate) altered: u64,
    pub(crate) doubled: u64,
    pub(crate) refused_stored: u64,
    /// Deliveries in the ledger by level of durability.
    pub(crate) durability: BTreeMap<String, u64>,
    /// Problems of the ledger and the tables.
    pub(crate) faults: Vec<String>,
}

impl Audit {
    /// Deliveries in the ledger with this level of durability.
    pub(crate) fn with_durability(&self, level: &str) -> u64 {
        self.durability.get(level).copied().unwrap_or_default()
    }
}

impl Load {
    /// Delivers to an environment's ingress for this long.
    pub(crate) fn start(environment: &Environment, duration: Duration) -> Result<Self> {
        let scale = environment.scale;
        let url = format!("http://{}/webhooks/razorpay", environment.front.address());
        let milliseconds = |duration: Duration| format!("{}ms", duration.as_millis());
        let harkara = &environment.builder.binaries.harkara;
        let child = Command::new(harkara)
            .args(["load", "--json", "--url", &url, "--secret", SECRET])
            .args(["--seed", &environment.seed.to_string()])
            .args(["--rate", &scale.rate_per_s.to_string()])
            .args(["--duration", &milliseconds(duration)])
            .args(["--connections", &CONNECTIONS.to_string()])
            .args(["--settle", &milliseconds(scale.settle)])
            .args(["--again-after", &milliseconds(scale.claim_idle + LATE)])
            .args(["--duplicates", &DUPLICATES_PERCENT.to_string()])
            .args(["--reorder", &REORDERED_PERCENT.to_string()])
            .args(["--bad-signatures", &BAD_SIGNATURES_PERCENT.to_string()])
            .args(["--retries", &RETRIES.to_string()])
            .args(["--retry-after", &milliseconds(scale.retry_after)])
            .env_clear()
            .env("HARKARA__POSTGRES__URL", environment.postgres.url())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", harkara.display()))?;
        Ok(Self(child))
    }

    /// Waits until everything is sent and audited.
    pub(crate) async fn verdict(self) -> Result<LoadVerdict> {
        let Output {
            status,
            stdout,
            stderr,
        } = self.0.wait_with_output().await?;
        let stderr = String::from_utf8_lossy(&stderr);
        // 1 is a verdict too: something was lost. It is judged with the rest.
        let has_verdict = matches!(status.code(), Some(0 | 1));
        ensure!(has_verdict, "harkara load ended with {status}:\n{stderr}");
        serde_json::from_slice(&stdout)
            .with_context(|| format!("harkara load printed no verdict ({status}):\n{stderr}"))
    }
}
