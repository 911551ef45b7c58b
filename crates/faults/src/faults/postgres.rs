//! PostgreSQL itself.

use std::time::Duration;

use anyhow::{Context, Result};
use harkara_testkit::PostgresStop;
use tokio::time::sleep;

use crate::environment::Environment;
use crate::finding::Finding;

const RESTARTS: u32 = 3;

/// The longest time from receipt to commit of an event whose table is not locked: the promised second, and time
/// for a machine that also runs the servers, the links and the load.
const UNAFFECTED_MAX: Duration = Duration::from_millis(2_500);

/// PostgreSQL crashes and recovers: deliveries accumulate in the streams, and no attempt is counted.
pub(super) async fn killed(environment: &mut Environment) -> Result<Finding> {
    let outage = environment.scale.outage;
    let load = environment.load(outage).await?;
    environment.postgres.stop(PostgresStop::Kill).await;
    sleep(outage).await;
    environment.postgres.resume().await;
    environment.audit(load).await
}

/// An operator restarts PostgreSQL: every session ends, and workers reconnect.
pub(super) async fn restarted(environment: &mut Environment) -> Result<Finding> {
    let lasts = environment.scale.fault;
    let load = environment.load(lasts).await?;
    for _ in 0..RESTARTS {
        environment.postgres.stop(PostgresStop::Fast).await;
        environment.postgres.resume().await;
        sleep(lasts / RESTARTS).await;
    }
    environment.audit(load).await
}

/// PostgreSQL turns read-only, as a former primary does: workers keep their claims and wait.
pub(super) async fn read_only(environment: &mut Environment) -> Result<Finding> {
    let lasts = environment.scale.fault;
    let load = environment.load(lasts).await?;
    let configure = |environment: &Environment, settings| {
        let postgres = &environment.postgres;
        postgres.write_file("postgresql.auto.conf", settings);
        postgres.reload();
    };
    configure(environment, "default_transaction_read_only = on\n");
    sleep(lasts).await;
    let backlog = environment.backlog().await?;
    configure(environment, "");
    let finding = environment.audit(load).await?;
    Ok(finding.require_backlog(backlog))
}

/// Somebody locks one table: its events wait in the ledger, and those of other tables are processed as ever.
pub(super) async fn one_table_locked(environment: &mut Environment) -> Result<Finding> {
    let lasts = environment.scale.fault;
    let load = environment.load(lasts).await?;
    let lock = environment.lock("payment_orders").await?;
    sleep(lasts).await;
    let (postponed, slowest) = lock.ledger_meanwhile().await?;
    lock.release().await?;
    let finding = environment.audit(load).await?;
    let problem = format!("an event of another table was processed after {slowest:.1?}");
    Ok(finding
        .require(postponed > 0, "no event had to wait for the table")
        .require(slowest <= UNAFFECTED_MAX, problem))
}

/// PostgreSQL has no room for its tables or its log: deliveries accumulate in the streams until it has.
pub(super) async fn disk_full(environment: &mut Environment) -> Result<Finding> {
    let lasts = environment.scale.fault;
    let load = environment.load(lasts).await?;
    let disk = environment.disk.as_ref();
    let disk = disk.context("there is no small disk")?;
    disk.fill()?;
    sleep(lasts).await;
    disk.clear()?;
    // A server that could not write its log has ended, and its operator starts it again.
    environment.postgres.resume_if_ended().await;
    let finding = environment.audit(load).await?;
    let log = environment.postgres.log();
    let was_full = log.contains("No space left on device");
    Ok(finding.require(was_full, "PostgreSQL never ran out of disk"))
}
