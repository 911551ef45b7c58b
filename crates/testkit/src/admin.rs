//! Questions to a process's admin port.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The whole response to a `GET` of the admin port, with its head.
///
/// # Errors
///
/// If nobody listens, or the response is not text.
pub async fn ask_admin(admin: SocketAddr, path: &str) -> io::Result<String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n");
    let mut stream = TcpStream::connect(admin).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Whether the process reports that it is ready.
pub async fn is_ready(admin: SocketAddr) -> bool {
    let answer = ask_admin(admin, "/readyz").await;
    answer.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}
