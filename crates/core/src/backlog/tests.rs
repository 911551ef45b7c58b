use std::time::Duration;

use proptest::prelude::*;

use super::{
    Backlog, Consumers, Figures, LedgerLane, LedgerSample, Sample, Samples, StreamSample, float,
};
use crate::lane::{LANES, Lane};

const NOW_S: u64 = 1_764_000_000;

/// A sample some seconds after the first, with this stream in every lane.
fn sample(after_s: u64, stream: StreamSample) -> Sample {
    Sample {
        at_micros: (NOW_S + after_s) * 1_000_000,
        streams: [stream; LANES],
        consumers: Consumers::default(),
        ledger: Some(LedgerSample::default()),
    }
}

/// A stream with this many appends and departures.
fn stream(appended: u64, departed: u64) -> StreamSample {
    StreamSample {
        entries: appended - departed,
        appended: Some(appended),
        ..StreamSample::default()
    }
}

fn backlog_after(samples: impl IntoIterator<Item = Sample>) -> Backlog {
    let mut all = Samples::default();
    samples.into_iter().for_each(|sample| all.add(sample));
    all.backlog().unwrap()
}

fn lane_after(samples: impl IntoIterator<Item = Sample>) -> Figures {
    backlog_after(samples).lanes[Lane::Normal.index()]
}

#[test]
fn without_a_sample_nothing_is_known() {
    assert_eq!(Samples::default().backlog(), None);
}

#[test]
fn a_missing_stream_is_an_empty_backlog() {
    let figures = lane_after([sample(0, StreamSample::default())]);
    assert_eq!(
        figures,
        Figures {
            backlog: Some(0),
            ledger_due: Some(0),
            seconds_to_drain: Some(0.0),
            ..Figures::default()
        }
    );
}

#[test]
fn pending_entries_are_part_of_the_backlog() {
    let waiting = StreamSample {
        entries: 10,
        pending: 7,
        oldest_millis: Some(NOW_S * 1000 - 1500),
        appended: Some(100),
    };
    let figures = lane_after([sample(0, waiting)]);
    assert_eq!(
        (figures.entries, figures.pending, figures.undelivered),
        (10, 7, 3)
    );
    assert_eq!(figures.backlog, Some(10));
    assert_eq!(figures.oldest_age_s, Some(1.5));
    // One sample makes no rate.
    assert_eq!(figures.drained_per_s, None);
    assert_eq!(figures.seconds_to_drain, None);
}

#[test]
fn an_entry_ahead_of_the_clock_has_no_age() {
    let ahead = StreamSample {
        oldest_millis: Some((NOW_S + 60) * 1000),
        ..stream(1, 0)
    };
    assert_eq!(lane_after([sample(0, ahead)]).oldest_age_s, Some(0.0));
}

#[test]
fn rates_are_the_mean_over_the_window_and_older_samples_are_forgotten() {
    // 10 arrivals and 4 departures per second, after an hour without any.
    let figures = lane_after([
        sample(0, stream(1000, 0)),
        sample(3600, stream(1000, 0)),
        sample(3610, stream(1100, 40)),
        sample(3620, stream(1200, 80)),
        sample(3630, stream(1300, 120)),
    ]);
    assert_eq!(rates(&figures), [Some(10.0), Some(4.0), Some(1180.0 / 4.0)]);
}

/// The rates of arrivals and departures, and the time to drain.
fn rates(figures: &Figures) -> [Option<f64>; 3] {
    [
        figures.arrivals_per_s,
        figures.drained_per_s,
        figures.seconds_to_drain,
    ]
}

#[test]
fn the_time_to_drain_is_unknown_if_nothing_leaves() {
    let figures = lane_after([sample(0, stream(5, 0)), sample(10, stream(6, 0))]);
    assert_eq!(rates(&figures), [Some(0.1), Some(0.0), None]);
}

#[test]
fn without_a_count_of_appends_rates_are_unknown() {
    for (left, seconds_to_drain) in [(4, None), (0, Some(0.0))] {
        let old = |entries| StreamSample {
            entries,
            ..StreamSample::default()
        };
        let figures = lane_after([sample(0, old(9)), sample(10, old(left))]);
        assert_eq!(figures.backlog, Some(left));
        assert_eq!(rates(&figures), [None, None, seconds_to_drain]);
    }
}

#[test]
fn a_lost_stream_or_a_clock_that_goes_back_starts_over() {
    let lost = [sample(0, stream(100, 50)), sample(10, stream(3, 0))];
    assert_eq!(lane_after(lost.clone()).drained_per_s, None);
    let again = lost.into_iter().chain([sample(20, stream(23, 10))]);
    assert_eq!(rates(&lane_after(again))[..2], [Some(2.0), Some(1.0)]);

    let back = [sample(60, stream(10, 0)), sample(50, stream(20, 10))];
    assert_eq!(lane_after(back).drained_per_s, None);
}

fn with_due(sample: &Sample, due: u64, estimated: bool) -> Sample {
    let lane = LedgerLane {
        due,
        oldest_age: (due > 0).then_some(Duration::from_secs(90)),
    };
    Sample {
        ledger: Some(LedgerSample {
            lanes: [lane; LANES],
            estimated,
            ..LedgerSample::default()
        }),
        ..sample.clone()
    }
}

#[test]
fn due_rows_are_part_of_the_backlog_and_their_decrease_is_departures() {
    let figures = lane_after([
        with_due(&sample(0, stream(10, 0)), 100, false),
        with_due(&sample(10, stream(10, 5)), 80, false),
    ]);
    assert_eq!(figures.backlog, Some(85));
    assert_eq!(figures.ledger_due, Some(80));
    assert_eq!(figures.oldest_age_s, Some(90.0));
    assert_eq!(figures.drained_per_s, Some(2.5));
    assert_eq!(figures.seconds_to_drain, Some(34.0));
}

#[test]
fn rates_of_an_estimated_number_of_rows_are_unknown() {
    let mut samples = Samples::default();
    samples.add(with_due(&sample(0, stream(10, 0)), 90_000, true));
    samples.add(with_due(&sample(10, stream(10, 5)), 80, false));
    let backlog = samples.backlog().unwrap();
    assert!(!backlog.ledger_estimated);
    assert_eq!(backlog.total.drained_per_s, None);
    assert_eq!(backlog.total.seconds_to_drain, None);

    samples.add(with_due(&sample(15, stream(10, 5)), 90_000, true));
    let backlog = samples.backlog().unwrap();
    assert!(backlog.ledger_estimated);
    assert_eq!(backlog.total.backlog, Some(4 * 90_005));
    assert_eq!(backlog.total.seconds_to_drain, None);
}

#[test]
fn a_lane_without_due_rows_has_rates_despite_estimates() {
    let figures = lane_after([
        with_due(&sample(0, stream(10, 0)), 0, true),
        with_due(&sample(10, stream(10, 5)), 0, true),
    ]);
    assert_eq!(figures.drained_per_s, Some(0.5));
}

#[test]
fn without_the_ledger_only_the_streams_are_known() {
    let without = |sample| Sample {
        ledger: None,
        ..sample
    };
    let samples = [sample(0, stream(10, 0)), sample(10, stream(10, 10))];
    let total = backlog_after(samples.map(without)).total;
    assert_eq!(total.backlog, None);
    assert_eq!(total.ledger_due, None);
    assert_eq!(total.seconds_to_drain, None);
    assert_eq!(total.entries, 0);
    assert_eq!(total.drained_per_s, Some(4.0));
}

#[test]
fn json_has_lanes_by_name_highest_first() {
    let json = serde_json::to_string(&backlog_after([sample(0, stream(1, 0))])).unwrap();
    let places: Vec<_> = Lane::ALL
        .iter()
        .map(|lane| json.find(&format!("\"{lane}\":{{\"backlog\":1,")).unwrap())
        .collect();
    assert!(places.is_sorted(), "{json}");
    assert!(json.contains("\"seconds_to_drain\":null"), "{json}");
}

/// The changes of a lane between two samples.
#[derive(Clone, Copy, Debug)]
struct Step {
    after_s: u64,
    appended: u64,
    departed_percent: u64,
    due: u64,
}

fn steps() -> impl Strategy<Value = Vec<[Step; LANES]>> {
    let step = (1u64..20, 0u64..1000, 0u64..=100, 0u64..50).prop_map(
        |(after_s, appended, departed_percent, due)| Step {
            after_s,
            appended,
            departed_percent,
            due,
        },
    );
    prop::collection::vec(prop::array::uniform4(step), 1..20)
}

proptest! {
    #[test]
    fn the_total_is_the_sum_of_the_lanes_and_every_figure_is_a_number(steps in steps()) {
        let mut samples = Samples::default();
        let mut streams = [stream(0, 0); LANES];
        let mut after_s = 0;
        for step in &steps {
            after_s += step[0].after_s;
            for (stream, step) in streams.iter_mut().zip(step) {
                stream.appended = stream.appended.map(|appended| appended + step.appended);
                stream.entries += step.appended;
                stream.entries -= stream.entries * step.departed_percent / 100;
            }
            let mut now = sample(after_s, StreamSample::default());
            now.streams = streams;
            now.ledger = Some(LedgerSample {
                lanes: std::array::from_fn(|lane| LedgerLane { due: step[lane].due, oldest_age: None }),
                estimated: false,
                ..LedgerSample::default()
            });
            samples.add(now);

            let backlog = samples.backlog().unwrap();
            let sum: u64 = backlog.lanes.iter().map(|lane| lane.backlog.unwrap()).sum();
            prop_assert_eq!(backlog.total.backlog, Some(sum));
            for figures in backlog.lanes.iter().chain([&backlog.total]) {
                prop_assert_eq!(figures.entries, figures.undelivered + figures.pending);
                prop_assert_eq!(figures.backlog, Some(figures.entries + figures.ledger_due.unwrap()));
                for number in [figures.arrivals_per_s, figures.drained_per_s, figures.seconds_to_drain] {
                    prop_assert!(number.is_none_or(|number| number.is_finite() && number >= 0.0));
                }
                prop_assert_eq!(figures.seconds_to_drain == Some(0.0), figures.backlog == Some(0));
            }
        }
    }

    #[test]
    fn the_backlog_grows_by_arrivals_less_departures(
        appended in 0u64..10_000, departed in 0u64..10_000, due in 0u64..10_000, due_later in 0u64..10_000,
        elapsed_s in 1u64..30,
    ) {
        let then = with_due(&sample(0, stream(20_000, 5_000)), due, false);
        let now = with_due(&sample(elapsed_s, stream(20_000 + appended, 5_000 + departed)), due_later, false);
        let grew = float(15_000 + appended - departed + due_later) - float(15_000 + due);
        let figures = lane_after([then, now]);
        let net = figures.arrivals_per_s.unwrap() - figures.drained_per_s.unwrap();
        prop_assert!((net * float(elapsed_s) - grew).abs() < 0.1, "{figures:?}");
    }
}
