//! A folder for the files of one test.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A folder that is removed with this value, unless it is kept.
pub struct Folder(TempDir);

impl Folder {
    /// An empty folder.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a default creates no folder")]
    pub fn new() -> Self {
        Self(TempDir::with_prefix("harkara-").expect("a folder can be created"))
    }

    /// Writes a file atomically.
    pub fn write(&self, name: &str, content: &str) {
        let unfinished = self.path().join(format!("{name}.unfinished"));
        std::fs::write(&unfinished, content).expect("a file can be written");
        std::fs::rename(unfinished, self.path().join(name)).expect("a file can be renamed");
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Keeps it for reading, and returns its path.
    #[must_use]
    pub fn keep(self) -> PathBuf {
        self.0.keep()
    }

    /// The path of a file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> String {
        self.path().join(name).display().to_string()
    }
}
