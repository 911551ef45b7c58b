//! The folder of one fault's logs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A folder that is removed when dropped, unless it is to be kept.
pub(crate) struct Folder(Option<PathBuf>);

impl Folder {
    pub(crate) fn make(name: &str) -> Result<Self> {
        let path =
            std::env::temp_dir().join(format!("harkara-faults-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("{} cannot be made", path.display()))?;
        Ok(Self(Some(path)))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.as_deref().unwrap_or(Path::new(""))
    }

    /// Keeps it for reading, and tells where it is.
    pub(crate) fn keep(mut self) -> PathBuf {
        self.0.take().unwrap_or_default()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // It is in the temporary folder, where what is left is swept.
            fs::remove_dir_all(path).ok();
        }
    }
}
