//! What clients without a valid signature can take over TLS, within and before it.

use std::time::Duration;

use futures_util::future::join_all;
use harkara_testkit::Folder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::http::{ANSWER_BOUND, Request, metric, read_to_end, until_metric};
use crate::memory::{BUFFERED, MIB, OPEN_MARGIN, TLS_CONNECTION_BYTES, peak_bytes, resident_bytes};
use crate::process::Process;
use crate::strangers::PATIENT;
use crate::tls::{authority, connect, folder_of, issue};

/// An ingress that speaks TLS, with the files of its certificate.
struct Secure {
    process: Process,
    files: Folder,
}

impl Secure {
    async fn start(changed: &[(&str, &str)]) -> Self {
        let files = folder_of(&issue(&authority()));
        let (certificate, key) = (files.file("tls.crt"), files.file("tls.key"));
        let tls = [
            ("HARKARA__INGRESS__TLS_CERTIFICATE_FILE", &*certificate),
            ("HARKARA__INGRESS__TLS_KEY_FILE", &*key),
        ];
        let process = Process::start(&[&PATIENT[..], &tls, changed].concat()).await;
        Self { process, files }
    }

    async fn assert_accepts(&self) {
        let delivered = async {
            let stream = connect(self.process.public, &self.files).await.unwrap();
            Request::delivery("{}").send_over(stream).await.status
        };
        let status = timeout(ANSWER_BOUND, delivered).await;
        assert_eq!(status.expect("it is answered in time"), 200);
    }

    async fn assert_accepts_all(&self) {
        for _ in 0..5 {
            self.assert_accepts().await;
        }
        join_all((0..10).map(|_| self.assert_accepts())).await;
    }

    async fn end(mut self) {
        self.process.child.kill().await.unwrap();
    }
}

/// A record of a handshake that says it has 16,384 bytes, and a client hello in it that says it has 65,520.
fn begun_handshake() -> Vec<u8> {
    let mut record = vec![22, 3, 1, 64, 0];
    record.extend([1, 0, 255, 240]);
    record.resize(5 + 16_384, 0);
    record
}

#[tokio::test]
async fn slow_handshakes_keep_nobody_out() {
    let ingress = Secure::start(&[
        ("HARKARA__INGRESS__CONNECTIONS_MAX", "100"),
        ("HARKARA__INGRESS__HEADER_READ_TIMEOUT_MS", "60000"),
    ])
    .await;
    let public = ingress.process.public;
    for n_bytes in [0, 100] {
        let mut strangers = JoinSet::new();
        for _ in 0..200 {
            let begun = begun_handshake()[..n_bytes].to_vec();
            strangers.spawn(async move {
                loop {
                    if let Ok(mut stream) = TcpStream::connect(public).await {
                        stream.write_all(&begun).await.ok();
                        while matches!(stream.read(&mut [0; 1000]).await, Ok(1..)) {}
                    }
                    sleep(Duration::from_secs(1)).await;
                }
            });
        }
        ingress.assert_accepts_all().await;
        strangers.shutdown().await;
    }
    ingress.end().await;
}

#[tokio::test]
async fn a_handshake_is_bounded_in_time_and_size() {
    for bytes in [
        begun_handshake()[..100].to_vec(),
        begun_handshake().repeat(20),
    ] {
        let ingress = Secure::start(&[("HARKARA__INGRESS__HEADER_READ_TIMEOUT_MS", "2000")]).await;
        let mut stream = TcpStream::connect(ingress.process.public).await.unwrap();
        stream.write_all(&bytes).await.ok();
        // It ends in time.
        read_to_end(&mut stream).await;
        ingress.assert_accepts().await;
        ingress.end().await;
    }
}

/// Their bytes may come together with the end of the handshake, and be more than that may have.
#[tokio::test]
async fn deliveries_of_any_size_are_accepted() {
    let ingress = Secure::start(&[]).await;
    for n in 0..30 {
        let stream = connect(ingress.process.public, &ingress.files)
            .await
            .unwrap();
        let request = Request::delivery(vec![b'x'; n * 10_000]);
        let answer = request.send_over(stream).await;
        assert_eq!(answer.status, 200, "{n}");
    }
    ingress.end().await;
}

#[tokio::test]
async fn answers_that_clients_do_not_take_cost_little_memory() {
    const CLIENTS: usize = 200;
    let ingress = Secure::start(&[]).await;
    let ingress = std::sync::Arc::new(ingress);
    ingress.assert_accepts().await;
    let before = peak_bytes(&ingress.process);
    // As many as fit into one record.
    let requests = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(600);
    let mut strangers = JoinSet::new();
    for _ in 0..CLIENTS {
        let (ingress, requests) = (ingress.clone(), requests.clone());
        strangers.spawn(async move {
            loop {
                if let Ok(mut stream) = connect(ingress.process.public, &ingress.files).await {
                    while stream.write_all(&requests).await.is_ok() {}
                }
                sleep(Duration::from_secs(1)).await;
            }
        });
    }
    ingress.assert_accepts_all().await;
    let growth = peak_bytes(&ingress.process) - before;
    eprintln!("grew by {} KiB", growth / 1024);
    assert!(growth <= 64 * MIB, "grew by {growth} bytes");
    strangers.shutdown().await;
    std::sync::Arc::into_inner(ingress).unwrap().end().await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_told_so() {
    let ingress = Secure::start(&[]).await;
    let endless = [b"GET / HTTP/1.1\r\nx: ".as_slice(), &vec![b'x'; 120_000]].concat();
    let public = ingress.process.public;
    let mut stream = connect(public, &ingress.files).await.unwrap();
    stream.write_all(&endless).await.ok();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    ingress.end().await;
}

/// As over plain TCP, with the buffers of TLS.
#[tokio::test]
async fn a_connection_takes_the_documented_memory_at_most() {
    const N: u64 = 300;
    let ingress = Secure::start(&[
        ("HARKARA__INGRESS__HEADER_READ_TIMEOUT_MS", "60000"),
        ("HARKARA__INGRESS__BODY_READ_TIMEOUT_MS", "60000"),
    ])
    .await;
    ingress.assert_accepts().await;
    let (public, admin) = (ingress.process.public, ingress.process.admin);
    let before = resident_bytes(&ingress.process);
    let body = Request::post().declaring(70_000).then(&vec![b'x'; 66_000]);
    let mut open = Vec::new();
    for _ in 0..N {
        let mut stream = connect(public, &ingress.files).await.unwrap();
        stream.write_all(&body).await.unwrap();
        stream.flush().await.unwrap();
        open.push(stream);
    }
    until_metric(admin, BUFFERED, |bytes| bytes >= N * 66_000).await;
    let buffered = metric(admin, BUFFERED).await.unwrap();
    let taken = (resident_bytes(&ingress.process) - before).saturating_sub(buffered) / N;
    eprintln!("{taken} bytes");
    assert!(
        taken <= TLS_CONNECTION_BYTES + OPEN_MARGIN / N,
        "{taken} bytes"
    );
    assert!(
        taken >= TLS_CONNECTION_BYTES / 4,
        "{taken} bytes are far fewer than documented"
    );
    drop(open);
    ingress.end().await;
}
