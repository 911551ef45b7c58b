//! What Redis is found to be before the start.

use harkara_core::causes::with_causes;
use harkara_settings::{IngressSettings, RedisSettings};
use harkara_streams::{ServerProblem, address, check_server_over, connect_to_check, rehearse};

use crate::app::StartError;
use harkara_streams::Confirmations;
use harkara_streams::append::FSYNC_WAIT_MAX;

/// What confirms the levels. Where the inbox can stand in for a Redis that is away, or not ready yet, the
/// inner error says why it could not be found out; the watch then does. What no waiting mends is refused.
pub(crate) async fn startup_check(
    redis: &RedisSettings,
    ingress: &IngressSettings,
) -> Result<Result<Confirmations, String>, StartError> {
    use ServerProblem::{Loading, Misbehaves, SilentOverTls, Unreachable};
    match look(redis, ingress).await {
        Err(StartError::Redis(
            problem @ (Unreachable { .. }
            | SilentOverTls { .. }
            | Loading { .. }
            | Misbehaves { .. }),
        )) if ingress.inbox_connections_max > 0 => {
            let reason = with_causes(&problem);
            tracing::error!(
                reason,
                "Redis cannot be asked; starting all the same, with the inbox in PostgreSQL."
            );
            Ok(Err(reason))
        }
        found => found.map(Ok),
    }
}

async fn look(
    redis: &RedisSettings,
    ingress: &IngressSettings,
) -> Result<Confirmations, StartError> {
    let of_server = |error| ServerProblem::of(&address(redis), error);
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
    // Other refusals than of the permission (memory, a failover) pass, and are for readiness to tell of.
    match rehearse(&mut connection, redis.partition, &confirmations)
        .await
        .map_err(of_server)
    {
        Err(problem @ ServerProblem::NotPermitted { .. }) => return Err(problem.into()),
        Err(problem) => tracing::warn!(%problem, "Redis does not take deliveries at present."),
        Ok(()) => {}
    }
    Ok(confirmations)
}
