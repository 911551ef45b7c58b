//! Probes: is a dependency up?

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

type Answer = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// A question to one dependency. It writes nothing, and its answer is bounded by the asker.
#[derive(Clone)]
pub struct Probe {
    name: &'static str,
    pub(super) one_is_enough: bool,
    ask: Arc<dyn Fn() -> Answer + Send + Sync>,
}

/// What a dependency answered.
pub(super) struct Outcome {
    pub(super) result: Result<(), String>,
    latency: Duration,
}

impl Probe {
    /// A probe of the dependency `name`; `ask` gives the reason where it is down. A reason is shown
    /// on the admin port, so it holds no secret.
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

    /// The same, of a dependency that others of its kind can stand in for: of those that were made with
    /// this, one that is up is enough.
    pub fn one_of<F, A>(name: &'static str, ask: F) -> Self
    where
        F: Fn() -> A + Send + Sync + 'static,
        A: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self {
            one_is_enough: true,
            ..Self::new(name, ask)
        }
    }
}

/// Whether the dependencies that are up are enough.
pub(super) fn suffice(probes: &[Probe], outcomes: &[(&'static str, Outcome)]) -> bool {
    let all = probes.iter().zip(outcomes);
    let mut required = all.clone().filter(|(probe, _)| !probe.one_is_enough);
    let mut one_of = all.filter(|(probe, _)| probe.one_is_enough).peekable();
    let is_up = |(_, (_, outcome)): (&Probe, &(&'static str, Outcome))| outcome.result.is_ok();
    required.all(is_up) && (one_of.peek().is_none() || one_of.any(is_up))
}

/// Asks all dependencies at once and waits no longer than `timeout` for any of them.
pub(super) async fn run_all(probes: &[Probe], timeout: Duration) -> Vec<(&'static str, Outcome)> {
    let mut asked = JoinSet::new();
    for (index, probe) in probes.iter().cloned().enumerate() {
        asked.spawn(async move { (index, run(probe, timeout).await) });
    }
    let mut outcomes: Vec<Option<Outcome>> = probes.iter().map(|_| None).collect();
    while let Some(answered) = asked.join_next().await {
        if let Ok((index, outcome)) = answered {
            outcomes[index] = Some(outcome);
        }
    }
    let panicked = || Outcome {
        result: Err("the probe panicked".to_owned()),
        latency: timeout,
    };
    let named = |(probe, outcome): (&Probe, Option<Outcome>)| {
        (probe.name, outcome.unwrap_or_else(panicked))
    };
    probes.iter().zip(outcomes).map(named).collect()
}

async fn run(probe: Probe, timeout: Duration) -> Outcome {
    let asked_at = Instant::now();
    let result = match tokio::time::timeout(timeout, (probe.ask)()).await {
        Ok(result) => result,
        Err(_) => Err(format!("no answer within {} ms", timeout.as_millis())),
    };
    Outcome {
        result,
        latency: asked_at.elapsed(),
    }
}

impl Outcome {
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
    async fn of_those_that_stand_in_for_each_other_one_is_enough() {
        let up = || async { Ok(()) };
        let down = || async { Err("refused".to_owned()) };
        for (probes, enough) in [
            (vec![Probe::new("a", up), Probe::new("b", up)], true),
            (vec![Probe::new("a", up), Probe::new("b", down)], false),
            (vec![Probe::one_of("a", down), Probe::one_of("b", up)], true),
            (
                vec![Probe::one_of("a", down), Probe::one_of("b", down)],
                false,
            ),
            (vec![Probe::one_of("a", up), Probe::new("b", down)], false),
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
        let results: Vec<_> = outcomes
            .iter()
            .map(|(name, outcome)| (*name, outcome.result.as_ref().err()))
            .collect();
        assert_eq!(results[0], ("up", None));
        assert_eq!(results[1].1.unwrap(), "refused");
        assert_eq!(results[2].1.unwrap(), "no answer within 20 ms");
        assert_eq!(results[3].1.unwrap(), "the probe panicked");
    }
}
