//! The product's binaries, which belong to other packages than the tests that run them.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Names the folder of the binaries; by default that of the running program.
const FOLDER: &str = "HARKARA_BINARIES";

/// The paths of the product's binaries.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// The `harkara` command.
    pub harkara: PathBuf,
    /// The ingress.
    pub ingress: PathBuf,
    /// The worker.
    pub worker: PathBuf,
}

impl Binaries {
    /// Finds them in the folder that `HARKARA_BINARIES` names, else in that of the running program.
    ///
    /// # Errors
    ///
    /// If one of the three is missing; it says which, and what to do.
    pub fn find() -> io::Result<Self> {
        let own = std::env::current_exe()?;
        let beside = own.parent().expect("a program is in a folder");
        let folder = std::env::var_os(FOLDER).map_or_else(|| beside.to_owned(), PathBuf::from);
        let binary = |name: &str| {
            let path = folder.join(name);
            if path.is_file() {
                return Ok(path);
            }
            Err(io::Error::other(format!(
                "there is no {}; `cargo dev bench` and `cargo dev faults` build it, and {FOLDER} names its folder",
                path.display()
            )))
        };
        Ok(Self {
            harkara: binary("harkara")?,
            ingress: binary("harkara-ingress")?,
            worker: binary("harkara-worker")?,
        })
    }

    /// Migrates a database.
    ///
    /// # Errors
    ///
    /// If `harkara migrate` cannot be started or fails; with its standard error.
    pub async fn migrate(&self, postgres_url: &str) -> io::Result<()> {
        let output = tokio::process::Command::new(&self.harkara)
            .arg("migrate")
            .env_clear()
            .env("HARKARA__POSTGRES__URL", postgres_url)
            .output()
            .await?;
        if output.status.success() {
            return Ok(());
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        let problem = format!("harkara migrate failed: {stderr}");
        Err(io::Error::other(problem))
    }
}

/// The folder that holds all binaries of the workspace: that of `own`, the test's own binary, as
/// `env!("CARGO_BIN_EXE_…")` names it.
///
/// Nextest has built them before the tests, as `.config/nextest.toml` says, unless it tests another profile than
/// the usual one: within a test the build, or the wait for another build, could take longer than a test may.
/// Otherwise only those of the tested packages are built, so cargo builds the others now.
#[must_use]
pub fn binaries_beside(own: &str) -> PathBuf {
    let folder = Path::new(own).parent().expect("a binary is in a folder");
    let target = folder.parent().expect("a profile's folder is in another");
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "test",
        Some(other) => other,
        None => panic!("{} has no name", folder.display()),
    };
    if profile == "test" && std::env::var_os("NEXTEST").is_some() {
        return folder.to_owned();
    }
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["test", "--workspace", "--no-run", "--quiet"])
        .args(["--profile", profile, "--target-dir"])
        .arg(target)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        // Build scripts that watch these, as that of ring does, would otherwise run again, and what depends
        // on them be built again while other tests run it.
        let of_package = ["CARGO_PKG_", "CARGO_MANIFEST_", "OUT_DIR"];
        if of_package.iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(&*name);
        }
    }
    let status = command.status().expect("cargo can be run");
    assert!(status.success(), "{command:?}");
    folder.to_owned()
}
