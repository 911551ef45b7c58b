//! The backlog as gauges. An unknown value has no sample, so that nobody reads it as zero.

use std::fmt;

use harkara_core::backlog::{Consumers, Figures};
use harkara_core::lane::Lane;
use harkara_telemetry::catalogue::{
    BACKLOG_ARRIVALS_PER_SECOND, BACKLOG_COMPLETE, BACKLOG_CONSUMERS, BACKLOG_DEAD_LETTERS,
    BACKLOG_DRAINED_PER_SECOND, BACKLOG_ENTRIES, BACKLOG_LEDGER_DUE, BACKLOG_OLDEST_AGE_SECONDS,
    BACKLOG_PENDING, BACKLOG_SECONDS_TO_DRAIN, Metric,
};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use harkara_streams::backlog::Latest;

/// A gauge of each lane, and its value if it is known.
type LaneGauge = (&'static Metric, fn(&Figures) -> Option<f64>);

const LANE_GAUGES: [LaneGauge; 7] = [
    (&BACKLOG_ENTRIES, |lane| Some(float(lane.entries))),
    (&BACKLOG_PENDING, |lane| Some(float(lane.pending))),
    (&BACKLOG_LEDGER_DUE, |lane| lane.ledger_due.map(float)),
    (&BACKLOG_OLDEST_AGE_SECONDS, |lane| {
        Some(lane.oldest_age_s.unwrap_or_default())
    }),
    (&BACKLOG_ARRIVALS_PER_SECOND, |lane| lane.arrivals_per_s),
    (&BACKLOG_DRAINED_PER_SECOND, |lane| lane.drained_per_s),
    (&BACKLOG_SECONDS_TO_DRAIN, |lane| lane.seconds_to_drain),
];

/// Registers the gauges of the backlog.
pub fn register(latest: &Latest, registry: &mut Registry) {
    registry.register_collector(Box::new(Gauges(latest.clone())));
}

#[derive(Debug)]
struct Gauges(Latest);

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let report = self.0.report();
        gauge(&mut encoder, &BACKLOG_COMPLETE)?
            .encode_gauge(&f64::from(u8::from(report.is_complete())))?;
        let Some(backlog) = report.present() else {
            return Ok(());
        };
        for (metric, value) in LANE_GAUGES {
            let mut encoder = gauge(&mut encoder, metric)?;
            for lane in Lane::ALL {
                if let Some(value) = value(&backlog.lanes[lane.index()]) {
                    encoder
                        .encode_family(&[("lane", lane.as_str())])?
                        .encode_gauge(&value)?;
                }
            }
        }
        let mut consumers = gauge(&mut encoder, &BACKLOG_CONSUMERS)?;
        let Consumers { alive, stale } = backlog.consumers;
        for (state, n) in [("alive", alive), ("stale", stale)] {
            consumers
                .encode_family(&[("state", state)])?
                .encode_gauge(&float(n))?;
        }
        if let Some(dead_letters) = backlog.dead_letters {
            gauge(&mut encoder, &BACKLOG_DEAD_LETTERS)?.encode_gauge(&float(dead_letters))?;
        }
        Ok(())
    }
}

fn gauge<'e>(
    encoder: &'e mut DescriptorEncoder,
    metric: &'e Metric,
) -> Result<MetricEncoder<'e>, fmt::Error> {
    encoder.encode_descriptor(metric.name, metric.help, None, MetricType::Gauge)
}

#[expect(clippy::cast_precision_loss, reason = "no backlog comes near 2^53")]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::ready;

    use harkara_core::backlog::LedgerSample;
    use harkara_core::lane::Lane;
    use harkara_core::redis_keys::RedisKeys;
    use harkara_settings::Settings;
    use harkara_streams::backlog::{Latest, Observer};
    use harkara_streams::{Deployment, pool};
    use harkara_testkit::RedisServer;
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::register;

    #[tokio::test]
    async fn unknown_values_have_no_sample() {
        let mut server = RedisServer::start(&[]).await;
        let settings = Settings::from_pairs([("redis.url", server.url())]).unwrap();
        let pool = pool(&settings.redis);
        let key = RedisKeys::default().stream(Lane::Normal);
        for _ in 0..5 {
            let mut append = redis::cmd("XADD");
            append.arg(&key).arg(&["*", "a", "b"]);
            let append = async |redis: &mut _| append.query_async::<()>(redis).await;
            harkara_streams::ask_over(&pool, append).await.unwrap();
        }
        let mut observer = Observer::new(pool, Deployment::of(&settings), &settings.worker, || {
            ready(Ok::<_, Infallible>(LedgerSample::default()))
        });
        let latest = Latest::default();
        let mut registry = Registry::default();
        register(&latest, &mut registry);
        let metrics = || {
            let mut text = String::new();
            encode(&mut text, &registry).unwrap();
            text
        };

        latest.publish(observer.sample().await);
        let shown = metrics();
        assert!(shown.contains("harkara_backlog_complete 1.0"), "{shown}");
        let entries = r#"harkara_backlog_entries{lane="normal"} 5.0"#;
        assert!(shown.contains(entries), "{shown}");
        let drain = r#"harkara_backlog_seconds_to_drain{lane="normal"}"#;
        assert!(!shown.contains(drain), "{shown}");

        server.kill();
        latest.publish(observer.sample().await);
        let shown = metrics();
        assert!(shown.contains("harkara_backlog_complete 0.0"), "{shown}");
        assert!(!shown.contains("lane="), "{shown}");
    }
}
