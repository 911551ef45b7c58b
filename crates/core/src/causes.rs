//! An error and its chain of sources as one line.

use std::error::Error;

/// Formats an error and its sources on one line, separated by `: `. A source whose text the line already
/// ends with is left out.
#[must_use]
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    with_remedy_and_causes(error, None)
}

/// The same, with a remedy after the error's own text: `problem; remedy: cause`.
#[must_use]
pub fn with_remedy_and_causes(error: &(dyn Error + 'static), remedy: Option<&str>) -> String {
    let mut line = error.to_string();
    if let Some(remedy) = remedy {
        line.push_str("; ");
        line.push_str(remedy);
    }
    let mut source = error.source();
    while let Some(error) = source {
        let text = error.to_string();
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        source = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::{with_causes, with_remedy_and_causes};

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("inner")]
    struct Inner;

    #[test]
    fn sources_follow_the_error() {
        assert_eq!(with_causes(&Outer(Inner)), "outer: inner");
        let line = with_remedy_and_causes(&Outer(Inner), Some("mend it"));
        assert_eq!(line, "outer; mend it: inner");
    }
}
