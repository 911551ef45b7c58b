//! An append that writes nothing: whether Redis would take a real one.

use std::time::Duration;

use harkara_core::lane::Lane;
use harkara_runtime::redis::{Pool, ServerProblem, address, connect_blocking};
use harkara_runtime::settings::RedisSettings;
use redis::Cmd;
use redis::aio::MultiplexedConnection;

use crate::append::{Confirmation, Confirmations};

/// 0 would be for ever.
const WAIT_MS: u64 = 1;

/// Checks before the start that the user of the URL may append, and may use whatever commands confirm the
/// levels of the lanes. Other refusals (memory, a failover) pass, and are for readiness to tell of.
pub(crate) async fn check_permission(
    settings: &RedisSettings,
    confirmations: &Confirmations,
) -> Result<(), ServerProblem> {
    let address = address(settings);
    let asked = async {
        let mut connection = connect_blocking(settings, Duration::ZERO).await?;
        if confirmations.are_grouped() {
            // One by one: in a pipeline, a refused MULTI would leave the appends outside a transaction.
            redis::cmd("MULTI").exec_async(&mut connection).await?;
            redis::cmd("EXEC").exec_async(&mut connection).await?;
        }
        for wait in waits_of_nothing(confirmations) {
            wait.exec_async(&mut connection).await?;
        }
        rehearsal(settings.partition)
            .exec_async(&mut connection)
            .await
    };
    match asked
        .await
        .map_err(|error| ServerProblem::of(&address, error))
    {
        Err(problem @ ServerProblem::NotPermitted { .. }) => Err(problem),
        Err(problem) => {
            tracing::warn!(%problem, "Redis does not take deliveries at present.");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Whether Redis takes appends at present, and if not, why.
pub(crate) async fn takes_appends(pool: &Pool, partition: u16) -> Result<(), String> {
    let mut connection = pool.get().await.map_err(|error| error.to_string())?;
    takes_appends_over(&mut connection, partition).await
}

/// The same over a connection that there is.
pub(crate) async fn takes_appends_over(
    connection: &mut MultiplexedConnection,
    partition: u16,
) -> Result<(), String> {
    rehearsal(partition)
        .exec_async(connection)
        .await
        .map_err(|error| error.to_string())
}

/// The waits that confirm the levels, asking for no copy at all, so that they are answered at once.
fn waits_of_nothing(confirmations: &Confirmations) -> Vec<Cmd> {
    let mut waits = Vec::new();
    for lane in Lane::ALL {
        if let Confirmation::Wait { fsync, replicas } = confirmations.confirmation(lane) {
            if fsync {
                let mut wait = redis::cmd("WAITAOF");
                waits.push(wait.arg(0).arg(0).arg(WAIT_MS).take());
            }
            if replicas > 0 {
                let mut wait = redis::cmd("WAIT");
                waits.push(wait.arg(0).arg(WAIT_MS).take());
            }
        }
    }
    waits
}

/// An append to a stream that does not exist, and that the append must not create: Redis answers
/// with nothing and writes nothing, but first checks all that a real append needs: memory,
/// permission, that it is no replica, that it can persist and has loaded its data.
fn rehearsal(partition: u16) -> Cmd {
    let mut command = redis::cmd("XADD");
    command
        .arg(format!("harkara:{{{partition}}}:rehearsal"))
        .arg(&["NOMKSTREAM", "*", "f", "v"]);
    command
}
