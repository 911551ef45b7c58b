//! `harkara probe`.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use clap::{Args, ValueEnum};
use harkara_settings::Settings;
use http::{StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::commands::receiver::local;
use crate::exit::{Ending, UsageError};
use crate::output;

/// Longest wait for an answer. The admin port gives each store a second.
const ANSWER_WAIT: Duration = Duration::from_secs(3);

/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Asks a process on this machine whether it is ready
///
/// For container engines that run a command to find out whether a container is healthy, such as
/// Docker Compose: the image has no shell and no curl. Kubernetes asks by itself (httpGet).
///
/// Exit codes: 0 it is, 1 it is not or does not answer within 3 seconds.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct ProbeOptions {
    /// The process, whose admin port is found by the settings
    #[arg(value_enum, default_value_t = Process::Ingress)]
    process: Process,

    /// Asks whether it is alive (/livez): a process that waits for a store is
    #[arg(long)]
    live: bool,

    /// Asks this URL instead
    #[arg(long, conflicts_with_all = ["process", "live"])]
    url: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  harkara probe
  harkara probe worker --live
  harkara probe --url http://10.0.0.7:9080/readyz";

/// A process with an admin port.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Process {
    Ingress,
    Worker,
}

/// Asks once, and prints the answer's status.
pub(crate) async fn run(
    settings: impl FnOnce() -> anyhow::Result<Settings>,
    options: &ProbeOptions,
) -> anyhow::Result<Ending> {
    let url = match &options.url {
        Some(url) => url.clone(),
        None => url_of(&settings()?, options)?,
    };
    let uri: Uri = url.parse().ok().filter(is_http).ok_or_else(|| {
        UsageError(format!(
            "{url:?} is not a URL such as http://127.0.0.1:9080/readyz"
        ))
    })?;
    let asked = tokio::time::timeout(ANSWER_WAIT, ask(uri)).await;
    let asked = asked.with_context(|| {
        let seconds = ANSWER_WAIT.as_secs();
        format!("{url} does not answer within {seconds} s")
    })?;
    let (status, body) = asked.with_context(|| format!("{url} does not answer"))?;
    output::line(format!("{} {}", status.as_u16(), shown(&body)))?;
    Ok(Ending::of(status.is_success()))
}

fn url_of(settings: &Settings, options: &ProbeOptions) -> Result<String, UsageError> {
    let (name, address): (_, SocketAddr) = match options.process {
        Process::Ingress => ("ingress", settings.ingress.admin_bind),
        Process::Worker => ("worker", settings.worker.admin_bind),
    };
    let address = local(address).ok_or_else(|| {
        UsageError(format!(
            "{name}.admin_bind has port 0, so the port is not known here; give --url"
        ))
    })?;
    let path = if options.live { "livez" } else { "readyz" };
    Ok(format!("http://{address}/{path}"))
}

fn is_http(uri: &Uri) -> bool {
    uri.scheme_str() == Some("http") && uri.host().is_some()
}

async fn ask(uri: Uri) -> anyhow::Result<(StatusCode, Bytes)> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let answer = client.get(uri).await?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX);
    let body = body.collect().await.map_err(anyhow::Error::from_boxed)?;
    Ok((status, body.to_bytes()))
}

/// The answer of an admin port, on one line.
fn shown(body: &[u8]) -> String {
    match serde_json::from_slice::<Value>(body) {
        Ok(answer) => answer.to_string(),
        Err(_) => String::from_utf8_lossy(body).trim().to_owned(),
    }
}
