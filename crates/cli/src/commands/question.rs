//! Asks before something that cannot be undone.

use std::io::{self, BufRead, IsTerminal, Write};

use harkara_core::visible::visible;

use crate::exit::UsageError;

/// Whether a person says yes. Without a terminal to ask on, fails with the usage error `unasked`.
pub(crate) fn is_confirmed(question: &str, unasked: String) -> anyhow::Result<bool> {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(UsageError(unasked).into());
    }
    write!(io::stderr(), "{} [y/N] ", visible(question))?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
