//! Waiting until streams and queues are drained.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A backlog that has not shrunk for this long is stuck.
const STUCK: Duration = Duration::from_mins(1);

/// When a backlog began to shrink, and when it was gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drained {
    /// What was gone at the first look that found anything gone.
    pub(crate) gone_at_first: usize,
    /// From that look to the one that found nothing left.
    pub(crate) elapsed: Duration,
}

/// Looks at a backlog of `n` until nothing is left of it.
pub(crate) async fn watch(
    n: usize,
    mut left: impl AsyncFnMut() -> Result<usize>,
) -> Result<Drained> {
    let mut first: Option<(Instant, usize)> = None;
    let (mut least, mut shrank_at) = (n, Instant::now());
    loop {
        let left = left().await?;
        let now = Instant::now();
        if left < n && first.is_none() {
            first = Some((now, n - left));
        }
        if left < least {
            (least, shrank_at) = (left, now);
        }
        if left == 0 {
            let (began, gone_at_first) = first.unwrap_or((now, n));
            return Ok(Drained {
                gone_at_first,
                elapsed: now - began,
            });
        }
        if now - shrank_at > STUCK {
            bail!("{left} of {n} are left and nothing happens any more");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
