//! A small disk that can be filled.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Enough for all deliveries of a long run and for PostgreSQL's log (`max_wal_size` is 1 GB), so that only
/// [`SmallDisk::fill`] makes it full.
const MEGABYTES: u32 = 2_048;

/// One write when filling the disk.
static FILLING: [u8; 64 * 1024] = [0x5a; 64 * 1024];

/// A file system in memory; unmounted when dropped.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts it below a folder; needs root.
    pub(super) fn mount(folder: &Path) -> Result<Self> {
        let path = folder.join("disk");
        fs::create_dir_all(&path)?;
        let options = format!("size={MEGABYTES}m,mode=0755");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(&path)
            .status()
            .context("cannot run mount")?;
        ensure!(
            mounted.success(),
            "cannot mount a disk; this fault needs root"
        );
        Ok(Self(path))
    }

    /// The mount point.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes until nothing more fits.
    pub(crate) fn fill(&self) -> Result<()> {
        let mut file = fs::File::create(self.filler())?;
        while file.write_all(&FILLING).is_ok() {}
        Ok(())
    }

    /// Frees the space again.
    pub(crate) fn clear(&self) -> Result<()> {
        fs::remove_file(self.filler()).context("cannot clear the disk")
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The unmount completes when the last process that uses it ends.
        Command::new("umount")
            .arg("--lazy")
            .arg(&self.0)
            .status()
            .ok();
    }
}
