//! One query to a server, within a bound.

use std::error::Error;
use std::time::Duration;

use harkara_core::causes::with_causes;
use tokio::time::timeout;

/// Longest wait for a probe, whatever the settings allow a process: an answer that takes longer is a finding.
pub(super) const PROBE_MAX: Duration = Duration::from_secs(8);

/// Returns the answer, or in one line why there is none.
pub(super) async fn within<T, E: Error + 'static>(
    probe: impl Future<Output = Result<T, E>>,
) -> Result<T, String> {
    match timeout(PROBE_MAX, probe).await {
        Ok(answer) => answer.map_err(|error| with_causes(&error)),
        Err(_) => Err(format!("no answer within {} s", PROBE_MAX.as_secs())),
    }
}
