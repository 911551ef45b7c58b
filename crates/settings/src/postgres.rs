//! Section `postgres`.

use std::time::Duration;

use harkara_tls::ClientTls;
use strum::{EnumString, VariantNames};

use crate::catalogue::{HOUR_MS, MINUTE_MS, Setting, SettingKind, count, millis, setting};
use crate::postgres_url::PostgresUrl;
use crate::reader::SettingsReader;
use crate::server_url::ServerUrl;
use crate::tls;

/// Section `postgres`.
#[derive(Clone, Debug)]
pub struct PostgresSettings {
    /// A `postgres://` URL as the driver reads it, possibly with a password.
    pub url: ServerUrl,
    /// How to verify the server; `None` for a plain connection.
    pub tls: Option<ClientTls>,
    /// Whether a pooler is in between.
    pub pooler: Pooler,
    /// Run-time parameters of the server that the URL sets, such as `search_path`, with their values.
    pub parameters: Vec<(String, String)>,
    /// Maximum connections of one process.
    pub pool_max: usize,
    /// Bound of one connection attempt and of the wait for a free connection.
    pub connect_timeout: Duration,
    /// Bound of one statement.
    pub statement_timeout: Duration,
}

/// Whether a pooler in transaction mode is between us and PostgreSQL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub enum Pooler {
    /// Each connection finds out.
    #[default]
    Auto,
    /// There is none, or it keeps a session for each connection.
    None,
    /// There is one.
    Transaction,
}

#[rustfmt::skip]
pub(crate) const SETTINGS: &[Setting] = &[
    setting("postgres.url", "postgres://harkara@127.0.0.1:15432/harkara", SettingKind::Url(&["postgres://", "postgresql://"]),
        "The PostgreSQL database that holds the ledger and the projections: `postgres://user:password@host:port/database`. Special characters of user and password are percent-encoded: `@` as `%40`, `/` as `%2F`. `?sslmode=verify-full` (or `verify-ca`, or `require`) uses TLS and verifies certificate and host name; `disable` uses a plain connection; with `prefer` or without `sslmode`, TLS is used if `postgres.ca_file` is set. `sslrootcert`, `sslcert` and `sslkey` in the URL correspond to the three settings below. `options=-c%20name%3Dvalue` and `schema` set parameters of the server. Of several hosts (`one:5432,two:5432`) the first one that can be written to is used. `?host=/run/postgresql` names the folder of a Unix socket."),
    setting("postgres.ca_file", "", SettingKind::PemFile,
        "The certificate authorities to trust for PostgreSQL, instead of the public ones (Mozilla's list, built in)."),
    setting("postgres.client_certificate_file", "", SettingKind::PemFile,
        "The client certificate, if PostgreSQL asks for one. Requires `postgres.client_key_file`."),
    setting("postgres.client_key_file", "", SettingKind::PemFile,
        "The private key of `postgres.client_certificate_file`."),
    setting("postgres.pooler", "auto", SettingKind::Choice(Pooler::VARIANTS),
        "Whether a pooler such as PgBouncer is in between. With `transaction`, nothing outlives its transaction: no prepared statement, no session setting, no lock. `none` stands for a direct connection, or a pooler in session mode. With `auto`, each new connection finds out, which takes a round trip; `pgbouncer=true` in the URL is the same as `transaction`."),
    setting("postgres.pool_max", "8", count(1, 1000),
        "Maximum number of connections to PostgreSQL that one process opens."),
    setting("postgres.connect_timeout_ms", "3000", millis(1, MINUTE_MS),
        "How long a connection attempt to PostgreSQL, or the wait for a free connection, may take."),
    setting("postgres.statement_timeout_ms", "30000", millis(1, HOUR_MS),
        "How long one statement may run before PostgreSQL cancels it."),
];

impl PostgresSettings {
    pub(crate) fn read(r: &mut SettingsReader) -> Self {
        let file = r.file_of("postgres.url");
        let url = r.value_or("postgres.url", postgres_url);
        let pooler = match r.value("postgres.pooler", |text| text.parse().ok()) {
            Pooler::Auto if url.is_pooled => Pooler::Transaction,
            pooler => pooler,
        };
        Self {
            tls: tls::postgres(r, &url),
            url: ServerUrl::new(url.clone().into(), file, |text| {
                Ok(postgres_url(text)?.into())
            }),
            pooler,
            parameters: url.parameters,
            pool_max: r.whole("postgres.pool_max"),
            connect_timeout: r.millis("postgres.connect_timeout_ms"),
            statement_timeout: r.millis("postgres.statement_timeout_ms"),
        }
    }
}

fn postgres_url(text: &str) -> Result<PostgresUrl, String> {
    PostgresUrl::parse(SettingsReader::url("postgres.url", text)?.expose())
}
