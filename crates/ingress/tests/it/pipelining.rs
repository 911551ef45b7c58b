//! Clients with a valid signature that send many requests without waiting for the answers.

use std::time::{Duration, Instant};

use harkara_testkit::{Link, Proxy, RedisServer, wait_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

use crate::BOUND;
use crate::http::{Request, metric};
use crate::memory::{MIB, resident_bytes};
use crate::process::Process;
use crate::strangers::PATIENT;

/// The processor time that the process has taken.
fn processor_time(process: &Process) -> Duration {
    let path = format!("/proc/{}/stat", process.child.id().unwrap());
    let stat = std::fs::read_to_string(path).unwrap();
    // Behind the name, in hundredths of a second: user time and system time.
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks = fields.split(' ').skip(11).take(2);
    let ticks: u64 = ticks.map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_millis(10 * ticks)
}

/// Sends signed deliveries until the connection is closed or takes no more for a while. Returns how many.
async fn pipeline(stream: &mut TcpStream, most: usize) -> usize {
    let deliveries = Request::delivery("{}").kept_alive().repeat(10);
    for n in 0..most / 10 {
        let written = timeout(Duration::from_secs(1), stream.write_all(&deliveries)).await;
        if !matches!(written, Ok(Ok(()))) {
            return 10 * n;
        }
    }
    most
}

#[tokio::test]
async fn requests_behind_a_slow_one_wait_without_work_or_memory() {
    const SECONDS: u32 = 4;
    let redis = RedisServer::start(&[]).await;
    let link = Proxy::to_port(redis.port).await;
    let url = format!("redis://{}", link.address());
    let settings = [("HARKARA__REDIS__URL", url.as_str())];
    let mut process = Process::start(&[&PATIENT[..], &settings].concat()).await;
    let answer = Request::delivery("{}").send(process.public).await;
    assert_eq!(answer.status, 200);
    let before = resident_bytes(&process);
    link.set(Link::Slow(Duration::from_millis(50)));
    let mut stream = TcpStream::connect(process.public).await.unwrap();
    let n_sent = pipeline(&mut stream, 10_000).await;
    assert!(n_sent > 1000, "{n_sent} fit into the buffers");
    let used = processor_time(&process);
    sleep(Duration::from_secs(1) * SECONDS).await;
    let used = processor_time(&process).saturating_sub(used);
    assert!(used < Duration::from_secs(1) * SECONDS / 4, "{used:?}");
    let growth = resident_bytes(&process).saturating_sub(before);
    assert!(growth < 4 * MIB, "grew by {growth} bytes");
    process.child.kill().await.unwrap();
}

#[tokio::test]
async fn a_signed_client_that_takes_no_answers_waits_without_work_and_is_cut_off() {
    let mut process = Process::start(&PATIENT).await;
    let (public, admin) = (process.public, process.admin);
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(public).await.unwrap();
    let (since, before) = (Instant::now(), resident_bytes(&process));
    let n_sent = pipeline(&mut stream, 100_000).await;
    assert!(n_sent < 100_000, "what is not read is read no more");
    let used = processor_time(&process);
    wait_until("it is cut off", BOUND, async || {
        metric(admin, "harkara_ingress_connections").await.unwrap() == 0
    })
    .await;
    let (waited, used) = (
        since.elapsed(),
        processor_time(&process).saturating_sub(used),
    );
    assert!(used < waited / 4, "{used:?} of {waited:?}");
    let growth = resident_bytes(&process).saturating_sub(before);
    assert!(growth < 4 * MIB, "grew by {growth} bytes");
    assert_eq!(Request::delivery("{}").send(public).await.status, 200);
    process.child.kill().await.unwrap();
}

#[tokio::test]
async fn deliveries_of_any_size_are_all_accepted_over_one_connection() {
    const N: usize = 300;
    let mut process = Process::start(&PATIENT).await;
    let stream = TcpStream::connect(process.public).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let writing = tokio::spawn(async move {
        for n in 0..N {
            // Steps end anywhere within them, and some bodies look like heads.
            let body = "A / HTTP/1.0\n\n".repeat(n % 30 * n % 500);
            let request = Request::delivery(body).kept_alive();
            writer.write_all(&request).await.unwrap();
        }
        writer
    });
    let mut answers = String::new();
    let n_accepted = |answers: &str| answers.matches("HTTP/1.1 200 ").count();
    let all = timeout(BOUND, async {
        let mut some = [0; 4096];
        while n_accepted(&answers) < N {
            let n = reader.read(&mut some).await.unwrap();
            assert!(
                n > 0,
                "ended after {} of {N}: {answers}",
                n_accepted(&answers)
            );
            answers.push_str(std::str::from_utf8(&some[..n]).unwrap());
        }
    });
    all.await.expect("all answers in time");
    assert!(!answers.contains("connection: close"), "{answers}");
    drop(writing.await.unwrap());
    process.child.kill().await.unwrap();
}
