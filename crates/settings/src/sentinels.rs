//! Redis Sentinel.

use std::fmt;

use harkara_core::secret::Secret;

use crate::reader::SettingsReader;

/// The sentinels that know where the primary is.
#[derive(Clone, Debug)]
pub struct SentinelSettings {
    /// Hosts and ports, at least one.
    pub addresses: Vec<(String, u16)>,
    /// The name under which they know the primary, never empty.
    pub primary: String,
    /// The password of the sentinels themselves.
    pub password: Option<Secret>,
}

impl SentinelSettings {
    /// `None` without sentinels.
    pub(crate) fn read(r: &mut SettingsReader) -> Option<Self> {
        let addresses = r.value("redis.sentinels", addresses);
        let primary = r.value("redis.sentinel_primary", |text| {
            Some(text.to_owned()).filter(|text| !text.is_empty())
        });
        let password = r.value("redis.sentinel_password", |text| {
            Some((!text.is_empty()).then(|| Secret::new(text)))
        });
        (!addresses.is_empty()).then_some(Self {
            addresses,
            primary,
            password,
        })
    }
}

/// Names the primary in messages.
impl fmt::Display for SentinelSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses = self.addresses.iter();
        let addresses: Vec<_> = addresses
            .map(|(host, port)| format!("{host}:{port}"))
            .collect();
        let (primary, addresses) = (&self.primary, addresses.join(", "));
        write!(f, "the primary {primary} of the sentinels {addresses}")
    }
}

fn addresses(text: &str) -> Option<Vec<(String, u16)>> {
    let items = text.split(',').map(str::trim);
    items.filter(|item| !item.is_empty()).map(address).collect()
}

fn address(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    let port = port.parse().ok().filter(|port| *port > 0)?;
    (!host.is_empty() && !host.contains(['/', '@', ' '])).then(|| (host.to_owned(), port))
}
