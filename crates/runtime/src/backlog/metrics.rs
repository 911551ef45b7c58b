//! The backlog as gauges. What is not known has no sample, so that nobody takes it for zero.

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

use super::Latest;

/// A gauge of each lane.
struct LaneGauge {
    metric: &'static Metric,
    value: fn(&Figures) -> Option<f64>,
}

/// Every gauge of a lane.
const LANE_GAUGES: [LaneGauge; 7] = [
    LaneGauge {
        metric: &BACKLOG_ENTRIES,
        value: |lane| Some(float(lane.entries)),
    },
    LaneGauge {
        metric: &BACKLOG_PENDING,
        value: |lane| Some(float(lane.pending)),
    },
    LaneGauge {
        metric: &BACKLOG_LEDGER_DUE,
        value: |lane| lane.ledger_due.map(float),
    },
    LaneGauge {
        metric: &BACKLOG_OLDEST_AGE_SECONDS,
        value: |lane| Some(lane.oldest_age_s.unwrap_or_default()),
    },
    LaneGauge {
        metric: &BACKLOG_ARRIVALS_PER_SECOND,
        value: |lane| lane.arrivals_per_s,
    },
    LaneGauge {
        metric: &BACKLOG_DRAINED_PER_SECOND,
        value: |lane| lane.drained_per_s,
    },
    LaneGauge {
        metric: &BACKLOG_SECONDS_TO_DRAIN,
        value: |lane| lane.seconds_to_drain,
    },
];

impl Latest {
    /// Registers the gauges of the backlog.
    pub fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(self.clone()));
    }
}

impl Collector for Latest {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let report = self.report();
        gauge(&mut encoder, &BACKLOG_COMPLETE)?
            .encode_gauge(&f64::from(u8::from(report.is_complete())))?;
        let Some(backlog) = report.present() else {
            return Ok(());
        };
        for LaneGauge { metric, value } in LANE_GAUGES {
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
