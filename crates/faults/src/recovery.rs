//! How long the pipeline needed, once a fault was over, until everything from before was processed.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use tokio_postgres::{Client, NoTls};

/// From `ended` until all that was received by then was processed; nothing where it was before.
pub(crate) async fn after(postgres_url: &str, ended: SystemTime) -> Result<Duration> {
    let row = connect(postgres_url)
        .await?
        .query_one(
            "SELECT max(processed_at) FROM webhook_events WHERE created_at <= $1",
            &[&ended],
        )
        .await?;
    let last: Option<SystemTime> = row.get(0);
    let last = last.context("nothing was received before the fault ended")?;
    Ok(last.duration_since(ended).unwrap_or_default())
}

/// A connection for looking into the database.
pub(crate) async fn connect(postgres_url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(postgres_url, NoTls)
        .await
        .context("PostgreSQL does not answer")?;
    // The task ends with the client, and an error is what the query says next.
    tokio::spawn(connection);
    Ok(client)
}
