//! Our own processes: the ingress and the worker, and the operators' command beside them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::addresses::{Addresses, Place};
use crate::checkout::Checkout;
use crate::failure::{Failure, Result};
use crate::service::{Kind, Places, Service};
use crate::task::Task;
use crate::{cargo, readiness, report};

/// How long a process may take from its start until it is ready.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// The setting with the secrets of the endpoint `default`, and its value in development.
const SECRETS: (&str, &str) = ("HARKARA__ENDPOINTS__DEFAULT__SECRETS", "harkara-dev-secret");

/// The built binaries with the settings they get.
pub(crate) struct Product<'a> {
    /// The checkout, where the processes run.
    pub(crate) checkout: &'a Checkout,
    /// The folder of the binaries.
    pub(crate) binaries: PathBuf,
    /// Where everything listens.
    pub(crate) addresses: &'a Addresses,
}

impl Product<'_> {
    /// Builds the three binaries; cargo shows its own progress.
    pub(crate) fn build(checkout: &Checkout) -> Result<Task> {
        let packages = ["harkara-ingress", "harkara-worker", "harkara-cli"];
        Task::start(&mut cargo::build(checkout, &packages))
    }

    /// The path of the operators' command.
    pub(crate) fn harkara(&self) -> PathBuf {
        self.binaries.join("harkara")
    }

    /// Brings the database's schema up to date.
    pub(crate) fn migrate(&self, logs: &Path) -> Result<()> {
        let log = logs.join("migrate.log");
        let mut command = self.command(&self.harkara());
        let mut migration = Task::start_logged(command.arg("migrate"), &log)?;
        if migration.wait()?.success() {
            return Ok(());
        }
        Err(format!("`harkara migrate` failed{}", report::tail(&log)).into())
    }

    /// Starts one of the two processes.
    pub(crate) fn start(&self, kind: Kind, places: &Places<'_>) -> Result<Service> {
        let program = self.binaries.join(format!("harkara-{}", kind.name()));
        let marks = [program.display().to_string()];
        Service::start(kind, self.command(&program), places, &marks)
    }

    /// Delivers one signed example of each event and shows what became of them.
    pub(crate) fn deliver_examples(&self, logs: &Path) -> Result<()> {
        let mut command = self.command(&self.harkara());
        command
            .args(["trigger", "all", "--follow", "--url", &self.delivery_url()])
            .stdin(Stdio::null());
        let status = Task::start(&mut command)?.wait()?;
        if status.success() {
            return Ok(());
        }
        Err(Failure::Said(format!(
            "the example deliveries were not all processed ({status}); the logs in {} tell why",
            self.checkout.shown(logs)
        )))
    }

    /// The URL that takes deliveries.
    pub(crate) fn delivery_url(&self) -> String {
        format!(
            "http://{}/webhooks/razorpay",
            self.addresses.ingress.reached_at()
        )
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.checkout.root);
        for place in self.addresses.all() {
            command.env(place.setting, place.value());
        }
        let (name, value) = SECRETS;
        if std::env::var_os(name).is_none() && std::env::var_os(format!("{name}_FILE")).is_none() {
            command.env(name, value);
        }
        command
    }
}

/// Waits until a process says on its admin address that it is ready.
pub(crate) fn wait_until_ready(service: &mut Service, admin: &Place) -> Result<()> {
    service.wait_until(READY_WITHIN, |_| {
        readiness::http_answers_200(admin.reached_at(), "/readyz")
    })
}
