//! The private PostgreSQL. The benchmark works in a database of its own there, made anew for each run.

use anyhow::{Context, Result};
use tokio_postgres::{Client, NoTls};

use crate::process::{self, Pid};

/// The server, and a connection for making databases.
pub(crate) struct Server {
    url: String,
    /// The process from which all others of the server descend.
    pub(crate) pid: Pid,
    client: Client,
    name: String,
}

/// A database, and a connection for looking into it.
pub(crate) struct Database {
    pub(crate) url: String,
    pub(crate) client: Client,
}

impl Server {
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        let client = connect(url).await?;
        Ok(Self {
            url: url.to_owned(),
            pid: postmaster(&client).await?,
            client,
            name: format!("harkara_bench_{}", std::process::id()),
        })
    }

    /// An empty database, which later runs copy once it is migrated.
    pub(crate) async fn make_template(&self) -> Result<String> {
        let template = self.template();
        self.execute(&format!("CREATE DATABASE {template}")).await?;
        Ok(url_of(&self.url, &template))
    }

    /// A database like the template. The one of the run before is gone, and nothing of it is left
    /// to be written: both steps are checkpoints. (PostgreSQL itself waits for connections that are
    /// closing and ends its own vacuuming; `FORCE` would need a role that may end it.)
    pub(crate) async fn fresh(&self) -> Result<Database> {
        let (name, template) = (&self.name, self.template());
        self.execute(&format!("DROP DATABASE IF EXISTS {name}"))
            .await?;
        self.execute(&format!(
            "CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"
        ))
        .await?;
        let url = url_of(&self.url, name);
        let client = connect(&url).await?;
        Ok(Database { url, client })
    }

    /// Removes what the benchmark made.
    pub(crate) async fn remove(&self) -> Result<()> {
        for name in [&self.name, &self.template()] {
            self.execute(&format!("DROP DATABASE IF EXISTS {name}"))
                .await?;
        }
        Ok(())
    }

    /// How many bytes of write-ahead log there have been.
    pub(crate) async fn wal_bytes(&self) -> Result<u64> {
        let row = self
            .client
            .query_one("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint", &[])
            .await
            .context("PostgreSQL does not tell its position")?;
        Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or_default())
    }

    /// A setting of the server.
    pub(crate) async fn setting(&self, name: &str) -> Result<String> {
        let row = self
            .client
            .query_one("SELECT coalesce(current_setting($1, true), '')", &[&name])
            .await?;
        Ok(row.get(0))
    }

    fn template(&self) -> String {
        format!("{}_template", self.name)
    }

    async fn execute(&self, sql: &str) -> Result<()> {
        let done = self.client.batch_execute(sql).await;
        done.with_context(|| format!("PostgreSQL refused: {sql}"))
    }
}

impl Database {
    /// The one number that a query gives.
    pub(crate) async fn number(&self, sql: &str) -> Result<i64> {
        let row = self.client.query_one(sql, &[]).await;
        Ok(row
            .with_context(|| format!("PostgreSQL refused: {sql}"))?
            .get(0))
    }
}

/// The process from which the server's others descend, where it runs on this machine.
async fn postmaster(client: &Client) -> Result<Pid> {
    let row = client.query_one("SELECT pg_backend_pid()", &[]).await?;
    let backend = Pid::try_from(row.get::<_, i32>(0)).context("a process number is positive")?;
    process::parent_of(backend).context("PostgreSQL does not run on this machine")
}

/// A connection to a database.
pub(crate) async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .context("PostgreSQL does not answer")?;
    // The task ends with the client. A connection that breaks is told of by what the client says next.
    tokio::spawn(connection);
    Ok(client)
}

/// The URL of another database on the same server.
fn url_of(url: &str, database: &str) -> String {
    let (base, parameters) = url.split_once('?').unwrap_or((url, ""));
    let server = base.rsplit_once('/').map_or(base, |(server, _)| server);
    let mark = if parameters.is_empty() { "" } else { "?" };
    format!("{server}/{database}{mark}{parameters}")
}

#[cfg(test)]
mod tests {
    use super::url_of;

    #[test]
    fn another_database_keeps_the_parameters() {
        assert_eq!(
            url_of("postgres://u@h:1/old?sslmode=disable", "new"),
            "postgres://u@h:1/new?sslmode=disable"
        );
        assert_eq!(
            url_of("postgres://u@h:1/old", "new"),
            "postgres://u@h:1/new"
        );
    }
}
