//! TLS: which authorities to trust, which certificate to present, and whether to use TLS at all.

use std::path::{Path, PathBuf};
use std::time::Duration;

use harkara_core::causes::with_causes;
use harkara_core::secret::Secret;
use harkara_tls::{Certificates, ClientTls, PemError, PrivateKey};

use crate::postgres_url::{Mode, PostgresUrl};
use crate::problem::Origin;
use crate::reader::Reader;

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
    pub(crate) fn read(r: &mut Reader) -> Option<Self> {
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
pub(crate) fn redis(r: &mut Reader, url: &Secret) -> Option<ClientTls> {
    let given = TlsFiles::read(
        r,
        &[
            "redis.ca_file",
            "redis.client_certificate_file",
            "redis.client_key_file",
        ],
    );
    let wanted = url.expose().starts_with("rediss://");
    given.check_used(
        r,
        wanted,
        "is set, but redis.url does not use TLS; begin it with rediss://",
    );
    wanted.then(|| given.client(r)).flatten()
}

/// TLS to PostgreSQL, used if the URL's `sslmode` asks for it or an authority is given.
pub(crate) fn postgres(r: &mut Reader, url: &PostgresUrl) -> Option<ClientTls> {
    let mut given = TlsFiles::read(
        r,
        &[
            "postgres.ca_file",
            "postgres.client_certificate_file",
            "postgres.client_key_file",
        ],
    );
    given.complete_from(r, url);
    let wanted = match url.mode {
        Mode::Plain => false,
        Mode::Undecided => given.authorities.is_some(),
        Mode::Verified => true,
    };
    given.check_used(
        r,
        wanted,
        "is set, but postgres.url does not use TLS; add ?sslmode=verify-full to it",
    );
    wanted.then(|| given.client(r)).flatten()
}

/// The files for connections to one server.
struct TlsFiles {
    /// The keys of the settings: authorities, certificate, private key.
    keys: &'static [&'static str; 3],
    authorities: Option<Certificates>,
    certificate: Option<Certificates>,
    key: Option<PrivateKey>,
}

impl TlsFiles {
    fn read(r: &mut Reader, keys: &'static [&'static str; 3]) -> Self {
        let certificates = |text: &str| {
            path(text)
                .map(|path| Certificates::read(&path).map_err(|error| with_causes(&error)))
                .transpose()
        };
        let private_key = |text: &str| {
            path(text)
                .map(|path| PrivateKey::read(&path).map_err(|error| with_causes(&error)))
                .transpose()
        };
        Self {
            keys,
            authorities: r.value_or(keys[0], certificates),
            certificate: r.value_or(keys[1], certificates),
            key: r.value_or(keys[2], private_key),
        }
    }

    /// Fills in what the settings leave open from the URL's parameters.
    fn complete_from(&mut self, r: &mut Reader, url: &PostgresUrl) {
        complete(
            r,
            &mut self.authorities,
            url.ca_file.as_ref(),
            Certificates::read,
        );
        complete(
            r,
            &mut self.certificate,
            url.certificate_file.as_ref(),
            Certificates::read,
        );
        complete(r, &mut self.key, url.key_file.as_ref(), PrivateKey::read);
    }

    /// Files without TLS are a mistake: a plain connection would be a surprise.
    fn check_used(&self, r: &mut Reader, wanted: bool, problem: &str) {
        let given = [
            self.authorities.is_some(),
            self.certificate.is_some(),
            self.key.is_some(),
        ];
        for (key, given) in self.keys.iter().zip(given) {
            r.relation(&[key], wanted || !given, problem);
        }
    }

    fn client(self, r: &mut Reader) -> Option<ClientTls> {
        let [ca_file, certificate_file, key_file] = *self.keys;
        r.relation(
            &[certificate_file, key_file],
            self.certificate.is_some() == self.key.is_some(),
            "a client certificate requires its private key: set both or neither",
        );
        match ClientTls::new(self.authorities, self.certificate.zip(self.key)) {
            Ok(client) => Some(client),
            Err(error) => {
                let key = match error {
                    PemError::NotAPair(_) => certificate_file,
                    _ => ca_file,
                };
                r.problem(key, Origin::Default, with_causes(&error));
                None
            }
        }
    }
}

fn complete<T>(
    r: &mut Reader,
    given: &mut Option<T>,
    file: Option<&PathBuf>,
    read: impl Fn(&Path) -> Result<T, PemError>,
) {
    if let (None, Some(file)) = (&given, file) {
        match read(file) {
            Ok(content) => *given = Some(content),
            Err(error) => r.problem("postgres.url", Origin::Default, with_causes(&error)),
        }
    }
}

fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| text.into())
}
