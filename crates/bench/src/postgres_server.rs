//! The private PostgreSQL. The benchmark works in a database of its own, created for each run.

use anyhow::{Context, Result};
use tokio_postgres::types::{FromSqlOwned, ToSql};
use tokio_postgres::{Client, NoTls};
use url::Url;

use crate::process::{self, Pid};

/// The server, and a connection to create databases.
pub(crate) struct PostgresServer {
    /// The server's main process.
    pub(crate) pid: Pid,
    maintenance: Database,
    /// The name of the database of a run.
    name: String,
}

/// A database, and a connection to inspect it.
pub(crate) struct Database {
    pub(crate) url: String,
    pub(crate) client: Client,
}

impl PostgresServer {
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        let maintenance = Database::connect(url.to_owned()).await?;
        let backend = maintenance.value("SELECT pg_backend_pid()", &[]).await?;
        Ok(Self {
            pid: process::parent_of(backend).context("PostgreSQL does not run on this machine")?,
            maintenance,
            name: format!("harkara_bench_{}", std::process::id()),
        })
    }

    /// Creates an empty database, which later runs copy once it is migrated; returns its URL.
    pub(crate) async fn create_template(&self) -> Result<String> {
        let template = self.template();
        self.execute(&format!("CREATE DATABASE {template}")).await?;
        self.url_of(&template)
    }

    /// A copy of the template. The database of the previous run is dropped, and nothing of it is left
    /// to be written: both steps are checkpoints. (PostgreSQL itself waits for connections that are
    /// closing and ends its own vacuuming; `FORCE` would need a role that may end it.)
    pub(crate) async fn fresh(&self) -> Result<Database> {
        let (name, template) = (&self.name, self.template());
        self.drop_database(name).await?;
        self.execute(&format!(
            "CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"
        ))
        .await?;
        Database::connect(self.url_of(name)?).await
    }

    /// Drops everything that the benchmark created.
    pub(crate) async fn remove(&self) -> Result<()> {
        self.drop_database(&self.name).await?;
        self.drop_database(&self.template()).await
    }

    /// The bytes of write-ahead log written so far.
    pub(crate) async fn wal_bytes(&self) -> Result<u64> {
        let position = "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint";
        let bytes: i64 = self.maintenance.value(position, &[]).await?;
        Ok(u64::try_from(bytes)?)
    }

    /// A setting of the server.
    pub(crate) async fn setting(&self, name: &str) -> Result<String> {
        let setting = "SELECT coalesce(current_setting($1, true), '')";
        self.maintenance.value(setting, &[&name]).await
    }

    fn template(&self) -> String {
        format!("{}_template", self.name)
    }

    /// The URL of another database on the same server.
    fn url_of(&self, database: &str) -> Result<String> {
        let mut url = Url::parse(&self.maintenance.url)?;
        url.set_path(database);
        Ok(url.into())
    }

    async fn drop_database(&self, name: &str) -> Result<()> {
        self.execute(&format!("DROP DATABASE IF EXISTS {name}"))
            .await
    }

    async fn execute(&self, sql: &str) -> Result<()> {
        let done = self.maintenance.client.batch_execute(sql).await;
        done.with_context(|| format!("PostgreSQL refused: {sql}"))
    }
}

impl Database {
    async fn connect(url: String) -> Result<Self> {
        let client = connect(&url).await?;
        Ok(Self { url, client })
    }

    /// The one value of a query.
    pub(crate) async fn value<T: FromSqlOwned>(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<T> {
        let row = self.client.query_one(sql, parameters).await;
        Ok(row
            .with_context(|| format!("PostgreSQL refused: {sql}"))?
            .try_get(0)?)
    }
}

/// A connection to a database.
pub(crate) async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .context("PostgreSQL does not answer")?;
    // The task ends with the client, which reports a broken connection.
    tokio::spawn(connection);
    Ok(client)
}
