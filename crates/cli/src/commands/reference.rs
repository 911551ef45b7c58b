//! `harkara reference`: pages of the documentation, generated from what the program does.

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;
use clap::{Command, CommandFactory, ValueEnum};
use harkara_core::catalogue;
use harkara_telemetry::catalogue as metrics;

use crate::arguments::Arguments;
use crate::exit::Ending;
use crate::output;

/// A generated page.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Page {
    /// `docs/events.md`
    Events,
    /// `docs/configuration.md`
    Configuration,
    /// `deploy/harkara.toml`
    SettingsFile,
    /// `docs/cli.md`
    Cli,
    /// `docs/metrics.md`
    Metrics,
    /// A manual page for each command, such as `harkara-migrate(1)`, in a folder
    ManPages,
}

/// Prints a page.
pub(crate) fn run(page: Page, folder: Option<&Path>) -> anyhow::Result<Ending> {
    let text = match page {
        Page::Events => catalogue::reference_markdown(),
        Page::Configuration => harkara_settings::reference_markdown(),
        Page::SettingsFile => harkara_settings::reference_toml(),
        Page::Cli => command_line(),
        Page::Metrics => metrics::reference_markdown(),
        Page::ManPages => {
            let folder = folder.context("no folder was given")?;
            clap_mangen::generate_to(Arguments::command(), folder)?;
            return Ok(Ending::Done);
        }
    };
    output::bytes(text.as_bytes())?;
    Ok(Ending::Done)
}

fn command_line() -> String {
    let mut page = String::from(
        "# Command line\n\nGenerated from the program by `harkara reference cli`; do not edit.\n",
    );
    let mut root = Arguments::command();
    root.build();
    describe(&mut root, "", &mut page);
    page
}

/// Writes the help of a command, then of its subcommands.
fn describe(command: &mut Command, parents: &str, page: &mut String) {
    let path = format!("{parents}{}", command.get_name());
    let help = command.render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    write!(
        page,
        "\n## `{path}`\n\n```text\n{}\n```\n",
        help.join("\n").trim_end()
    )
    .expect("a String takes any text");
    let parents = format!("{path} ");
    for subcommand in command.get_subcommands_mut() {
        if !subcommand.is_hide_set() && subcommand.get_name() != "help" {
            describe(subcommand, &parents, page);
        }
    }
}
