//! Paths in this checkout.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The checkout and its folder `.dev`, which holds everything that `cargo dev up` creates.
pub(crate) struct Checkout {
    /// The folder of the workspace's `Cargo.toml`.
    pub(crate) root: PathBuf,
}

impl Checkout {
    /// The checkout this command was built from.
    pub(crate) fn find() -> Result<Self> {
        // `cargo run` says which package it runs; without it, the place of compilation is known.
        let package = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = package.join("../..");
        let root = fs::canonicalize(&root)
            .with_context(|| format!("cannot find the checkout at {}", root.display()))?;
        Ok(Self { root })
    }

    /// `.dev`, created if missing, accessible to the account that runs PostgreSQL.
    pub(crate) fn dev(&self) -> Result<PathBuf> {
        create_passable(&self.root.join(".dev"))
    }

    /// `.dev/logs`, created if missing.
    pub(crate) fn logs(&self) -> Result<PathBuf> {
        create_passable(&self.dev()?.join("logs"))
    }

    /// `.dev/run`, the folder of pid files, created if missing.
    pub(crate) fn run(&self) -> Result<PathBuf> {
        create_passable(&self.dev()?.join("run"))
    }

    /// The folder of the binaries that cargo builds, beside that of this program: `debug`, `release`, or the name of
    /// another profile.
    pub(crate) fn binaries(&self, folder: &str) -> Result<PathBuf> {
        let own = std::env::current_exe().context("cannot find this program")?;
        let target = own.ancestors().nth(2);
        Ok(target.unwrap_or(&self.root).join(folder))
    }

    /// A path as the developer would type it: relative to the checkout if inside.
    pub(crate) fn shown(&self, path: &Path) -> String {
        let path = path.strip_prefix(&self.root).unwrap_or(path);
        path.display().to_string()
    }
}

/// Creates a folder that every account may enter, whatever the umask.
pub(crate) fn create_passable(folder: &Path) -> Result<PathBuf> {
    if !folder.is_dir() {
        fs::create_dir_all(folder)
            .and_then(|()| fs::set_permissions(folder, fs::Permissions::from_mode(0o755)))
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    Ok(folder.to_owned())
}

/// Removes a folder, or a link to one, if it exists.
pub(crate) fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}
