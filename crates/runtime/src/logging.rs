//! Logging: one subscriber for the process, to standard error. Whoever logs never waits for the reader.

mod panics;
mod queue;
mod text_fields;

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use harkara_core::visible::{visible, visible_json};
use harkara_telemetry::catalogue::LOG_LINES_DROPPED;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::format::debug_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, fmt};

use harkara_settings::{LogFormat, LogSettings, variable};
use queue::LineQueue;

/// Precedes every filter, which may override it. `actix_http` logs an error for each malformed request, so
/// any caller could fill the log; the answer and the counters report those. So could `actix_server::accept`, twice a
/// second while there are no open files left, of which the ingress warns once a minute. Dropped lines and panics are logged at
/// every level.
const DEFAULTS: &str =
    "actix_http=off,actix_server=warn,actix_server::accept=off,harkara_runtime::logging=warn";

/// How long the end of the process waits until the reader has taken the last lines.
const LAST_LINES_WAIT: Duration = Duration::from_secs(1);

/// The lines of the process, once logging is set up.
static QUEUE: OnceLock<Arc<LineQueue>> = OnceLock::new();

static DROPPED: LazyLock<Counter> = LazyLock::new(Counter::default);

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// `RUST_LOG` is set to something that is not a filter.
    #[error("RUST_LOG is not a log filter such as info or warn,harkara_ingress=debug")]
    RustLog(#[source] ParseError),
    /// `log.level` is not a filter; settings that were loaded always hold one.
    #[error("log.level is not a log filter")]
    Level(#[source] ParseError),
    /// The system gave no thread or no descriptor.
    #[error("cannot start the thread that writes the log")]
    Thread(#[from] io::Error),
    /// The process has a subscriber already.
    #[error("logging was set up twice in one process")]
    Twice(#[source] TryInitError),
}

/// Sets up logging for the whole process. `RUST_LOG` takes precedence over `log.level`.
///
/// A process ends with [`finish`], or its last lines may be lost.
pub fn init(settings: &LogSettings) -> Result<(), LoggingError> {
    let filter = filter(settings, variable("RUST_LOG"))?;
    let is_terminal = io::stderr().is_terminal();
    let is_json = match settings.format {
        LogFormat::Json => true,
        LogFormat::Pretty => false,
        LogFormat::Auto => !is_terminal,
    };
    // A handle of its own: that of the standard library is locked while it is written to.
    let out = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    let queue = LineQueue::start(out, DROPPED.clone(), |lines| {
        tracing::warn!(
            lines,
            "Dropped log lines, since standard error took no more; the process went on."
        );
    })?;
    let (lines, writer) = (fmt::layer(), queue.clone());
    let lines = if is_json {
        let json = lines.json().flatten_event(true).with_current_span(false);
        let writer = move || LineWriter::Json(writer.clone());
        json.with_writer(writer).boxed()
    } else {
        let fields = debug_fn(text_fields::write_field).delimited(" ");
        let writer = move || LineWriter::Text(writer.clone());
        let text = lines.fmt_fields(fields).with_ansi(is_terminal);
        text.with_writer(writer).boxed()
    };
    tracing_subscriber::registry()
        .with(lines)
        .with(filter)
        .try_init()
        .map_err(LoggingError::Twice)?;
    panics::log_panics(QUEUE.get_or_init(|| queue).clone());
    Ok(())
}

/// Registers the counter of dropped lines.
pub fn register(registry: &mut Registry) {
    LOG_LINES_DROPPED.register(registry, DROPPED.clone());
}

/// Writes lines to standard error as they are, after those of the log if it was set up.
pub(crate) fn write(text: &str) {
    let lines: String = text.lines().map(|line| visible(line) + "\n").collect();
    match QUEUE.get() {
        Some(queue) => queue.add(lines.as_bytes()),
        // No signal is handled yet, so a process that waits here can be stopped.
        None => drop(io::stderr().write_all(lines.as_bytes())),
    }
}

/// Waits until the reader of standard error has taken every line, at most a second. The last call before the
/// process ends.
pub fn finish() {
    if let Some(queue) = QUEUE.get() {
        queue.finish(LAST_LINES_WAIT);
    }
}

/// Adds what it is given at once as one line. It never fails.
enum LineWriter {
    Json(Arc<LineQueue>),
    Text(Arc<LineQueue>),
}

impl Write for LineWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self {
            Self::Json(queue) => {
                let text = String::from_utf8_lossy(line);
                queue.add(visible_json(&text).as_bytes());
            }
            // Its fields are escaped; the colours must stay.
            Self::Text(queue) => queue.add(line),
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn filter(settings: &LogSettings, rust_log: Option<String>) -> Result<EnvFilter, LoggingError> {
    let parse = |text: &str| EnvFilter::builder().parse(format!("{DEFAULTS},{text}"));
    match rust_log.filter(|text| !text.is_empty()) {
        Some(text) => parse(&text).map_err(LoggingError::RustLog),
        None => parse(&settings.level).map_err(LoggingError::Level),
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::process::{Command, ExitCode};
    use std::sync::Mutex;
    use std::{env, io, thread};

    use tracing_subscriber::field::MakeExt;
    use tracing_subscriber::fmt::format::debug_fn;

    use super::{LoggingError, filter, init, text_fields};
    use crate::failure;
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
            [
                "actix_http=off",
                "actix_server::accept=off",
                "actix_server=warn",
                "harkara_runtime::logging=warn",
                "warn"
            ]
        );
        assert_eq!(
            directives(Some("debug,actix_http=info")),
            [
                "actix_http=info",
                "actix_server::accept=off",
                "actix_server=warn",
                "debug",
                "harkara_runtime::logging=warn"
            ]
        );
        let bad = filter(&settings(), Some("a=b=c".to_owned()));
        assert!(matches!(bad, Err(LoggingError::RustLog(_))));
    }

    #[test]
    fn a_second_set_up_is_an_error_and_no_panic() {
        init(&settings()).unwrap();
        assert!(matches!(init(&settings()), Err(LoggingError::Twice(_))));
    }

    /// Tells the test below that it runs in a process of its own, and the format.
    const FORMAT: &str = "HARKARA_TEST_LOG_FORMAT";

    /// What a body or a header may hold.
    const HOSTILE: &str = "pay_\u{202e}x\n\u{1b}[2J\u{200b}";

    fn log_and_fail(format: &str) -> ExitCode {
        init(&LogSettings {
            format: format.parse().unwrap(),
            level: "off".to_owned(),
        })
        .unwrap();
        let panicked = thread::spawn(|| panic!("beyond repair: {HOSTILE}"));
        assert!(panicked.join().is_err());
        let last: Result<(), Box<dyn Error>> = Err(io::Error::other(HOSTILE).into());
        failure::exit_code("harkara-test", last, |_| Some("mend it".to_owned()))
    }

    #[test]
    fn a_panic_and_the_last_error_are_written_and_nothing_in_them_reaches_a_terminal() {
        if let Ok(format) = env::var(FORMAT) {
            assert_eq!(log_and_fail(&format), ExitCode::FAILURE);
            return;
        }
        let name = "logging::tests::a_panic_and_the_last_error_are_written_and_nothing_in_them_reaches_a_terminal";
        for (format, panic) in [
            (
                "pretty",
                r#"A thread panicked; please report it. reason="beyond repair: pay_\u{202e}x\n\u{1b}[2J\u{200b}""#,
            ),
            (
                "json",
                r#""reason":"beyond repair: pay_\u202ex\n\u001b[2J\u200b""#,
            ),
        ] {
            let child = Command::new(env::current_exe().unwrap())
                .args(["--exact", name, "--nocapture"])
                .env(FORMAT, format)
                .env_remove("RUST_LOG")
                .output()
                .unwrap();
            let log = String::from_utf8(child.stderr).unwrap();
            assert!(child.status.success(), "{log}");
            let error = r"harkara-test: pay_\u{202e}x";
            for part in [panic, error, r"\u{1b}[2J\u{200b}; mend it"] {
                assert!(log.contains(part), "{part} is not in {log}");
            }
            let is_raw = |c: char| "\u{202e}\u{1b}\u{200b}".contains(c);
            assert!(!log.contains(is_raw), "{log:?}");
        }
    }

    #[test]
    fn fields_of_text_are_escaped_and_colours_are_not() {
        let (reader, writer) = io::pipe().unwrap();
        let fields = debug_fn(text_fields::write_field).delimited(" ");
        let lines = tracing_subscriber::fmt()
            .with_ansi(true)
            .without_time()
            .fmt_fields(fields)
            .with_writer(Mutex::new(writer))
            .finish();
        tracing::subscriber::with_default(lines, || {
            tracing::warn!(event.id = %HOSTILE, event.r#type = "a \"b\"", n = 7, "Said {HOSTILE}");
        });
        let log = io::read_to_string(reader).unwrap();
        let shown = r"pay_\u{202e}x\n\u{1b}[2J\u{200b}";
        for part in [
            "\u{1b}[33m WARN\u{1b}[0m",
            &format!("Said {shown} \u{1b}[3mevent.id\u{1b}[0m\u{1b}[2m=\u{1b}[0m{shown} "),
            "event.type\u{1b}[0m\u{1b}[2m=\u{1b}[0m\"a \\\"b\\\"\" ",
            "n\u{1b}[0m\u{1b}[2m=\u{1b}[0m7\n",
        ] {
            assert!(log.contains(part), "{part:?} is not in {log:?}");
        }
    }
}
