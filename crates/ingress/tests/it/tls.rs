//! Webhooks over TLS, with a certificate that is replaced while they come in.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use harkara_testkit::{Authority, Certificate, Folder, RedisServer, redis_database, wait_until};
use harkara_tls::{Certificates, ClientTls};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::BOUND;
use crate::http::{Request, connected};
use crate::ingress::{Ingress, assert_refused};

pub(crate) fn authority() -> Authority {
    Authority::new("Harkara Test")
}

pub(crate) fn issue(authority: &Authority) -> Certificate {
    authority.issue(&["127.0.0.1"])
}

/// A folder with the files of a certificate.
pub(crate) fn folder_of(certificate: &Certificate) -> Folder {
    let files = Folder::new();
    files.write("ca.crt", &certificate.authority_pem);
    files.write("tls.crt", &certificate.pem);
    files.write("tls.key", &certificate.key_pem);
    files
}

/// The settings that name the files.
fn settings(files: &Folder) -> [(&'static str, String); 3] {
    [
        ("ingress.tls_certificate_file", files.file("tls.crt")),
        ("ingress.tls_key_file", files.file("tls.key")),
        ("ingress.tls_reload_ms", "20".to_owned()),
    ]
}

async fn start(files: &Folder) -> Ingress {
    let settings = settings(files);
    Ingress::start_with(&settings.each_ref().map(|(key, value)| (*key, &**value))).await
}

/// A client that trusts the authority in the folder, and offers HTTP/2 as most do.
pub(crate) async fn connect(
    address: SocketAddr,
    files: &Folder,
) -> std::io::Result<TlsStream<TcpStream>> {
    let authority = Certificates::read(Path::new(&files.file("ca.crt"))).unwrap();
    let client = ClientTls::new(Some(authority), None).unwrap();
    let mut config = client.config().clone();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config))
        .connect(ServerName::from(address.ip()), stream)
        .await
}

/// The certificate that new connections are shown.
async fn shown(address: SocketAddr, files: &Folder) -> Option<Vec<u8>> {
    let stream = connect(address, files).await.ok()?;
    let certificates = stream.get_ref().1.peer_certificates()?;
    certificates.first().map(|first| first.to_vec())
}

#[tokio::test]
async fn a_delivery_over_tls_is_accepted_and_one_in_plain_text_is_not() {
    let files = folder_of(&issue(&authority()));
    let ingress = start(&files).await;
    let stream = connect(ingress.public, &files).await.unwrap();
    let protocol = stream.get_ref().1.alpn_protocol();
    assert_eq!(protocol, Some(&b"http/1.1"[..]), "HTTP/2 is not spoken");
    let delivery = || Request::delivery(r#"{"event":"payment.captured"}"#);
    assert_eq!(delivery().send_over(stream).await.status, 200);

    let mut plain = connected(ingress.public, &delivery().bytes()).await;
    let mut answer = Vec::new();
    // A reset is as good an end as a close.
    tokio::io::AsyncReadExt::read_to_end(&mut plain, &mut answer)
        .await
        .ok();
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");

    let probe = ingress.admin("/livez").await;
    assert_eq!(probe.status, 200, "the admin port stays plain");
}

#[tokio::test]
async fn a_new_certificate_is_shown_without_a_restart_and_a_broken_one_is_not() {
    let authority = authority();
    let files = folder_of(&issue(&authority));
    let ingress = start(&files).await;
    let first = shown(ingress.public, &files).await.unwrap();
    let open = connect(ingress.public, &files).await.unwrap();

    let second = issue(&authority);
    // Half of the new pair is no pair.
    files.write("tls.crt", &second.pem);
    for _ in 0..10 {
        assert_eq!(shown(ingress.public, &files).await.as_ref(), Some(&first));
    }
    files.write("tls.key", &second.key_pem);
    wait_until("the new certificate is shown", BOUND, async || {
        let now = shown(ingress.public, &files).await;
        now.is_some_and(|now| now != first)
    })
    .await;
    let request = Request::delivery("{}");
    assert_eq!(request.send_over(open).await.status, 200);
}

#[tokio::test]
async fn certificates_that_cannot_be_used_refuse_the_start() {
    let authority = authority();
    let files = folder_of(&issue(&authority));
    files.write("tls.key", &issue(&authority).key_pem);
    let settings = settings(&files);
    let changed = settings.each_ref().map(|(key, value)| (*key, &**value));
    let parts = ["Certificate(", "cannot be used together"];
    assert_refused(&redis_database().await, &changed, &parts).await;

    let redis = RedisServer::start_tls(&issue(&authority), &[]).await;
    assert_refused(&redis.url(), &[], &["redis.ca_file"]).await;
}
