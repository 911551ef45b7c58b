//! Wall clocks that jump, one for each machine that the parts could run on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The source of the preloaded library.
const SOURCE: &str = include_str!("clock.c");

/// The size of a clock's file, which the library maps.
const FILE_BYTES: usize = 32;

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
    pub(super) fn create(folder: &Path) -> Result<Self> {
        let library = build_library(folder)?;
        let clock = |name| {
            let clock = Clock {
                library: library.clone(),
                file: folder.join(format!("clock-of-{name}")),
            };
            clock.jump_to(0)?;
            anyhow::Ok(clock)
        };
        Ok(Self {
            redis: clock("redis")?,
            postgres: clock("postgres")?,
            product: clock("product")?,
        })
    }

    pub(crate) fn all(&self) -> [&Clock; 3] {
        [&self.redis, &self.postgres, &self.product]
    }
}

/// Compiles the library that makes clocks jump.
fn build_library(folder: &Path) -> Result<PathBuf> {
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    fs::write(&source, SOURCE)?;
    let output = Command::new("cc")
        .args(["-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .output()
        .context("cannot run the C compiler `cc`")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cannot compile clock.c: {errors}");
    Ok(library)
}

impl Clock {
    /// Sets the clock's error in seconds; 0 makes it right again.
    pub(crate) fn jump_to(&self, seconds: i64) -> Result<()> {
        let mut text = format!("{seconds:+}\n").into_bytes();
        text.resize(FILE_BYTES, 0);
        // Written in place, because the processes have mapped the file.
        let file = fs::File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&self.file)?;
        std::os::unix::fs::FileExt::write_all_at(&file, &text, 0)?;
        Ok(())
    }

    /// The environment of a process that uses this clock.
    pub(crate) fn environment(&self) -> [(String, String); 2] {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        [
            ("LD_PRELOAD".to_owned(), text(&self.library)),
            ("HARKARA_FAULTS_CLOCK".to_owned(), text(&self.file)),
        ]
    }
}
