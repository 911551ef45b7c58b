//! The backlog as gauges. What is not known has no sample, so that nobody takes it for zero.

use std::fmt;

use harkara_core::backlog::Figures;
use harkara_core::lane::Lane;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::Latest;

/// A gauge of each lane.
struct LaneGauge {
    name: &'static str,
    help: &'static str,
    value: fn(&Figures) -> Option<f64>,
}

/// Every gauge of a lane.
const LANE_GAUGES: [LaneGauge; 7] = [
    LaneGauge {
        name: "harkara_backlog_entries",
        help: "Entries in the stream, claimed or not",
        value: |lane| Some(float(lane.entries)),
    },
    LaneGauge {
        name: "harkara_backlog_pending",
        help: "Entries that a consumer has claimed and that are not committed yet",
        value: |lane| Some(float(lane.pending)),
    },
    LaneGauge {
        name: "harkara_backlog_ledger_due",
        help: "Pending rows of the ledger that are due",
        value: |lane| lane.ledger_due.map(float),
    },
    LaneGauge {
        name: "harkara_backlog_oldest_age_seconds",
        help: "Time since the oldest entry was appended or the first row came due; 0 without any",
        value: |lane| Some(lane.oldest_age_s.unwrap_or_default()),
    },
    LaneGauge {
        name: "harkara_backlog_arrivals_per_second",
        help: "What came in a second, mean of the last half minute",
        value: |lane| lane.arrivals_per_s,
    },
    LaneGauge {
        name: "harkara_backlog_drained_per_second",
        help: "What left in a second, mean of the last half minute",
        value: |lane| lane.drained_per_s,
    },
    LaneGauge {
        name: "harkara_backlog_seconds_to_drain",
        help: "How long the backlog takes at the present rate; no sample where nothing leaves",
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
        encoder
            .encode_descriptor(
                "harkara_backlog_complete",
                "1 where the backlog is known, 0 where something could not be asked",
                None,
                MetricType::Gauge,
            )?
            .encode_gauge(&f64::from(u8::from(report.is_complete())))?;
        let Some(backlog) = report.present() else {
            return Ok(());
        };
        for gauge in LANE_GAUGES {
            let mut metric =
                encoder.encode_descriptor(gauge.name, gauge.help, None, MetricType::Gauge)?;
            for lane in Lane::ALL {
                if let Some(value) = (gauge.value)(&backlog.lanes[lane.index()]) {
                    metric
                        .encode_family(&[("lane", lane.as_str())])?
                        .encode_gauge(&value)?;
                }
            }
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "no backlog comes near 2^53")]
fn float(number: u64) -> f64 {
    number as f64
}
