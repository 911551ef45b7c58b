//! Logging: one subscriber for the process, to standard error.

use std::io::{self, IsTerminal};

use tracing_subscriber::filter::ParseError;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, fmt};

use harkara_settings::{LogFormat, LogSettings, variable};

/// Precedes every filter, which may override it. `actix_http` logs an error for each malformed request, so
/// any caller could fill the log; the answer and the counters report those.
const QUIET: &str = "actix_http=off,actix_server=warn";

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// `RUST_LOG` is set to something that is not a filter.
    #[error("RUST_LOG is not a log filter such as info or warn,harkara_ingress=debug")]
    RustLog(#[source] ParseError),
    /// `log.level` is not a filter; settings that were loaded always hold one.
    #[error("log.level is not a log filter")]
    Level(#[source] ParseError),
    /// The process has a subscriber already.
    #[error("logging was set up twice in one process")]
    Twice(#[source] TryInitError),
}

/// Sets up logging for the whole process. `RUST_LOG` takes precedence over `log.level`.
pub fn init(settings: &LogSettings) -> Result<(), LoggingError> {
    let filter = filter(settings, variable("RUST_LOG"))?;
    let is_terminal = io::stderr().is_terminal();
    let is_json = match settings.format {
        LogFormat::Json => true,
        LogFormat::Pretty => false,
        LogFormat::Auto => !is_terminal,
    };
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = if is_json {
        let json = lines.json().flatten_event(true);
        json.with_current_span(false).boxed()
    } else {
        lines.with_ansi(is_terminal).boxed()
    };
    tracing_subscriber::registry()
        .with(lines)
        .with(filter)
        .try_init()
        .map_err(LoggingError::Twice)?;
    Ok(())
}

fn filter(settings: &LogSettings, rust_log: Option<String>) -> Result<EnvFilter, LoggingError> {
    let parse = |text: &str| EnvFilter::builder().parse(format!("{QUIET},{text}"));
    match rust_log.filter(|text| !text.is_empty()) {
        Some(text) => parse(&text).map_err(LoggingError::RustLog),
        None => parse(&settings.level).map_err(LoggingError::Level),
    }
}

#[cfg(test)]
mod tests {
    use super::{LoggingError, filter, init};
    use harkara_settings::{LogFormat, LogSettings};

    fn settings() -> LogSettings {
        LogSettings {
            format: LogFormat::Json,
            level: "warn".to_owned(),
        }
    }

    fn directives(rust_log: Option<&str>) -> Vec<String> {
        let filter = filter(&settings(), rust_log.map(str::to_owned))
            .unwrap()
            .to_string();
        let mut directives: Vec<String> = filter.split(',').map(str::to_owned).collect();
        directives.sort();
        directives
    }

    #[test]
    fn rust_log_precedes_the_settings_and_both_precede_the_quiet_targets() {
        assert_eq!(
            directives(None),
            ["actix_http=off", "actix_server=warn", "warn"]
        );
        assert_eq!(
            directives(Some("debug,actix_http=info")),
            ["actix_http=info", "actix_server=warn", "debug"]
        );
        let bad = filter(&settings(), Some("a=b=c".to_owned()));
        assert!(matches!(bad, Err(LoggingError::RustLog(_))));
    }

    #[test]
    fn a_second_set_up_is_an_error_and_no_panic() {
        init(&settings()).unwrap();
        assert!(matches!(init(&settings()), Err(LoggingError::Twice(_))));
    }
}
