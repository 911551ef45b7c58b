//! Checks Redis before the start.

use harkara_core::causes::with_causes;
use harkara_settings::{IngressSettings, RedisSettings};
use harkara_streams::append::FSYNC_WAIT_MAX;
use harkara_streams::fitness::{CheckError, Unfit};
use harkara_streams::{
    Confirmations, Deployment, ServerProblem, address, check_server_over, connect_to_check,
    rehearse,
};

use super::Reason;
use crate::start_error::StartError;

/// Returns what confirms the levels. Refuses the start for a problem that only an operator can solve.
///
/// If the inbox can stand in for Redis, a problem that may pass is the inner error, and the health check
/// takes over. So are the streams of another deployment: whoever is at fault, these deliveries must not be lost.
pub(crate) async fn startup_check(
    deployment: &Deployment,
    redis: &RedisSettings,
    ingress: &IngressSettings,
) -> Result<Result<Confirmations, Reason>, StartError> {
    let has_inbox = ingress.inbox_connections_max > 0;
    let reason: Reason = match check(deployment, redis, ingress).await {
        Err(StartError::Redis(problem)) if has_inbox && may_pass(&problem) => {
            CheckError::Server(problem).into()
        }
        Err(StartError::Foreign(foreign)) if has_inbox => Unfit::Foreign { foreign }.into(),
        found => return found.map(Ok),
    };
    tracing::error!(
        reason = with_causes(&reason),
        "Redis unavailable; starting with the inbox in PostgreSQL."
    );
    Ok(Err(reason))
}

fn may_pass(problem: &ServerProblem) -> bool {
    use ServerProblem::{Loading, Misbehaves, SilentOverTls, Unreachable};
    matches!(
        problem,
        Unreachable { .. } | SilentOverTls { .. } | Loading { .. } | Misbehaves { .. }
    )
}

async fn check(
    deployment: &Deployment,
    redis: &RedisSettings,
    ingress: &IngressSettings,
) -> Result<Confirmations, StartError> {
    let mut connection = connect_to_check(redis).await?;
    let server = check_server_over(&mut connection, redis).await?;
    server.log();
    let confirmations = Confirmations::of(ingress, &server)?;
    if confirmations.wait_for_fsync() && ingress.append_timeout < FSYNC_WAIT_MAX {
        tracing::warn!(
            append_timeout_ms = ingress.append_timeout.as_millis(),
            needed_ms = FSYNC_WAIT_MAX.as_millis(),
            "Redis fsyncs every second, and ingress.append_timeout_ms is too short to wait for it; set appendfsync always, or allow more time."
        );
    }
    let problem = |error| ServerProblem::of(&address(redis), error);
    let claimed = deployment.claim_streams_over(&mut connection).await;
    if let Err(foreign) = claimed.map_err(problem)? {
        return Err(StartError::Foreign(foreign));
    }
    let rehearsed = rehearse(&mut connection, &redis.keys, &confirmations).await;
    match rehearsed.map_err(problem) {
        Err(problem @ ServerProblem::NotPermitted { .. }) => return Err(problem.into()),
        // Other refusals (memory, a failover) may pass; readiness reports them.
        Err(problem) => tracing::warn!(%problem, "Redis does not take deliveries."),
        Ok(()) => {}
    }
    Ok(confirmations)
}
