//! A disk that is full soon.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Enough for all that a long run delivers and for PostgreSQL's log (`max_wal_size` is 1 GB), so that only
/// what is filled in makes it full.
const MEGABYTES: u32 = 2_048;

/// What is written at once when the disk is filled.
static FILLING: [u8; 64 * 1024] = [0x5a; 64 * 1024];

/// A file system in memory; unmounted when dropped.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts it below a folder, which takes root.
    pub(super) fn mount(folder: &Path) -> Result<Self> {
        let path = folder.join("disk");
        fs::create_dir_all(&path)?;
        let mounted = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={MEGABYTES}m,mode=0755"),
                "tmpfs",
            ])
            .arg(&path)
            .status()
            .context("mount cannot be run")?;
        ensure!(
            mounted.success(),
            "a disk of its own cannot be mounted; this fault needs Linux and root"
        );
        Ok(Self(path))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes until nothing more fits.
    pub(crate) fn fill(&self) -> Result<()> {
        let mut file = fs::File::create(self.filler())?;
        while file.write_all(&FILLING).is_ok() {}
        Ok(())
    }

    /// Gives back what was filled.
    pub(crate) fn clear(&self) -> Result<()> {
        fs::remove_file(self.filler()).context("the disk cannot be cleared")
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // What is still open on it is unmounted when its last user ends.
        Command::new("umount")
            .arg("--lazy")
            .arg(&self.0)
            .status()
            .ok();
    }
}
