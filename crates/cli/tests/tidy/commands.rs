//! Commands in documents are understood: `harkara` by the binary, `cargo dev` by its help, `just` by the
//! justfile, and `sh` blocks by the shell.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::page::{Page, pages};

/// Stands for a placeholder such as `<event-id>`: most arguments may be a number.
const PLACEHOLDER: &str = "1";

#[test]
fn commands_are_understood() {
    crate::assert_none(pages().iter().flat_map(problems));
}

fn problems(page: &Page) -> Vec<String> {
    let placeholder = crate::regex("<[a-z-]+>");
    let mut lines = page.spans.clone();
    let mut problems = Vec::new();
    for (language, block) in &page.blocks {
        if language == "sh" {
            let block = placeholder
                .replace_all(block, PLACEHOLDER)
                .replace("\\\n", " ");
            problems.extend(run(Command::new("bash").args(["-n", "-c", &block])).err());
            lines.extend(block.lines().map(str::to_owned));
        } else {
            let prompted = block.lines().filter_map(|line| line.strip_prefix("$ "));
            lines.extend(prompted.map(str::to_owned));
        }
    }
    for line in lines {
        let words = shlex::split(&placeholder.replace_all(&line, PLACEHOLDER)).unwrap_or_default();
        for command in words.split(|word| ["|", "&&", ";"].contains(&word.as_str())) {
            let why = understand(&command.iter().map(String::as_str).collect::<Vec<_>>()).err();
            problems.extend(why.map(|why| format!("`{line}`: {why}")));
        }
    }
    problems
        .into_iter()
        .map(|problem| format!("{}: {problem}", page.path))
        .collect()
}

fn understand(command: &[&str]) -> Result<(), String> {
    match command {
        ["harkara", arguments @ ..] => {
            // Prints help once it has understood everything before.
            run(Command::new(env!("CARGO_BIN_EXE_harkara"))
                .args(arguments)
                .arg("--help"))
            .map(drop)
        }
        ["cargo", "dev", command, arguments @ ..] => understand_dev(command, arguments),
        ["just", "test-faults", arguments @ ..] => understand_dev("faults", arguments),
        ["just", recipe, ..] => {
            let justfile = fs::read_to_string(crate::root().join("justfile")).unwrap();
            let is_there = crate::regex(&format!("(?m)^{recipe}( .*)?:")).is_match(&justfile);
            is_there
                .then_some(())
                .ok_or_else(|| format!("no recipe {recipe}"))
        }
        _ => Ok(()),
    }
}

/// Looks for options in the help, and for everything else there and among the faults.
fn understand_dev(command: &str, arguments: &[&str]) -> Result<(), String> {
    let dev = Path::new(env!("CARGO_BIN_EXE_harkara")).with_file_name("harkara-dev");
    let help = run(Command::new(dev).args([command, "--help"]))?;
    let faults = crate::files("crates/faults/src", ".rs");
    let mut before = "";
    for argument in arguments.iter().take_while(|argument| **argument != "--") {
        let in_help = crate::regex(&format!(r"(^|[^\w-]){argument}($|[^\w-])")).is_match(&help);
        let declared = format!("\n    \"{argument}\" = ");
        let is_fault = || faults.iter().any(|(_, text)| text.contains(&declared));
        let is_value = before.starts_with("--") || *argument == PLACEHOLDER;
        if !in_help && !is_value && !is_fault() {
            return Err(format!("`cargo dev {command}` does not know {argument}"));
        }
        before = argument;
    }
    Ok(())
}

fn run(command: &mut Command) -> Result<String, String> {
    let ran = command
        .env_remove("HARKARA_CONFIG")
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    let text = |output: &[u8]| String::from_utf8_lossy(output).into_owned();
    if ran.status.success() {
        Ok(text(&ran.stdout))
    } else {
        Err(text(&ran.stderr))
    }
}

#[test]
fn a_command_that_is_not_understood_is_found() {
    let found = |text: &str| problems(&Page::parse("", text));
    let good = "harkara events show <event-id> # one\nA=1 curl x | sed y\ncargo dev faults --seed 7 redis-killed\n\
                cargo dev test -- --any\njust test-faults --short\njust docs";
    let none: [String; 0] = [];
    assert_eq!(found(&format!("```sh\n{good}\n```\n`harkara lag`")), none);
    assert_eq!(found("```sh\nif true\n```").len(), 1);
    for bad in [
        "harkara gone",
        "harkara lag --gone",
        "harkara doctor --workers many",
        "cargo dev gone",
        "cargo dev up --gone",
        "cargo dev faults gone",
        "just gone",
        "just test-faults --gone",
    ] {
        let everywhere = format!("```sh\n{bad}\n```\n`{bad}`\n```text\n$ {bad}\n```");
        assert_eq!(found(&everywhere).len(), 3, "{bad}");
    }
}
