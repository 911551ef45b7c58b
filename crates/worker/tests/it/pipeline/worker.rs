//! A worker inside the test's process.

use std::net::SocketAddr;

use harkara_runtime::shutdown::Shutdown;
use harkara_settings::Settings;
use harkara_telemetry::Tracer;
use harkara_testkit::ask_admin;
use tokio::task::JoinHandle;

use super::{BOUND, until};

pub(crate) struct Worker {
    pub(crate) admin: SocketAddr,
    stop: Shutdown,
    task: JoinHandle<()>,
}

impl Worker {
    pub(super) async fn start(settings: &Settings, tracer: &Tracer) -> Self {
        let app = harkara_worker::App::build(settings, tracer)
            .await
            .unwrap_or_else(|error| panic!("{error:?}"));
        let admin = app.admin_addr();
        let stop = Shutdown::manual();
        let until = stop.clone();
        let task = tokio::spawn(async move { app.run_until_stopped(until).await.unwrap() });
        Self { admin, stop, task }
    }

    /// Waits until one of its counters is at least this.
    pub(crate) async fn until_counter(&self, name: &str, least: u64) {
        until(&format!("{name} is {least}"), async || {
            self.counter(name).await >= least
        })
        .await;
    }

    /// The value of one of its counters.
    pub(crate) async fn counter(&self, name: &str) -> u64 {
        let metrics = ask_admin(self.admin, "/metrics").await.unwrap();
        let value = metrics.lines().find_map(|line| line.strip_prefix(name));
        value
            .unwrap_or_else(|| panic!("{name}"))
            .trim()
            .parse()
            .unwrap()
    }

    /// Stops the worker and waits for its end.
    pub(crate) async fn stop(self) {
        self.stop.request();
        tokio::time::timeout(BOUND, self.task)
            .await
            .expect("the worker ends in time")
            .unwrap();
    }
}
