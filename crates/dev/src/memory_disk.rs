//! Whether a folder is in memory, where syncing a file costs nothing.

use std::path::Path;

/// Whether the folder's file system keeps its files in memory. One that cannot be asked does not.
#[cfg(target_os = "linux")]
pub(crate) fn holds(folder: &Path) -> bool {
    // TMPFS_MAGIC of `man 2 statfs`; the type of the field differs between architectures.
    rustix::fs::statfs(folder).is_ok_and(|found| found.f_type == 0x0102_1994)
}

/// No other system puts its temporary folder in memory unasked.
#[cfg(not(target_os = "linux"))]
pub(crate) fn holds(_folder: &Path) -> bool {
    false
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_from_disk() {
        let shared_memory = Path::new("/dev/shm");
        if shared_memory.is_dir() {
            assert!(holds(shared_memory));
        }
        assert!(!holds(Path::new("/proc")));
        assert!(!holds(Path::new("/nonexistent")));
    }
}
