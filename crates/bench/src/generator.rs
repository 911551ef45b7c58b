//! The load generator, on a thread of its own, so that looking at servers does not disturb it.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use harkara_load::{Closed, Corpus, LoadError, LoadReport, LoadTarget, Open};
use tokio::sync::oneshot;

/// Connections of the closed model.
pub(crate) const CONNECTIONS: usize = 128;

/// Most connections of the open model.
const OPEN_CONNECTIONS_MAX: usize = 512;

/// How requests follow one another.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Model {
    /// As fast as they are answered.
    Closed,
    /// At a fixed rate.
    Open { rate_per_s: f64, tick: Duration },
}

/// Sends deliveries for a while, or until the range is used up.
pub(crate) async fn send(
    address: SocketAddr,
    corpus: &Arc<Corpus>,
    range: Range<usize>,
    model: Model,
    duration: Duration,
) -> Result<LoadReport> {
    let corpus = Arc::clone(corpus);
    let (sender, done) = oneshot::channel();
    std::thread::Builder::new()
        .name("generator".to_owned())
        .spawn(move || {
            let sent = on_this_thread(address, &corpus, range, model, duration);
            // Nobody waits for it only where the benchmark itself is ending.
            drop(sender.send(sent));
        })?;
    done.await.context("the generator failed")?
}

fn on_this_thread(
    address: SocketAddr,
    corpus: &Arc<Corpus>,
    range: Range<usize>,
    model: Model,
    duration: Duration,
) -> Result<LoadReport> {
    let target = LoadTarget::new(address);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let sent: Result<LoadReport, LoadError> = runtime.block_on(async {
        match model {
            Model::Closed => {
                let model = Closed {
                    connections: CONNECTIONS,
                    duration,
                };
                harkara_load::closed(&target, corpus, range, &model).await
            }
            Model::Open { rate_per_s, tick } => {
                let model = Open {
                    rate_per_s,
                    connections_max: OPEN_CONNECTIONS_MAX,
                    tick,
                    duration,
                };
                harkara_load::open(&target, corpus, range, &model).await
            }
        }
    });
    sent.context("the generator failed")
}
