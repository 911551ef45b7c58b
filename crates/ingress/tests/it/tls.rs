//! Webhooks over TLS, with a certificate that is replaced while they come in.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use harkara_core::causes::with_causes;
use harkara_ingress::StartError;
use harkara_testkit::{Authority, Certificate, Folder, RedisServer, redis_database, wait_until};
use harkara_tls::{Certificates, ClientTls};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::http::{Request, get};
use crate::ingress::{Ingress, PATH, SECRET, build};

/// An ingress looks at its files this often in these tests.
const RELOAD_MS: &str = "20";

fn write(files: &Folder, certificate: &Certificate) {
    files.write("ca.crt", &certificate.authority_pem);
    files.write("tls.crt", &certificate.pem);
    files.write("tls.key", &certificate.key_pem);
}

async fn start(files: &Folder) -> Ingress {
    Ingress::start_with(&[
        ("ingress.tls_certificate_file", &files.file("tls.crt")),
        ("ingress.tls_key_file", &files.file("tls.key")),
        ("ingress.tls_reload_ms", RELOAD_MS),
    ])
    .await
}

/// A client that trusts the authority in the folder, and offers HTTP/2 as most do.
async fn connect(address: SocketAddr, files: &Folder) -> std::io::Result<TlsStream<TcpStream>> {
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
    let files = Folder::new();
    write(
        &files,
        &Authority::new("Harkara Test").issue(&["127.0.0.1"]),
    );
    let ingress = start(&files).await;
    let stream = connect(ingress.public, &files).await.unwrap();
    assert_eq!(
        stream.get_ref().1.alpn_protocol(),
        Some(&b"http/1.1"[..]),
        "HTTP/2 is not spoken"
    );
    let request = Request::signed(PATH, SECRET, r#"{"event":"payment.captured"}"#);
    assert_eq!(request.send_over(stream).await.status, 200);

    let mut plain = TcpStream::connect(ingress.public).await.unwrap();
    let request = Request::signed(PATH, SECRET, r#"{"event":"payment.captured"}"#);
    tokio::io::AsyncWriteExt::write_all(&mut plain, &request.bytes())
        .await
        .unwrap();
    let mut answer = Vec::new();
    // A reset is as good an end as a close.
    tokio::io::AsyncReadExt::read_to_end(&mut plain, &mut answer)
        .await
        .ok();
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");

    let probe = get(ingress.admin, "/livez").await;
    assert_eq!(probe.status, 200, "the admin port stays plain");
    ingress.stop().await;
}

#[tokio::test]
async fn a_new_certificate_is_shown_without_a_restart_and_a_broken_one_is_not() {
    let authority = Authority::new("Harkara Test");
    let files = Folder::new();
    write(&files, &authority.issue(&["127.0.0.1"]));
    let ingress = start(&files).await;
    let first = shown(ingress.public, &files).await.unwrap();
    let open = connect(ingress.public, &files).await.unwrap();

    let second = authority.issue(&["127.0.0.1"]);
    // Half of the new pair is no pair.
    files.write("tls.crt", &second.pem);
    for _ in 0..10 {
        assert_eq!(shown(ingress.public, &files).await.as_ref(), Some(&first));
    }
    files.write("tls.key", &second.key_pem);
    wait_until(
        "the new certificate is shown",
        Duration::from_secs(10),
        async || {
            shown(ingress.public, &files)
                .await
                .is_some_and(|now| now != first)
        },
    )
    .await;

    let request = Request::signed(PATH, SECRET, "{}");
    assert_eq!(request.send_over(open).await.status, 200);
    ingress.stop().await;
}

#[tokio::test]
async fn files_that_are_no_pair_refuse_the_start() {
    let authority = Authority::new("Harkara Test");
    let files = Folder::new();
    write(&files, &authority.issue(&["127.0.0.1"]));
    files.write("tls.key", &authority.issue(&["127.0.0.1"]).key_pem);
    let changed = [
        ("ingress.tls_certificate_file", files.file("tls.crt")),
        ("ingress.tls_key_file", files.file("tls.key")),
    ];
    let changed = changed
        .each_ref()
        .map(|(key, value)| (*key, value.as_str()));
    let error = build(&redis_database().await, &changed)
        .await
        .err()
        .unwrap();
    assert!(matches!(error, StartError::Certificate(_)), "{error:?}");
    let told = with_causes(&error);
    assert!(told.contains("cannot be used together"), "{told}");
}

#[tokio::test]
async fn a_redis_that_shows_an_unknown_certificate_refuses_the_start() {
    let certificate = Authority::new("Harkara Test").issue(&["127.0.0.1"]);
    let redis = RedisServer::start_tls(&certificate, &[]).await;
    let error = build(&redis.url(), &[]).await.err().unwrap();
    let told = with_causes(&error);
    assert!(told.contains("redis.ca_file"), "{told}");
}
