//! Probes: is a dependency up?

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

type ProbeFuture = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// A check of one dependency. It writes nothing; the caller bounds it.
#[derive(Clone)]
pub struct Probe {
    name: &'static str,
    one_is_enough: bool,
    ask: Arc<dyn Fn() -> ProbeFuture + Send + Sync>,
}

/// The answer of a dependency.
pub(super) struct ProbeOutcome {
    result: Result<(), String>,
    latency: Duration,
}

impl Probe {
    /// A probe of the dependency `name`; `ask` returns the reason if it is down. The admin port shows the
    /// reason, so it must contain no secret.
    pub fn new<F, A>(name: &'static str, ask: F) -> Self
    where
        F: Fn() -> A + Send + Sync + 'static,
        A: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self {
            name,
            one_is_enough: false,
            ask: Arc::new(move || Box::pin(ask())),
        }
    }

    /// Of the dependencies with this, one that is up is enough.
    #[must_use]
    pub fn or_another(self) -> Self {
        Self {
            one_is_enough: true,
            ..self
        }
    }
}

/// Whether the dependencies that are up are enough.
pub(super) fn suffice(probes: &[Probe], outcomes: &[(&'static str, ProbeOutcome)]) -> bool {
    let all = probes.iter().zip(outcomes);
    let mut required = all.clone().filter(|(probe, _)| !probe.one_is_enough);
    let mut one_of = all.filter(|(probe, _)| probe.one_is_enough).peekable();
    let is_up = |(_, (_, outcome)): (&Probe, &(&'static str, ProbeOutcome))| outcome.result.is_ok();
    required.all(is_up) && (one_of.peek().is_none() || one_of.any(is_up))
}

/// Asks all dependencies in parallel and waits no longer than `timeout` for each.
pub(super) async fn run_all(
    probes: &[Probe],
    timeout: Duration,
) -> Vec<(&'static str, ProbeOutcome)> {
    let running = probes.iter().cloned();
    let running = running.map(|probe| (probe.name, tokio::spawn(run(probe, timeout))));
    let mut outcomes = Vec::new();
    for (name, running) in running.collect::<Vec<_>>() {
        let outcome = running.await.unwrap_or_else(|_| ProbeOutcome {
            result: Err("the probe panicked".to_owned()),
            latency: timeout,
        });
        outcomes.push((name, outcome));
    }
    outcomes
}

async fn run(probe: Probe, timeout: Duration) -> ProbeOutcome {
    let asked_at = Instant::now();
    let result = match tokio::time::timeout(timeout, (probe.ask)()).await {
        Ok(result) => result,
        Err(_) => Err(format!("no answer within {} ms", timeout.as_millis())),
    };
    ProbeOutcome {
        result,
        latency: asked_at.elapsed(),
    }
}

impl ProbeOutcome {
    pub(super) fn to_json(&self) -> Value {
        match &self.result {
            Ok(()) => {
                let micros = u32::try_from(self.latency.as_micros()).unwrap_or(u32::MAX);
                json!({ "state": "up", "latency_ms": f64::from(micros) / 1000.0 })
            }
            Err(reason) => json!({ "state": "down", "reason": reason }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use super::{Probe, run_all, suffice};

    #[tokio::test]
    async fn one_of_several_alternatives_is_enough() {
        let up = || Probe::new("up", || async { Ok(()) });
        let down = || Probe::new("down", || async { Err("refused".to_owned()) });
        for (probes, enough) in [
            (vec![up(), up()], true),
            (vec![up(), down()], false),
            (vec![down().or_another(), up().or_another()], true),
            (vec![down().or_another(), down().or_another()], false),
            (vec![up().or_another(), down()], false),
            (vec![], true),
        ] {
            let outcomes = run_all(&probes, Duration::from_secs(1)).await;
            assert_eq!(suffice(&probes, &outcomes), enough);
        }
    }

    #[tokio::test]
    async fn a_dependency_that_hangs_or_panics_counts_as_down_and_delays_no_other() {
        let probes = [
            Probe::new("up", || async { Ok(()) }),
            Probe::new("down", || async { Err("refused".to_owned()) }),
            Probe::new("hangs", pending),
            Probe::new("panics", || async { panic!("on purpose") }),
        ];
        let outcomes = run_all(&probes, Duration::from_millis(20)).await;
        let results = outcomes
            .into_iter()
            .map(|(name, outcome)| (name, outcome.result));
        let down = |reason: &str| Err(reason.to_owned());
        let expected = [
            ("up", Ok(())),
            ("down", down("refused")),
            ("hangs", down("no answer within 20 ms")),
            ("panics", down("the probe panicked")),
        ];
        assert_eq!(results.collect::<Vec<_>>(), expected);
    }
}
