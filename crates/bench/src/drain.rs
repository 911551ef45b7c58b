//! Waiting until streams and queues are drained.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

/// Time between two samples.
const SAMPLE_EVERY: Duration = Duration::from_millis(20);

/// A backlog that has not shrunk for this long is stuck.
const STUCK: Duration = Duration::from_mins(1);

/// Waits until a backlog of `n` is drained; returns how many per second left it after the first sample that
/// found any gone.
pub(crate) async fn drain_rate(
    n: usize,
    mut left: impl AsyncFnMut() -> Result<usize>,
) -> Result<f64> {
    let mut first: Option<(Instant, usize)> = None;
    let (mut least, mut shrank_at) = (n, Instant::now());
    loop {
        let left = left().await?;
        let now = Instant::now();
        if left < n {
            first.get_or_insert((now, left));
        }
        if left < least {
            (least, shrank_at) = (left, now);
        }
        if left == 0 {
            let (began, left_at_first) = first.unwrap_or((now, 0));
            return Ok(crate::figures::rate(left_at_first, now - began));
        }
        let is_stuck = now - shrank_at > STUCK;
        ensure!(
            !is_stuck,
            "{left} of {n} are left, and nothing happens any more"
        );
        tokio::time::sleep(SAMPLE_EVERY).await;
    }
}
