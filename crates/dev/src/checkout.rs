//! Where things are in this checkout.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::failure::{Result, While as _};

/// The checkout and its folder `.dev`, which holds all that `cargo dev up` makes.
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
            .or_cannot(|| format!("find the checkout at {}", root.display()))?;
        Ok(Self { root })
    }

    /// `.dev`, made if it is not there, passable for the account that runs PostgreSQL.
    pub(crate) fn dev(&self) -> Result<PathBuf> {
        let dev = self.root.join(".dev");
        make_passable(&dev)?;
        Ok(dev)
    }

    /// `.dev/logs`, made if it is not there.
    pub(crate) fn logs(&self) -> Result<PathBuf> {
        let logs = self.dev()?.join("logs");
        make_passable(&logs)?;
        Ok(logs)
    }

    /// `.dev/run`, where the running processes are remembered, made if it is not there.
    pub(crate) fn run(&self) -> Result<PathBuf> {
        let run = self.dev()?.join("run");
        make_passable(&run)?;
        Ok(run)
    }

    /// The folder of the binaries that `cargo build` makes, wherever the developer's settings put
    /// it: `debug`, `release`, or the name of another profile.
    pub(crate) fn binaries(&self, folder: &str) -> Result<PathBuf> {
        let output = crate::cargo::command(self)
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
            .or_cannot(|| "run cargo metadata".to_owned())?;
        let metadata = String::from_utf8_lossy(&output.stdout);
        let target =
            target_directory(&metadata).map_or_else(|| self.root.join("target"), PathBuf::from);
        Ok(target.join(folder))
    }

    /// A path as the developer would type it: relative to the checkout when it is inside.
    pub(crate) fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root)
            .unwrap_or(path)
            .display()
            .to_string()
    }
}

/// Makes a folder that everybody may pass through, whatever the umask says.
pub(crate) fn make_passable(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder).or_cannot(|| format!("make the folder {}", folder.display()))?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
        .or_cannot(|| format!("set the permissions of {}", folder.display()))
}

/// The value of `"target_directory"` in the JSON of `cargo metadata`.
fn target_directory(metadata: &str) -> Option<String> {
    let (_, after) = metadata.split_once("\"target_directory\":\"")?;
    let (value, _) = after.split_once('"')?;
    Some(value.replace("\\\\", "\\"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_directory_is_found_in_metadata() {
        let metadata = r#"{"packages":[],"target_directory":"/tmp/elsewhere","version":1}"#;
        assert_eq!(
            target_directory(metadata).as_deref(),
            Some("/tmp/elsewhere")
        );
        assert_eq!(target_directory("{}"), None);
    }
}
