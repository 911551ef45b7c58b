//! The plots of the report: line charts as SVG, on a white background so that they are readable on light and dark
//! pages alike.

use std::path::Path;
use std::{fs, io};

use anyhow::{Context, Result};
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::figures::{Latency, count};
use crate::measurements::{ingress, worker};
use crate::results::Results;

const SIZE: (u32, u32) = (760, 420);
/// Room above the largest value for the legend of two lines.
const ABOVE: f64 = 1.2;
/// Room right of the largest value for its mark.
const BESIDE: f64 = 1.03;
/// Length of the stroke that shows a line's colour in the legend.
const LEGEND_STROKE: i32 = 22;

const FONT: &str = "system-ui, sans-serif";
const TITLE: f64 = 19.0;
const TEXT: f64 = 16.5;
const INK: RGBColor = RGBColor(0x24, 0x29, 0x2f);
const AXIS: RGBColor = RGBColor(0x57, 0x60, 0x6a);
const GRID: RGBColor = RGBColor(0xd8, 0xde, 0xe4);
/// At least 4.5 : 1 against white; blue and orange differ even without red or green.
const COLOURS: [RGBColor; 2] = [RGBColor(0x09, 0x69, 0xda), RGBColor(0xc2, 0x41, 0x0c)];

/// At most this many marks on an axis.
const TICKS: usize = 8;

/// A chart of a few lines over one axis; both axes start at 0.
struct Chart {
    title: &'static str,
    x_name: &'static str,
    y_name: &'static str,
    /// The values of x are counts.
    whole_x: bool,
    lines: Vec<Line>,
}

/// A line and its name in the legend.
struct Line {
    name: &'static str,
    points: Vec<(f64, f64)>,
}

/// Draws latency by rate and throughput by workers, each if it has a line to draw.
pub(crate) fn draw(results: &Results, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for (name, chart) in [
        ("latency-by-rate.svg", latency_by_rate(results)),
        ("throughput-by-workers.svg", throughput_by_workers(results)),
    ] {
        if chart.lines.iter().any(|line| line.points.len() > 1) {
            let path = folder.join(name);
            fs::write(&path, chart.svg()?)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}

fn latency_by_rate(results: &Results) -> Chart {
    let rows = ingress::reached_rates(results);
    let line = |name, of: fn(&Latency) -> f64| Line {
        name,
        points: rows
            .iter()
            .filter_map(|row| Some((row.median.rate_per_s, of(row.median.latency.as_ref()?))))
            .collect(),
    };
    Chart {
        title: "Ingress: latency against rate (open model, appendfsync everysec)",
        x_name: "webhooks a second",
        y_name: "milliseconds",
        whole_x: false,
        lines: vec![line("p50", |l| l.p50_ms), line("p99", |l| l.p99_ms)],
    }
}

fn throughput_by_workers(results: &Results) -> Chart {
    let rates = worker::scaling(results).into_iter();
    Chart {
        title: "Worker: throughput against workers (one committer each)",
        x_name: "workers",
        y_name: "events a second",
        whole_x: true,
        lines: vec![Line {
            name: "events committed",
            points: rates
                .map(|(workers, row)| (workers, row.median.rate_per_s))
                .collect(),
        }],
    }
}

impl Chart {
    /// The whole picture.
    fn svg(&self) -> Result<String, DrawingAreaErrorKind<io::Error>> {
        let mut svg = String::new();
        self.draw_on(&SVGBackend::with_string(&mut svg, SIZE).into_drawing_area())?;
        Ok(svg)
    }

    fn draw_on(
        &self,
        page: &DrawingArea<SVGBackend<'_>, Shift>,
    ) -> Result<(), DrawingAreaErrorKind<io::Error>> {
        let text = (FONT, TEXT).into_font().color(&INK);
        let (largest_x, largest_y) = (self.largest(|p| p.0), self.largest(|p| p.1));
        page.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(page)
            .caption(
                self.title,
                (FONT, TITLE).into_font().style(FontStyle::Bold).color(&INK),
            )
            .margin(12)
            .x_label_area_size(52)
            .y_label_area_size(68)
            .build_cartesian_2d(0.0..largest_x * BESIDE, 0.0..largest_y * ABOVE)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(AXIS)
            .label_style(text.clone())
            .x_labels(self.x_ticks(largest_x))
            .y_labels(TICKS)
            .x_label_formatter(&|value| number(*value))
            .y_label_formatter(&|value| number(*value))
            .x_desc(self.x_name)
            .y_desc(self.y_name)
            .draw()?;
        for (line, colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            chart
                .draw_series(
                    LineSeries::new(line.points.iter().copied(), colour.filled().stroke_width(3))
                        .point_size(4),
                )?
                .label(line.name)
                .legend(|(x, y)| {
                    PathElement::new([(x, y), (x + LEGEND_STROKE, y)], colour.stroke_width(3))
                });
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE)
            .margin(4)
            .label_font(text)
            .draw()?;
        page.present()
    }

    /// The largest value of all lines; 1 if there is none above 0.
    fn largest(&self, of: fn(&(f64, f64)) -> f64) -> f64 {
        let points = self.lines.iter().flat_map(|line| &line.points);
        let largest = points.map(of).fold(0.0, f64::max);
        if largest > 0.0 { largest } else { 1.0 }
    }

    /// Counts get no more marks than there are whole numbers, so that none falls between two.
    fn x_ticks(&self, largest: f64) -> usize {
        let wholes = (1..TICKS).take_while(|n| count(*n) <= largest);
        if self.whole_x {
            1 + wholes.count()
        } else {
            TICKS
        }
    }
}

/// A mark: thousands with a k once there are ten of them.
fn number(value: f64) -> String {
    // Marks are sums of steps: without rounding, 0.3 can read 0.30000000000000004.
    let rounded = |value: f64| (value * 1000.0).round() / 1000.0;
    if value >= 10_000.0 {
        format!("{}k", rounded(value / 1000.0))
    } else {
        rounded(value).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::{Chart, Line, SIZE};

    fn svg(whole_x: bool, lines: &[&[(f64, f64)]]) -> String {
        let line = |(name, points): (&'static str, &&[(f64, f64)])| Line {
            name,
            points: points.to_vec(),
        };
        let chart = Chart {
            title: "a < b",
            x_name: "rate",
            y_name: "ms",
            whole_x,
            lines: ["line 0", "line 1"]
                .into_iter()
                .zip(lines)
                .map(line)
                .collect(),
        };
        chart.svg().expect("a string accepts everything")
    }

    /// The texts of the picture in the order in which they are drawn.
    fn texts(svg: &str) -> Vec<&str> {
        svg.lines().filter(|line| !line.starts_with('<')).collect()
    }

    /// An attribute of every tag of a kind.
    fn attribute(svg: &str, tag: &str, name: &str) -> Vec<f64> {
        let (tag, name) = (format!("<{tag} "), format!(" {name}=\""));
        svg.lines()
            .filter(|line| line.starts_with(&tag))
            .map(|line| {
                let (_, value) = line.split_once(&name).expect("the tag has the attribute");
                let (value, _) = value.split_once('"').expect("the attribute ends");
                value.parse().expect("the attribute is a number")
            })
            .collect()
    }

    #[test]
    fn a_chart_names_its_axes_and_lines_and_stays_within_its_white_frame() {
        let (width, height) = SIZE;
        let svg = svg(
            false,
            &[&[(1000.0, 1.0), (50_000.0, 4.0)], &[(1000.0, 0.5)]],
        );
        for text in ["a &lt; b", "rate", "ms", "line 0", "line 1", "50k", "4"] {
            assert!(texts(&svg).contains(&text), "{text} is missing in {svg}");
        }
        for (name, end) in [("cx", width), ("cy", height)] {
            let places = attribute(&svg, "circle", name);
            assert_eq!(places.len(), 3);
            assert!(places.iter().all(|at| (0.0..f64::from(end)).contains(at)));
        }
        let (_, first) = svg.split_once(">\n").expect("the frame is a tag");
        let background = format!(r#"<rect x="0" y="0" width="{width}" height="{height}""#);
        assert!(first.starts_with(&background) && first.contains(r##"fill="#FFFFFF""##));
    }

    #[test]
    fn the_legend_of_two_lines_covers_no_point() {
        let highest: &[(f64, f64)] = &[(0.0, 7.0), (1.0, 7.0)];
        let svg = svg(false, &[highest, highest]);
        let [top, height] = ["y", "height"].map(|name| {
            let of_rects = attribute(&svg, "rect", name);
            *of_rects.last().expect("the legend has a background")
        });
        let points = attribute(&svg, "circle", "cy");
        assert!(points.iter().all(|at| *at > top + height), "{svg}");
    }

    #[test]
    fn counts_are_marked_at_whole_numbers_only() {
        let three: &[(f64, f64)] = &[(1.0, 900.0), (3.0, 2500.0)];
        let (whole, other) = (svg(true, &[three]), svg(false, &[three]));
        let marks = ["0", "1", "2", "3"];
        assert!(marks.iter().all(|mark| texts(&whole).contains(mark)));
        assert!(!texts(&whole).contains(&"0.5"));
        assert!(texts(&other).contains(&"0.5"));
    }

    #[test]
    fn lines_that_never_leave_zero_are_drawn() {
        for lines in [&[][..], &[&[(0.0, 0.0)][..]][..]] {
            assert!(texts(&svg(false, lines)).contains(&"0.8"));
        }
    }
}
