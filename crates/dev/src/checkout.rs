//! Paths in this checkout.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result};

use crate::task::cargo;

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

    /// The folder of the binaries that cargo builds, wherever the developer's settings put it: `debug`, `release`,
    /// or the name of another profile.
    pub(crate) fn binaries(&self, folder: &str) -> Result<PathBuf> {
        let output = cargo(self)
            .args([
                "metadata",
                "--no-deps",
                "--offline",
                "--format-version",
                "1",
            ])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .context("cannot run cargo metadata")?;
        let metadata = String::from_utf8_lossy(&output.stdout);
        let target =
            target_directory(&metadata).map_or_else(|| self.root.join("target"), PathBuf::from);
        Ok(target.join(folder))
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

/// The value of `"target_directory"` in the JSON of `cargo metadata`.
fn target_directory(metadata: &str) -> Option<String> {
    let (_, after) = metadata.split_once("\"target_directory\":\"")?;
    let (value, _) = after.split_once('"')?;
    Some(value.replace("\\\\", "\\"))
}

#[cfg(test)]
mod tests {
    use super::target_directory;

    #[test]
    fn target_directory_is_found_in_metadata() {
        let metadata = r#"{"packages":[],"target_directory":"/tmp/elsewhere","version":1}"#;
        let found = target_directory(metadata);
        assert_eq!(found.as_deref(), Some("/tmp/elsewhere"));
        assert_eq!(target_directory("{}"), None);
    }
}
