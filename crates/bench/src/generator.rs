//! The load generator, on a thread of its own, so that inspecting servers does not disturb it.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use harkara_load::{Closed, Corpus, LoadReport, LoadTarget, Mix, Open};
use tokio::sync::oneshot;

/// Connections of the closed model.
const CONNECTIONS: usize = 128;

/// Maximum connections of the open model.
const OPEN_CONNECTIONS_MAX: usize = 512;

/// What is sent, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traffic {
    pub(crate) mix: Mix,
    pub(crate) model: Model,
    pub(crate) duration: Duration,
}

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
    let (corpus, target) = (Arc::clone(corpus), LoadTarget::new(address));
    let sending = async move || match model {
        Model::Closed => {
            let model = Closed {
                connections: CONNECTIONS,
                duration,
            };
            harkara_load::closed(&target, &corpus, range, &model).await
        }
        Model::Open { rate_per_s, tick } => {
            let model = Open {
                rate_per_s,
                connections_max: OPEN_CONNECTIONS_MAX,
                tick,
                duration,
            };
            harkara_load::open(&target, &corpus, range, &model).await
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (sender, sent) = oneshot::channel();
    std::thread::Builder::new()
        .name("generator".to_owned())
        .spawn(move || {
            // Nobody waits for the report only if the benchmark itself is ending.
            drop(sender.send(runtime.block_on(sending())));
        })?;
    sent.await
        .context("the generator panicked")?
        .context("the generator failed")
}
