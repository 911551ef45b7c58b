//! Cargo, called for the checkout.

use std::process::Command;

use crate::checkout::Checkout;

/// Cargo in the checkout, without the variables that `cargo run` gave to this process.
pub(crate) fn command(checkout: &Checkout) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(&checkout.root);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        // Build scripts that watch these would otherwise run again each time.
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&*name);
        }
    }
    command
}

/// `cargo build` of these packages; cargo shows its own progress.
pub(crate) fn build(checkout: &Checkout, packages: &[&str]) -> Command {
    let mut command = command(checkout);
    command
        .arg("build")
        .args(packages.iter().flat_map(|package| ["--package", package]));
    command
}
