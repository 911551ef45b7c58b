//! Section `log`.

use tracing_subscriber::EnvFilter;

use crate::catalogue::{Kind, Setting, setting};
use crate::reader::Reader;

/// Section `log`.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// How lines are written.
    pub format: LogFormat,
    /// A valid filter in the syntax of `RUST_LOG`.
    pub level: String,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON elsewhere.
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

#[rustfmt::skip]
pub(crate) const SETTINGS: &[Setting] = &[
    setting("log.format", "auto", Kind::Choice(&["auto", "json", "pretty"]),
        "How log lines are written to standard error. `auto` is `pretty` on a terminal and `json` elsewhere."),
    setting("log.level", "info", Kind::LogFilter,
        "What is logged, in the syntax of `RUST_LOG` (which takes precedence): `info`, `warn,harkara_ingress=debug`."),
];

impl LogSettings {
    pub(crate) fn read(r: &mut Reader) -> Self {
        let format = |text: &str| match text {
            "auto" => Some(LogFormat::Auto),
            "json" => Some(LogFormat::Json),
            "pretty" => Some(LogFormat::Pretty),
            _ => None,
        };
        let is_filter = |text: &str| !text.is_empty() && EnvFilter::builder().parse(text).is_ok();
        Self {
            format: r.value("log.format", format),
            level: r.value("log.level", |text| is_filter(text).then(|| text.to_owned())),
        }
    }
}
