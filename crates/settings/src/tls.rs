//! TLS: which authorities to trust, which certificate to present, and whether to use TLS at all.

use std::path::{Path, PathBuf};
use std::time::Duration;

use harkara_core::causes::with_causes;
use harkara_core::secret::Secret;
use harkara_tls::{Certificates, ClientTls, PemError, PrivateKey};

use crate::postgres_url::{Mode, PostgresUrl};
use crate::problem::ValueOrigin;
use crate::reader::SettingsReader;

/// The files of the ingress's certificate. Only the ingress reads them: other processes may not have them.
#[derive(Clone, Debug)]
pub struct IngressTls {
    /// The certificate chain.
    pub certificate_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
    /// Time between two checks of the files.
    pub reload_every: Duration,
}

impl IngressTls {
    pub(crate) fn read(r: &mut SettingsReader) -> Option<Self> {
        let keys = ["ingress.tls_certificate_file", "ingress.tls_key_file"];
        let [certificate_file, key_file] = keys.map(|key| r.value(key, |text| Some(path(text))));
        r.relation(
            &keys,
            certificate_file.is_some() == key_file.is_some(),
            "requires ingress.tls_key_file: set both or neither",
        );
        let reload_every = r.millis("ingress.tls_reload_ms");
        Some(Self {
            certificate_file: certificate_file?,
            key_file: key_file?,
            reload_every,
        })
    }
}

/// TLS to Redis, used if its URL is `rediss://`.
pub(crate) fn redis(r: &mut SettingsReader, url: &Secret) -> Option<ClientTls> {
    let is_wanted = url.expose().starts_with("rediss://");
    TlsFiles::read(r, "redis").client(r, is_wanted, "begin it with rediss://")
}

/// TLS to PostgreSQL, used if the URL's `sslmode` asks for it or an authority is given.
pub(crate) fn postgres(r: &mut SettingsReader, url: &PostgresUrl) -> Option<ClientTls> {
    let mut files = TlsFiles::read(r, "postgres");
    files.complete_from(r, url);
    let is_wanted = match url.mode {
        Mode::Plain => false,
        Mode::Undecided => files.authorities.is_some() && !url.is_socket,
        Mode::Verified => true,
    };
    let remedy = if url.is_socket {
        "a Unix socket has none"
    } else {
        "add ?sslmode=verify-full to it"
    };
    files.client(r, is_wanted, remedy)
}

/// The files for connections to one server.
struct TlsFiles {
    /// The section of the settings.
    section: &'static str,
    authorities: Option<Certificates>,
    certificate: Option<Certificates>,
    key: Option<PrivateKey>,
}

impl TlsFiles {
    fn read(r: &mut SettingsReader, section: &'static str) -> Self {
        let [ca_file, certificate_file, key_file] = keys(section);
        Self {
            section,
            authorities: r.value_or(&ca_file, contents(Certificates::read)),
            certificate: r.value_or(&certificate_file, contents(Certificates::read)),
            key: r.value_or(&key_file, contents(PrivateKey::read)),
        }
    }

    /// Fills in what the settings leave open from the URL's parameters.
    fn complete_from(&mut self, r: &mut SettingsReader, url: &PostgresUrl) {
        let files = [&url.ca_file, &url.certificate_file, &url.key_file];
        let [ca_file, certificate_file, key_file] = files.map(Option::as_deref);
        complete(r, &mut self.authorities, ca_file, Certificates::read);
        let certificate = &mut self.certificate;
        complete(r, certificate, certificate_file, Certificates::read);
        complete(r, &mut self.key, key_file, PrivateKey::read);
    }

    /// The client if TLS is wanted. Files without TLS are a mistake: a plain connection would be a surprise.
    fn client(self, r: &mut SettingsReader, is_wanted: bool, remedy: &str) -> Option<ClientTls> {
        let Self {
            section,
            authorities,
            certificate,
            key,
        } = self;
        let keys = keys(section);
        if !is_wanted {
            let given = [authorities.is_some(), certificate.is_some(), key.is_some()];
            let problem = format!("is set, but {section}.url does not use TLS; {remedy}");
            for (key, given) in keys.iter().zip(given) {
                r.relation(&[key], !given, &problem);
            }
            return None;
        }
        let [ca_file, certificate_file, key_file] = &keys;
        r.relation(
            &[certificate_file, key_file],
            certificate.is_some() == key.is_some(),
            "a client certificate requires its private key: set both or neither",
        );
        let client = ClientTls::new(authorities, certificate.zip(key));
        client
            .map_err(|error| {
                let key = match error {
                    PemError::NotAPair(_) => certificate_file,
                    _ => ca_file,
                };
                r.problem(key, ValueOrigin::Default, with_causes(&error));
            })
            .ok()
    }
}

/// The keys of authorities, certificate and private key.
fn keys(section: &str) -> [String; 3] {
    ["ca_file", "client_certificate_file", "client_key_file"].map(|key| format!("{section}.{key}"))
}

/// Reads the contents of the file that a setting names.
fn contents<T>(
    read: impl Fn(&Path) -> Result<T, PemError>,
) -> impl Fn(&str) -> Result<Option<T>, String> {
    move |text| {
        let read = path(text).map(|path| read(&path)).transpose();
        read.map_err(|error| with_causes(&error))
    }
}

fn complete<T>(
    r: &mut SettingsReader,
    given: &mut Option<T>,
    file: Option<&Path>,
    read: impl Fn(&Path) -> Result<T, PemError>,
) {
    if let (None, Some(file)) = (&given, file) {
        match read(file) {
            Ok(content) => *given = Some(content),
            Err(error) => r.problem("postgres.url", ValueOrigin::Default, with_causes(&error)),
        }
    }
}

fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| text.into())
}
