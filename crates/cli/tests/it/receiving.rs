//! A real ingress to send to.

use std::collections::BTreeMap;
use std::time::Duration;

use harkara_core::lane::Lane;
use harkara_ingress::{App, RunError};
use harkara_runtime::shutdown::Shutdown;
use harkara_settings::Settings;
use harkara_telemetry::Tracer;
use harkara_testkit::TestDatabase;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::harkara::Harkara;

/// The secret of the endpoint `default`.
pub(crate) const SECRET: &str = "whsec-of-the-ingress";

pub(crate) struct Ingress {
    address: String,
    redis_url: String,
    database: TestDatabase,
    settings: Settings,
    stop: Shutdown,
    task: JoinHandle<Result<(), RunError>>,
}

impl Ingress {
    pub(crate) async fn start() -> Self {
        Self::with_secrets(&[("default", SECRET)]).await
    }

    pub(crate) async fn with_secrets(endpoints: &[(&str, &str)]) -> Self {
        let redis_url = harkara_testkit::redis_database().await;
        let database = TestDatabase::migrated().await;
        let mut settings = BTreeMap::from(
            [
                ("redis.url", redis_url.as_str()),
                ("postgres.url", database.url.as_str()),
                ("ingress.bind", "127.0.0.1:0"),
                ("ingress.admin_bind", "127.0.0.1:0"),
                ("ingress.threads", "1"),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned())),
        );
        for (endpoint, secret) in endpoints {
            settings.insert(
                format!("endpoints.{endpoint}.secrets"),
                (*secret).to_owned(),
            );
        }
        settings.insert("worker.admin_bind".to_owned(), "127.0.0.1:0".to_owned());
        settings.insert("worker.read_wait_ms".to_owned(), "100".to_owned());
        let settings = Settings::from_map(settings).unwrap();
        let app = App::build(&settings, &Tracer::off()).await.unwrap();
        let address = app.public_addr().to_string();
        let stop = Shutdown::manual();
        let task = tokio::spawn(app.run_until_stopped(stop.clone()));
        Self {
            address,
            redis_url,
            database,
            settings,
            stop,
            task,
        }
    }

    /// A command line whose settings name this ingress, without any secret.
    pub(crate) fn harkara(&self) -> Harkara {
        Harkara::default().with("HARKARA__INGRESS__BIND", &self.address)
    }

    /// A worker that processes what it receives, until the ingress is stopped.
    pub(crate) async fn worker(&self) -> JoinHandle<Result<(), harkara_worker::RunError>> {
        let app = harkara_worker::App::build(&self.settings, &Tracer::off())
            .await
            .unwrap();
        tokio::spawn(app.run_until_stopped(self.stop.clone()))
    }

    /// The database that it writes to.
    pub(crate) fn database_url(&self) -> &str {
        self.settings.postgres.url.expose()
    }

    /// The same, to be looked into and changed.
    pub(crate) fn database(&self) -> &TestDatabase {
        &self.database
    }

    /// Where it takes deliveries of the endpoint `default`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/webhooks/razorpay", self.address)
    }

    /// How many entries all lanes hold.
    pub(crate) async fn n_entries(&self) -> usize {
        let client = redis::Client::open(self.redis_url.as_str()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut n_entries = 0;
        for lane in Lane::ALL {
            let length: usize = redis::cmd("XLEN")
                .arg(lane.stream_key(0))
                .query_async(&mut connection)
                .await
                .unwrap();
            n_entries += length;
        }
        n_entries
    }

    pub(crate) async fn stop(self) {
        self.stop.request();
        let ended = timeout(Duration::from_secs(30), self.task).await;
        ended.expect("the ingress ends in time").unwrap().unwrap();
    }
}
