//! Section `redis`.

use std::time::Duration;

use ::redis::{ConnectionAddr, IntoConnectionInfo};
use harkara_core::redis_keys::RedisKeys;
use harkara_core::secret::Secret;
use harkara_tls::ClientTls;

use crate::catalogue::{MINUTE_MS, Setting, SettingKind, count, millis, setting};
use crate::reader::SettingsReader;
use crate::sentinels::SentinelSettings;
use crate::server_url::{self, ParsedUrl, ServerUrl, unreadable};
use crate::tls;

/// Section `redis`.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// A valid `redis://` or `rediss://` URL, possibly with a password.
    pub url: ServerUrl,
    /// The sentinels that know the primary's address, if that is not the URL's.
    pub sentinels: Option<SentinelSettings>,
    /// How to verify the server; present exactly if the URL is `rediss://`.
    pub tls: Option<ClientTls>,
    /// The streams that this process uses, and what is beside them.
    pub keys: RedisKeys,
    /// Bound of one connection attempt.
    pub connect_timeout: Duration,
    /// Bound of one command.
    pub response_timeout: Duration,
}

#[rustfmt::skip]
pub(crate) const SETTINGS: &[Setting] = &[
    setting("redis.url", "redis://127.0.0.1:16379", SettingKind::Url(&["redis://", "rediss://"]),
        "The Redis server that holds the lanes, with user, password and database where needed: `redis://user:password@host:port/database`. Special characters of user and password are percent-encoded: `@` as `%40`, `/` as `%2F`. `rediss://` uses TLS and verifies the server's certificate."),
    setting("redis.sentinels", "", SettingKind::Servers,
        "All sentinels, if Redis Sentinel manages the server. Every new connection asks them for the primary; user, password, database and TLS are those of `redis.url`, whose host and port are not used. With TLS, the primary's certificate must name the host of `redis.url`, and a sentinel's the host given here."),
    setting("redis.sentinel_primary", "mymaster", SettingKind::Text,
        "The name under which the sentinels know the primary."),
    setting("redis.sentinel_password", "", SettingKind::Password,
        "The password of the sentinels themselves (their `requirepass`), if they have one."),
    setting("redis.ca_file", "", SettingKind::PemFile,
        "The certificate authorities to trust for Redis, instead of the public ones (Mozilla's list, built in)."),
    setting("redis.client_certificate_file", "", SettingKind::PemFile,
        "The client certificate, if Redis asks for one. Requires `redis.client_key_file`."),
    setting("redis.client_key_file", "", SettingKind::PemFile,
        "The private key of `redis.client_certificate_file`."),
    setting("redis.prefix", RedisKeys::DEFAULT_PREFIX, SettingKind::Text,
        "The beginning of every key: the `harkara` in `harkara:{0}:critical`, 1 to 64 of a-z, A-Z, 0-9, `-`, `_`, `.` and `:`. Deployments that share a Redis need one each."),
    setting("redis.partition", "0", count(0, 16_383),
        "The partition whose streams this process uses: the N in `harkara:{N}:critical`."),
    setting("redis.connect_timeout_ms", "2000", millis(1, MINUTE_MS),
        "How long a connection attempt to Redis may take."),
    setting("redis.response_timeout_ms", "2000", millis(1, MINUTE_MS),
        "How long Redis may take to answer a command."),
];

impl RedisSettings {
    pub(crate) fn read(r: &mut SettingsReader) -> Self {
        let file = r.file_of("redis.url");
        let url = r.value_or("redis.url", redis_url);
        Self {
            tls: tls::redis(r, &url),
            url: ServerUrl::new(parsed(url), file, |text| redis_url(text).map(parsed)),
            sentinels: SentinelSettings::read(r),
            keys: keys(r),
            connect_timeout: r.millis("redis.connect_timeout_ms"),
            response_timeout: r.millis("redis.response_timeout_ms"),
        }
    }
}

fn keys(r: &mut SettingsReader) -> RedisKeys {
    let partition = r.whole("redis.partition");
    r.value_or("redis.prefix", |prefix| {
        RedisKeys::new(prefix, partition).map_err(|error| error.to_string())
    })
}

/// Whether it uses TLS, and the database, stay as they are.
fn parsed(url: Secret) -> ParsedUrl {
    let scheme = url.expose().split(':').next().unwrap_or_default();
    let info = url.expose().into_connection_info();
    let database = info.map_or(0, |info| info.redis_settings().db());
    ParsedUrl {
        fixed: format!("{scheme}, database {database}"),
        url,
    }
}

fn redis_url(text: &str) -> Result<Secret, String> {
    let url = SettingsReader::url("redis.url", text)?;
    server_url::unambiguous(text)?;
    let info = url.expose().into_connection_info();
    let info = info.map_err(|_| unreadable("redis://user:password@host:port/database"))?;
    if matches!(info.addr(), ConnectionAddr::TcpTls { insecure: true, .. }) {
        return Err(
            "asks for TLS without verification (#insecure), which protects nothing; set \
             redis.ca_file to the certificate of the server's authority"
                .to_owned(),
        );
    }
    Ok(url)
}
