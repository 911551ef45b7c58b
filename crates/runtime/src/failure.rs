//! How a process ends when it cannot go on: one line that says why, with every cause.

use std::process::ExitCode;

/// Success, or exit code 1 after the error and its causes were written to standard error.
///
/// It is written there and not logged, because logging may not be set up yet.
pub fn exit_code<E: Into<Box<dyn std::error::Error>>>(
    process: &str,
    result: Result<(), E>,
) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{process}: {}", with_causes(&*error.into()));
            ExitCode::FAILURE
        }
    }
}

/// An error and its causes on one line, each once.
#[must_use]
pub fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !told.ends_with(&text) {
            told.push_str(": ");
            told.push_str(&text);
        }
        cause = error.source();
    }
    told
}

#[cfg(test)]
mod tests {
    use super::with_causes;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("inner")]
    struct Inner;

    #[test]
    fn an_error_is_told_with_its_causes() {
        assert_eq!(with_causes(&Outer(Inner)), "outer: inner");
    }
}
