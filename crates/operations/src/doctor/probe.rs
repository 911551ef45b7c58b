//! One question to a server, within a bound.

use std::error::Error;
use std::time::Duration;

use harkara_core::causes::with_causes;
use tokio::time::timeout;

/// The longest that a probe may take, whatever the settings allow a process: who waits for this command
/// wants to know, and an answer that takes so long is a finding.
pub(super) const PROBE_MAX: Duration = Duration::from_secs(8);

/// The answer, or in one line why there is none.
pub(super) async fn within<T, E: Error + 'static>(
    probe: impl Future<Output = Result<T, E>>,
) -> Result<T, String> {
    match timeout(PROBE_MAX, probe).await {
        Ok(answered) => answered.map_err(|error| with_causes(&error)),
        Err(_) => Err(format!("no answer within {} s", PROBE_MAX.as_secs())),
    }
}
