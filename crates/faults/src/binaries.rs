//! The product's binaries.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

/// Names their folder; without it they are beside this one.
const BINARIES: &str = "HARKARA_FAULTS_BINARIES";

/// The folder of the binaries.
#[derive(Clone, Debug)]
pub(crate) struct Binaries(PathBuf);

impl Binaries {
    /// Finds the folder, and that all are there.
    pub(crate) fn find() -> Result<Self> {
        let folder = match std::env::var_os(BINARIES) {
            Some(folder) => PathBuf::from(folder),
            None => std::env::current_exe()?
                .parent()
                .map(Path::to_owned)
                .context("a program is in a folder")?,
        };
        let binaries = Self(folder);
        for path in [binaries.harkara(), binaries.ingress(), binaries.worker()] {
            ensure!(
                path.is_file(),
                "there is no {}; `cargo dev faults` builds it, and {BINARIES} names its folder",
                path.display()
            );
        }
        Ok(binaries)
    }

    /// The operators' command.
    pub(crate) fn harkara(&self) -> PathBuf {
        self.0.join("harkara")
    }

    pub(crate) fn ingress(&self) -> PathBuf {
        self.0.join("harkara-ingress")
    }

    pub(crate) fn worker(&self) -> PathBuf {
        self.0.join("harkara-worker")
    }

    /// Gives a database the schema.
    pub(crate) async fn migrate(&self, postgres_url: &str) -> Result<()> {
        let output = Command::new(self.harkara())
            .arg("migrate")
            .env_clear()
            .env("HARKARA__POSTGRES__URL", postgres_url)
            .output()
            .await
            .context("harkara cannot be started")?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "harkara migrate failed: {told}");
        Ok(())
    }
}
