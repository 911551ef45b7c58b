//! Ingress, worker and the `harkara` command.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::addresses::{Addresses, Listener};
use crate::checkout::Checkout;
use crate::services::{ServiceKind, Services};
use crate::task::{Task, run_logged};

/// How long a process may take from its start until it is ready.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// The setting with the secrets of the endpoint `default`, and its value in development.
const SECRETS: (&str, &str) = ("HARKARA__ENDPOINTS__DEFAULT__SECRETS", "harkara-dev-secret");

/// What `cargo dev up` builds.
pub(crate) const PACKAGES: [&str; 3] = ["harkara-ingress", "harkara-worker", "harkara-cli"];

/// The built binaries with their settings.
pub(crate) struct Product<'a> {
    /// The checkout, in which the processes run.
    pub(crate) checkout: &'a Checkout,
    /// The folder of the binaries.
    pub(crate) binaries: PathBuf,
    /// Where everything listens.
    pub(crate) addresses: &'a Addresses,
}

impl Product<'_> {
    /// The path of the `harkara` command.
    pub(crate) fn harkara(&self) -> PathBuf {
        self.binaries.join("harkara")
    }

    /// Migrates the database.
    pub(crate) fn migrate(&self, logs: &Path) -> Result<()> {
        let mut command = self.command(&self.harkara());
        run_logged(command.arg("migrate"), &logs.join("migrate.log"))
    }

    /// Starts ingress and worker, and waits until both are ready.
    pub(crate) fn start(&self, services: &mut Services) -> Result<()> {
        let processes = [
            (ServiceKind::Ingress, &self.addresses.ingress_admin),
            (ServiceKind::Worker, &self.addresses.worker_admin),
        ];
        for (kind, _) in processes {
            let program = self.binaries.join(format!("harkara-{}", kind.name()));
            services.start(kind, self.command(&program))?;
        }
        for (kind, admin) in processes {
            services.wait_until(kind, READY_WITHIN, |_| is_ready(admin))?;
        }
        Ok(())
    }

    /// Delivers one signed example of each event and shows the results.
    pub(crate) fn deliver_examples(&self, logs: &Path) -> Result<()> {
        let mut command = self.command(&self.harkara());
        command.args(["trigger", "all", "--follow", "--url", &self.delivery_url()]);
        let status = Task::start(&mut command)?.wait()?;
        ensure!(
            status.success(),
            "not all example deliveries were processed ({status}); see the logs in {}",
            self.checkout.shown(logs)
        );
        Ok(())
    }

    /// The URL that takes deliveries.
    pub(crate) fn delivery_url(&self) -> String {
        let address = self.addresses.ingress.reached_at();
        format!("http://{address}/webhooks/razorpay")
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.checkout.root);
        for listener in self.addresses.all() {
            command.env(listener.setting, listener.value());
        }
        let (name, value) = SECRETS;
        if std::env::var_os(name).is_none() && std::env::var_os(format!("{name}_FILE")).is_none() {
            command.env(name, value);
        }
        command
    }
}

/// Whether a process reports on its admin address that it is ready.
fn is_ready(admin: &Listener) -> bool {
    let address = admin.reached_at();
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    harkara_launcher::ask(address, &request)
        .is_some_and(|answer| answer.starts_with("HTTP/1.1 200 "))
}
