//! Connections when there are few open files.

use harkara_testkit::wait_until;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tokio::net::TcpStream;

use crate::BOUND;
use crate::http::{Request, metric};
use crate::process::Process;
use crate::strangers::{PATIENT, assert_accepts_all};

const WARNED: &str = "for want of open files";

/// Opens so many connections over which nothing is sent.
async fn silent(process: &Process, n: usize) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for _ in 0..n {
        open.push(TcpStream::connect(process.public).await.unwrap());
    }
    open
}

fn settings() -> Vec<(&'static str, &'static str)> {
    let settings = [("HARKARA__INGRESS__HEADER_READ_TIMEOUT_MS", "60000")];
    [&PATIENT[..], &settings].concat()
}

#[tokio::test]
async fn where_open_files_are_few_so_are_connections_and_strangers_make_room() {
    let mut process = Process::start_after("ulimit -n 200", &settings()).await;
    assert_eq!(process.n_logged("The limit of open files is too low"), 1);
    // There are slots for 50.
    let _silent = silent(&process, 200).await;
    assert_accepts_all(process.public).await;
    let name = "harkara_ingress_connections";
    assert!(metric(process.admin, name).await.unwrap() <= 50);
    assert_eq!(process.n_logged(WARNED), 0);
    process.child.kill().await.unwrap();
}

#[tokio::test]
async fn when_open_files_run_out_strangers_make_room_and_the_log_tells_once() {
    let mut process = Process::start(&settings()).await;
    let admin = process.admin;
    let _silent = silent(&process, 100).await;
    let name = "harkara_ingress_connections";
    wait_until("all are open", BOUND, async || {
        metric(admin, name).await.unwrap() == 100
    })
    .await;
    // Fewer than are open now, as if the rest of the system had taken them.
    let few = Rlimit {
        current: Some(120),
        maximum: Some(120),
    };
    let pid = i32::try_from(process.child.id().unwrap()).unwrap();
    prlimit(Pid::from_raw(pid), Resource::Nofile, few).unwrap();
    wait_until("it accepts again", BOUND, async || {
        let mut stream = TcpStream::connect(process.public).await.unwrap();
        let bytes = Request::delivery("{}").bytes();
        tokio::io::AsyncWriteExt::write_all(&mut stream, &bytes)
            .await
            .ok();
        let answer = crate::http::read_response(&mut stream).await;
        answer.is_some_and(|answer| answer.status == 200)
    })
    .await;
    assert_accepts_all(process.public).await;
    assert_eq!(process.n_logged(WARNED), 1);
    assert_eq!(process.n_logged("Error accepting"), 0);
    process.child.kill().await.unwrap();
}
