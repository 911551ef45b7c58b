//! `harkara completions`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::exit::Ending;
use crate::output;

/// Prints the completions for a shell
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompletionsOptions {
    /// The shell
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  source <(harkara completions bash)
  harkara completions zsh > ~/.zfunc/_harkara
  harkara completions fish > ~/.config/fish/completions/harkara.fish";

pub(crate) fn run(options: &CompletionsOptions) -> anyhow::Result<Ending> {
    let mut script = Vec::new();
    clap_complete::generate(
        options.shell,
        &mut Arguments::command(),
        "harkara",
        &mut script,
    );
    output::bytes(&script)?;
    Ok(Ending::Done)
}
