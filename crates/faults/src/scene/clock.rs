//! Wall clocks that jump, one for each machine that the product's parts could run on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// What is preloaded into the processes.
const SOURCE: &str = include_str!("clock.c");

/// Bytes that the preloaded library maps of a clock's file.
const FILE_BYTES: usize = 32;

/// The library that makes clocks jump.
pub(super) struct Library(PathBuf);

/// The wall clock of some processes.
pub(crate) struct Clock {
    library: PathBuf,
    file: PathBuf,
}

/// The clocks of the servers and of the product.
pub(crate) struct Clocks {
    pub(crate) redis: Clock,
    pub(crate) postgres: Clock,
    pub(crate) product: Clock,
}

impl Clocks {
    /// Clocks that are right for now.
    pub(super) fn make(folder: &Path) -> Result<Self> {
        let library = Library::build(folder)?;
        Ok(Self {
            redis: library.clock(folder, "redis")?,
            postgres: library.clock(folder, "postgres")?,
            product: library.clock(folder, "product")?,
        })
    }

    pub(crate) fn all(&self) -> [&Clock; 3] {
        [&self.redis, &self.postgres, &self.product]
    }
}

impl Library {
    fn build(folder: &Path) -> Result<Self> {
        let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
        fs::write(&source, SOURCE)?;
        let output = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .output()
            .context("the C compiler `cc` cannot be run")?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "clocks cannot be made to jump here: {told}"
        );
        Ok(Self(library))
    }

    fn clock(&self, folder: &Path, name: &str) -> Result<Clock> {
        let clock = Clock {
            library: self.0.clone(),
            file: folder.join(format!("clock-of-{name}")),
        };
        clock.jump_to(0)?;
        Ok(clock)
    }
}

impl Clock {
    /// Makes the clock wrong by so many seconds; 0 makes it right again.
    pub(crate) fn jump_to(&self, seconds: i64) -> Result<()> {
        let mut text = format!("{seconds:+}\n").into_bytes();
        text.resize(FILE_BYTES, 0);
        // Written in place: the processes have this file mapped, not its name.
        let file = fs::File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&self.file)?;
        std::os::unix::fs::FileExt::write_all_at(&file, &text, 0)?;
        Ok(())
    }

    /// What a process needs in its environment to live by this clock.
    pub(crate) fn environment(&self) -> [(String, String); 2] {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        [
            ("LD_PRELOAD".to_owned(), text(&self.library)),
            ("HARKARA_FAULTS_CLOCK".to_owned(), text(&self.file)),
        ]
    }
}
