//! A PostgreSQL database for one test.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use harkara_core::secret::Secret;
use harkara_storage::{Pool, PoolSettings, Pooler, migrations};
use tokio_postgres::types::{FromSqlOwned, ToSql};
use tokio_postgres::{Client, NoTls};
use url::Url;

use crate::servers::postgres_url;

/// The migrated database that others are copied from.
const TEMPLATE: &str = "harkara_template";

/// Held while the template is created.
const TEMPLATE_LOCK: i64 = 0x7465_6d70;

/// A database that no other test uses, with a connection to inspect it.
pub struct TestDatabase {
    /// Its URL.
    pub url: String,
    client: Client,
}

impl TestDatabase {
    /// A database with the current schema. Its ledger has an id of its own, unlike any other copy.
    pub async fn migrated() -> Self {
        let server = connect(&postgres_url()).await;
        ensure_template(&server).await;
        let database = Self::create(&server, &format!("TEMPLATE {TEMPLATE}")).await;
        let renew = "UPDATE harkara_schema SET ledger_id = gen_random_uuid()";
        database.execute(renew).await;
        database
    }

    /// A database without any table.
    pub async fn empty() -> Self {
        let server = connect(&postgres_url()).await;
        Self::create(&server, "").await
    }

    async fn create(server: &Client, options: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let since_epoch = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let (id, nanos) = (std::process::id(), since_epoch.as_nanos());
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{id}_{nanos}_{number}");
        server
            .batch_execute(&format!("CREATE DATABASE {name} {options}"))
            .await
            .expect("CREATE DATABASE");
        Self::at(url_of(&name)).await
    }

    /// An existing database, inspected over a plain connection.
    pub async fn at(url: String) -> Self {
        let client = connect(&url).await;
        Self { url, client }
    }

    /// A pool on this database, with bounds that suit a test.
    #[must_use]
    pub fn pool(&self) -> Pool {
        Pool::new(&pool_settings(&self.url)).expect("the settings make a pool")
    }

    /// The one value of a query.
    pub async fn value<T: FromSqlOwned>(&self, sql: &str) -> T {
        self.value_of(sql, &[]).await
    }

    /// The one value of a query with parameters.
    pub async fn value_of<T: FromSqlOwned>(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> T {
        let row = self.client.query_one(sql, parameters).await;
        row.unwrap_or_else(|e| panic!("{sql}: {e:?}")).get(0)
    }

    /// The first column of every row of a query.
    pub async fn column<T: FromSqlOwned>(&self, sql: &str) -> Vec<T> {
        let rows = self.client.query(sql, &[]).await;
        rows.unwrap_or_else(|e| panic!("{sql}: {e:?}"))
            .iter()
            .map(|row| row.get(0))
            .collect()
    }

    /// Every row of a query as a JSON object, to compare whole tables.
    pub async fn rows(&self, query: &str) -> Vec<String> {
        self.column(&format!("SELECT row_to_json(q)::text FROM ({query}) q"))
            .await
    }

    /// Makes the database unavailable: every connection but this value's own is ended, and new ones are refused,
    /// as if the server were down.
    pub async fn shut(&self) {
        self.allow_connections(false).await;
        self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()",
        )
        .await;
    }

    /// Undoes [`TestDatabase::shut`].
    pub async fn reopen(&self) {
        self.allow_connections(true).await;
    }

    async fn allow_connections(&self, allowed: bool) {
        let name: String = self.value("SELECT current_database()::text").await;
        // A connection cannot shut its own database.
        let server = connect(&postgres_url()).await;
        server
            .batch_execute(&format!(
                "ALTER DATABASE {name} ALLOW_CONNECTIONS {allowed}"
            ))
            .await
            .expect("ALTER DATABASE");
    }

    /// Runs statements.
    pub async fn execute(&self, sql: &str) {
        self.client
            .batch_execute(sql)
            .await
            .unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    }
}

/// A plain connection to a database, with bounds that suit a test.
#[must_use]
pub fn pool_settings(url: &str) -> PoolSettings {
    PoolSettings {
        url: Secret::new(url).into(),
        tls: None,
        pooler: Pooler::Auto,
        parameters: Vec::new(),
        application: "harkara-test",
        connections_max: 4,
        connect_timeout: Duration::from_secs(5),
        statement_timeout: Duration::from_secs(10),
        lock_timeout: None,
    }
}

/// Creates the template once for a server; tests in other processes wait for it.
async fn ensure_template(server: &Client) {
    let run = async |sql: String| {
        let done = server.batch_execute(&sql).await;
        done.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    };
    run(format!("SELECT pg_advisory_lock({TEMPLATE_LOCK})")).await;
    let sql = "SELECT 1 FROM pg_database WHERE datname = $1 AND datistemplate";
    let exists = server.query_opt(sql, &[&TEMPLATE]).await;
    if exists.expect("pg_database").is_none() {
        run(format!("DROP DATABASE IF EXISTS {TEMPLATE}")).await;
        run(format!("CREATE DATABASE {TEMPLATE}")).await;
        migrations::migrate(&pool_settings(&url_of(TEMPLATE)))
            .await
            .expect("the migrations run");
        // Only now is it whole.
        run(format!("ALTER DATABASE {TEMPLATE} IS_TEMPLATE true")).await;
    }
    run(format!("SELECT pg_advisory_unlock({TEMPLATE_LOCK})")).await;
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .expect("the test PostgreSQL answers");
    // The task ends with the client.
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            eprintln!("test connection: {error}");
        }
    });
    client
}

/// The URL of another database on the test server.
fn url_of(database: &str) -> String {
    let mut url = Url::parse(&postgres_url()).expect("the test PostgreSQL has a URL");
    url.set_path(database);
    url.into()
}
