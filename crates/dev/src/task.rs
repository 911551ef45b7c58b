//! Commands that run to their end: cargo, a test runner, `harkara`. They end with us.

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Error, Result, bail};
use harkara_launcher::log_tail;

use crate::checkout::Checkout;
use crate::{interrupt, process_tree};

/// How long a command may take to end when asked to, before it is killed.
const PATIENCE: Duration = Duration::from_secs(15);

/// A command failed, and has said why. Its exit code is ours.
#[derive(Debug)]
pub(crate) struct Ended(ExitStatus);

impl Ended {
    /// The command's exit code; 1 if a signal ended it.
    pub(crate) fn exit_code(&self) -> ExitCode {
        let code = self.0.code().and_then(|code| u8::try_from(code).ok());
        code.map_or(ExitCode::FAILURE, ExitCode::from)
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A running command, ended when dropped.
#[must_use = "the command is ended when this is dropped"]
pub(crate) struct Task {
    child: Child,
}

impl Task {
    /// Starts a command in our own process group, so that Ctrl-C reaches it too.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        Self::start_interactive(command.stdin(Stdio::null()))
    }

    /// The same with the terminal as its input, for test runners that react to keys.
    pub(crate) fn start_interactive(command: &mut Command) -> Result<Self> {
        let child = command.spawn();
        let child =
            child.with_context(|| format!("cannot run {}", command.get_program().display()))?;
        Ok(Self { child })
    }

    /// Waits for its end, however long that takes. Fails with [`Ended`] if it fails.
    pub(crate) fn succeed(&mut self) -> Result<()> {
        let status = self.wait()?;
        if status.success() {
            return Ok(());
        }
        Err(Error::msg(Ended(status)))
    }

    /// Waits for its end, however long that takes.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        loop {
            match self.child.try_wait().context("cannot wait for a command")? {
                None => interrupt::pause()?,
                Some(status) => {
                    // Ctrl-C reaches the command before us.
                    if !status.success() {
                        interrupt::check()?;
                    }
                    return Ok(status);
                }
            }
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            process_tree::stop(&mut self.child, PATIENCE);
        }
    }
}

/// Runs a command to its end. Its output goes to the log, which is shown if it fails.
pub(crate) fn run_logged(command: &mut Command, log: &Path) -> Result<()> {
    if succeeds_logged(command, log)? {
        return Ok(());
    }
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or_default().display();
    let arguments = command.get_args().next().unwrap_or_default().display();
    bail!("`{name} {arguments}` failed{}", log_tail(log))
}

/// Runs a command to its end with its output appended to the log. Returns whether it succeeded.
pub(crate) fn succeeds_logged(command: &mut Command, log: &Path) -> Result<bool> {
    let writing = || format!("cannot write {}", log.display());
    let output = File::options().create(true).append(true).open(log);
    let output = output.with_context(writing)?;
    let errors = output.try_clone().with_context(writing)?;
    let status = Task::start(command.stdout(output).stderr(errors))?.wait()?;
    Ok(status.success())
}

/// Cargo in the checkout, without the variables that `cargo run` gave to this process.
pub(crate) fn cargo(checkout: &Checkout) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(&checkout.root);
    // Build scripts that watch these would otherwise run again each time.
    without(&mut command, &["CARGO_PKG_", "CARGO_MANIFEST_"]);
    command
}

/// `cargo build` of these packages.
pub(crate) fn cargo_build(checkout: &Checkout, packages: &[&str]) -> Command {
    let mut command = cargo(checkout);
    command
        .arg("build")
        .args(packages.iter().flat_map(|package| ["--package", package]));
    command
}

/// Removes the developer's own settings from a command's environment.
pub(crate) fn without_settings(command: &mut Command) -> &mut Command {
    without(command, &["HARKARA_", "OTEL_"])
}

fn without<'a>(command: &'a mut Command, prefixes: &[&str]) -> &'a mut Command {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if prefixes.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command
}
