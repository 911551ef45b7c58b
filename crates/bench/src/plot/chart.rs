//! A line chart as SVG, legible on light and dark pages.

use std::fmt::Write;

use super::scale::Scale;

/// A chart of a few lines over one axis.
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) x_name: String,
    pub(crate) y_name: String,
    /// The values of x are counts.
    pub(crate) whole_x: bool,
    pub(crate) lines: Vec<Line>,
}

/// A line and its name in the legend.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 56.0;

/// Colours that stand out from white and from near-black alike.
const COLOURS: [&str; 4] = ["#2f81f7", "#e8590c", "#2b9348", "#9c5de0"];

/// Text and axes follow the page; the grid is a grey that shows on both.
const STYLE: &str = "text{font-family:system-ui,sans-serif;font-size:13px;fill:#24292f}\
    .title{font-size:15px;font-weight:600}.axis{stroke:#57606a}.grid{stroke:#8c959f;stroke-opacity:.35}\
    @media(prefers-color-scheme:dark){text{fill:#e6edf3}.axis{stroke:#9ea7b3}}";

impl Chart {
    /// The whole picture.
    pub(crate) fn svg(&self) -> String {
        let mut svg = String::new();
        self.draw(&mut svg)
            .expect("writing to a text does not fail");
        svg
    }

    fn draw(&self, svg: &mut String) -> std::fmt::Result {
        let title = escaped(&self.title);
        writeln!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">"
        )?;
        writeln!(svg, "<style>{STYLE}</style>")?;
        writeln!(
            svg,
            "<text class=\"title\" x=\"{LEFT}\" y=\"24\">{title}</text>"
        )?;
        let largest = |of: fn(&(f64, f64)) -> f64| {
            let points = self.lines.iter().flat_map(|line| &line.points);
            points.map(of).fold(0.0, f64::max)
        };
        let x = Scale::to(largest(|point| point.0), self.whole_x);
        let y = Scale::to(largest(|point| point.1), false);
        self.axes(svg, &x, &y)?;
        for (line, colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            draw_line(svg, line, colour, &x, &y)?;
        }
        self.legend(svg)?;
        writeln!(svg, "</svg>")
    }

    fn axes(&self, svg: &mut String, x: &Scale, y: &Scale) -> std::fmt::Result {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for tick in y.ticks() {
            let at = y_of(y, tick);
            writeln!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{right}\" y2=\"{at:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 8.0,
                at + 4.0,
                number(tick, y.digits())
            )?;
        }
        for tick in x.ticks() {
            let at = x_of(x, tick);
            writeln!(
                svg,
                "<line class=\"axis\" x1=\"{at:.1}\" y1=\"{bottom}\" x2=\"{at:.1}\" y2=\"{:.1}\"/>\
                 <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                bottom + 5.0,
                bottom + 20.0,
                number(tick, x.digits())
            )?;
        }
        writeln!(
            svg,
            "<path class=\"axis\" fill=\"none\" d=\"M{LEFT} {TOP}V{bottom}H{right}\"/>"
        )?;
        writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            f64::midpoint(LEFT, right),
            HEIGHT - 12.0,
            escaped(&self.x_name)
        )?;
        let middle = f64::midpoint(TOP, bottom);
        writeln!(
            svg,
            "<text x=\"16\" y=\"{middle:.1}\" text-anchor=\"middle\" transform=\"rotate(-90 16 {middle:.1})\">{}</text>",
            escaped(&self.y_name)
        )
    }

    fn legend(&self, svg: &mut String) -> std::fmt::Result {
        let mut at = LEFT;
        for (line, colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            writeln!(
                svg,
                "<line x1=\"{at:.1}\" y1=\"44\" x2=\"{:.1}\" y2=\"44\" stroke=\"{colour}\" stroke-width=\"3\"/>\
                 <text x=\"{:.1}\" y=\"48\">{}</text>",
                at + 22.0,
                at + 28.0,
                escaped(&line.name)
            )?;
            // About the width of a letter at this size.
            at += 28.0 + 8.0 * crate::figures::count(line.name.chars().count()) + 20.0;
        }
        Ok(())
    }
}

fn draw_line(
    svg: &mut String,
    line: &Line,
    colour: &str,
    x: &Scale,
    y: &Scale,
) -> std::fmt::Result {
    let places: Vec<(f64, f64)> = line
        .points
        .iter()
        .map(|(at, value)| (x_of(x, *at), y_of(y, *value)))
        .collect();
    let points: Vec<String> = places
        .iter()
        .map(|(x, y)| format!("{x:.1},{y:.1}"))
        .collect();
    writeln!(
        svg,
        "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2.5\" points=\"{}\"/>",
        points.join(" ")
    )?;
    for (x, y) in places {
        writeln!(
            svg,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>"
        )?;
    }
    Ok(())
}

fn x_of(scale: &Scale, value: f64) -> f64 {
    LEFT + scale.place(value) * (WIDTH - LEFT - RIGHT)
}

fn y_of(scale: &Scale, value: f64) -> f64 {
    HEIGHT - BOTTOM - scale.place(value) * (HEIGHT - TOP - BOTTOM)
}

fn number(value: f64, digits: usize) -> String {
    if value >= 10_000.0 {
        return format!("{}k", value / 1000.0);
    }
    format!("{value:.digits$}")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::{Chart, Line};

    #[test]
    fn a_chart_names_its_axes_and_lines_and_stays_within_its_frame() {
        let chart = Chart {
            title: "a < b".to_owned(),
            x_name: "rate".to_owned(),
            y_name: "ms".to_owned(),
            whole_x: false,
            lines: vec![Line {
                name: "p99".to_owned(),
                points: vec![(1000.0, 1.0), (50_000.0, 4.0)],
            }],
        };
        let svg = chart.svg();
        for part in [
            "a &lt; b",
            ">rate<",
            ">ms<",
            ">p99<",
            "prefers-color-scheme:dark",
            ">50k<",
        ] {
            assert!(svg.contains(part), "{part} is missing in {svg}");
        }
        assert!(!svg.contains("NaN") && !svg.contains("=\"-"));
        assert_eq!(svg.matches("<circle").count(), 2);
    }
}
