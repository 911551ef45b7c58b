//! Section `log`.

use strum::{EnumString, VariantNames};
use tracing_subscriber::EnvFilter;

use crate::catalogue::{Setting, SettingKind, setting};
use crate::reader::SettingsReader;

/// Section `log`.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// How lines are written.
    pub format: LogFormat,
    /// A valid filter in the syntax of `RUST_LOG`.
    pub level: String,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase")]
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
    setting("log.format", "auto", SettingKind::Choice(LogFormat::VARIANTS),
        "How log lines are written to standard error. `auto` is `pretty` on a terminal and `json` elsewhere."),
    setting("log.level", "info", SettingKind::LogFilter,
        "What is logged, in the syntax of `RUST_LOG` (which takes precedence): `info`, `warn,harkara_ingress=debug`."),
];

impl LogSettings {
    pub(crate) fn read(r: &mut SettingsReader) -> Self {
        let is_filter = |text: &str| !text.is_empty() && EnvFilter::builder().parse(text).is_ok();
        Self {
            format: r.value("log.format", |text| text.parse().ok()),
            level: r.value("log.level", |text| is_filter(text).then(|| text.to_owned())),
        }
    }
}
