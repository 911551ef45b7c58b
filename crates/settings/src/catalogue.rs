//! What a setting is, and the table of all of them.
//!
//! Reading, checking and the generated reference all use these tables, so none can miss a setting.

use std::borrow::Cow;

use crate::{deployment, endpoints, ingress, lanes, log, postgres, redis, trace, worker};

/// One setting, or (with a `<name>` in its key) a family of them.
pub(crate) struct Setting {
    /// `section.key` as in the TOML file.
    pub(crate) key: &'static str,
    /// The default, written as in the environment.
    pub(crate) default: &'static str,
    pub(crate) kind: SettingKind,
    /// One or two sentences for the reference.
    pub(crate) meaning: &'static str,
}

/// The type of a setting's value.
#[derive(Clone, Copy)]
pub(crate) enum SettingKind {
    /// A URL with one of these schemes. It may hold a password, so it is a secret.
    Url(&'static [&'static str]),
    /// An address and port to listen on.
    Address,
    /// Any text.
    Text,
    /// The path of a file in PEM form.
    PemFile,
    /// A whole number between two bounds, in a unit (which may be empty).
    Whole {
        min: u64,
        max: u64,
        unit: &'static str,
    },
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// Four positive whole numbers, separated by commas.
    Weights,
    /// A filter in the syntax of `RUST_LOG`.
    LogFilter,
    /// Secrets, newest first.
    Secrets,
    /// Addresses and networks in CIDR notation.
    Networks,
    /// The same, or `razorpay` for Razorpay's published addresses.
    Senders,
    /// Hosts with ports.
    Servers,
    /// One secret.
    Password,
}

pub(crate) const MINUTE_MS: u64 = 60_000;
pub(crate) const HOUR_MS: u64 = 60 * MINUTE_MS;
pub(crate) const DAY_MS: u64 = 24 * HOUR_MS;

pub(crate) const FLAG: SettingKind = SettingKind::Choice(&["true", "false"]);

/// The largest weight of a lane: beyond this the lowest lane would in effect starve.
pub(crate) const LANE_WEIGHT_MAX: usize = 1000;

/// The names of the lanes, highest first.
pub(crate) const LANE_NAMES: &[&str] = &["critical", "medium", "normal", "default"];

const SECTIONS: [&[Setting]; 10] = [
    deployment::SETTINGS,
    redis::SETTINGS,
    postgres::SETTINGS,
    ingress::SETTINGS,
    ingress::DURABILITY_SETTINGS,
    worker::SETTINGS,
    lanes::SETTINGS,
    endpoints::SETTINGS,
    log::SETTINGS,
    trace::SETTINGS,
];

/// Every setting, in the order of the reference.
pub(crate) fn settings() -> impl Iterator<Item = &'static Setting> {
    SECTIONS.into_iter().flatten()
}

/// The setting with exactly this key.
pub(crate) fn find(key: &str) -> Option<&'static Setting> {
    settings().find(|setting| setting.key == key)
}

pub(crate) const fn setting(
    key: &'static str,
    default: &'static str,
    kind: SettingKind,
    meaning: &'static str,
) -> Setting {
    Setting {
        key,
        default,
        kind,
        meaning,
    }
}

pub(crate) const fn whole(min: u64, max: u64, unit: &'static str) -> SettingKind {
    SettingKind::Whole { min, max, unit }
}

pub(crate) const fn millis(min: u64, max: u64) -> SettingKind {
    whole(min, max, "milliseconds")
}

pub(crate) const fn count(min: u64, max: u64) -> SettingKind {
    whole(min, max, "")
}

pub(crate) const fn bytes(min: u64, max: u64) -> SettingKind {
    whole(min, max, "bytes")
}

impl SettingKind {
    /// Whether a value of this kind must never be shown.
    pub(crate) fn is_secret(self) -> bool {
        matches!(self, Self::Url(_) | Self::Secrets | Self::Password)
    }

    /// Describes a valid value, for errors and for the reference.
    pub(crate) fn expected(self) -> Cow<'static, str> {
        let text = match self {
            Self::Url(schemes) => {
                return format!("a URL that begins with {}", schemes.join(" or ")).into();
            }
            Self::Choice(words) => return format!("one of {}", words.join(", ")).into(),
            Self::Whole { min, max, unit } => {
                let of = if unit.is_empty() { "" } else { " of " };
                return format!("a whole number{of}{unit} from {min} to {max}").into();
            }
            Self::Weights => {
                let lanes = LANE_NAMES.join(", ");
                return format!(
                    "four whole numbers from 1 to {LANE_WEIGHT_MAX} separated by commas, for the lanes {lanes}"
                )
                .into();
            }
            Self::Address => "an IP address and port such as 0.0.0.0:8080 or [::1]:8080",
            Self::Text => "a text",
            Self::PemFile => "the path of a PEM file",
            Self::LogFilter => "a log filter such as info or warn,harkara_ingress=debug",
            Self::Secrets => "secrets separated by commas, or a list of them",
            Self::Networks => {
                "addresses and networks such as 10.0.0.0/8 separated by commas, or a list of them"
            }
            Self::Senders => {
                "addresses, networks such as 10.0.0.0/8 and the word razorpay separated by commas, or a list of them"
            }
            Self::Servers => {
                "hosts with ports such as redis-1.internal:26379 separated by commas, or a list of them"
            }
            Self::Password => "a secret",
        };
        text.into()
    }
}
