//! What Prometheus gets of the real binaries.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use harkara_telemetry::catalogue::{Metric, Values, of_ingress, of_worker};
use harkara_testkit::{promtool, wait_until};

use super::{BOUND, Deployment, metrics};

/// The name of a sample and its labels, as they are written.
type Sample<'a> = (&'a str, Vec<(&'a str, &'a str)>);

fn samples(text: &str) -> Vec<Sample<'_>> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line| {
        let (series, _) = str::rsplit_once(line, ' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.trim_end_matches('}').split(',');
        let labels = labels.filter_map(|label| label.split_once('='));
        let unquoted = labels.map(|(name, value)| (name, value.trim_matches('"')));
        (name, unquoted.collect())
    };
    lines.map(sample).collect()
}

/// Checks a scrape with promtool.
fn check(scrape: &str) {
    let mut child = Command::new(promtool())
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(scrape.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let problems = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && problems.is_empty(), "{problems}");
}

/// Compares a scrape with the catalogue.
fn compare<'a>(scrape: &str, catalogue: impl Iterator<Item = &'a Metric>) {
    let catalogue: Vec<&Metric> = catalogue.collect();
    let samples = samples(scrape);
    let scraped: BTreeSet<&str> = scrape
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let expected: BTreeSet<&str> = catalogue.iter().map(|metric| metric.name).collect();
    assert_eq!(scraped, expected);
    for metric in catalogue {
        let kind = format!("# TYPE {} {}", metric.name, metric.kind);
        assert!(scrape.lines().any(|line| line == kind), "{kind}");
        let help = format!("# HELP {} {}", metric.name, metric.help);
        let is_help = |line: &str| line.trim_end_matches('.') == help;
        assert!(scrape.lines().any(is_help), "{help}");
        let expected: BTreeSet<&str> = metric.labels.iter().map(|label| label.name).collect();
        let mut n_samples = 0;
        for (name, labels) in &samples {
            let rest = name.strip_prefix(metric.name);
            if !rest.is_some_and(|rest| ["", "_bucket", "_sum", "_count"].contains(&rest)) {
                continue;
            }
            n_samples += 1;
            let labels = labels.iter().filter(|(name, _)| *name != "le");
            let names: BTreeSet<&str> = labels.clone().map(|(name, _)| *name).collect();
            assert_eq!(names, expected, "{}", metric.name);
            for (name, value) in labels {
                let label = metric.labels.iter().find(|label| label.name == *name);
                if let Values::OneOf(values) = label.unwrap().values {
                    assert!(values.contains(value), "{}: {name}={value}", metric.name);
                }
            }
        }
        assert!(n_samples > 0, "{} has no sample", metric.name);
    }
}

#[tokio::test]
async fn both_binaries_serve_the_metrics_of_the_catalogue_and_promtool_finds_no_problem() {
    let deployment = Deployment::start(&[]).await;
    let harkara = deployment.harkara();
    harkara.stdout("trigger all --duplicate --follow").await;
    harkara
        .stdout("trigger payment.captured --bad-signature")
        .await;
    let (ingress, worker) = (deployment.ingress_admin, deployment.worker_admin);
    // The rates of the backlog are known from its second sample on, and causes once one was found.
    wait_until("all is known", BOUND, async || {
        let (ingress, worker) = (metrics(ingress).await, metrics(worker).await);
        let knows = |scrape: &str| scrape.contains("harkara_backlog_arrivals_per_second{");
        knows(&ingress) && knows(&worker) && ingress.contains("_refused_causes_total{")
    })
    .await;
    let (ingress, worker) = (metrics(ingress).await, metrics(worker).await);
    compare(&ingress, of_ingress());
    compare(&worker, of_worker());
    check(&ingress);
    check(&worker);
}
