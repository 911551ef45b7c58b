//! The text of `/metrics`, in the format that the scraper asks for.

use std::fmt::{self, Write};

use actix_web::HttpRequest;
use actix_web::http::header::{Accept, Header as _, HeaderValue, Quality};
use prometheus_client::encoding::text::{encode, encode_registry};
use prometheus_client::registry::Registry;

const OPEN_METRICS: &str = "application/openmetrics-text";

/// A format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExpositionFormat {
    /// The text format 0.0.4 of Prometheus, which has no exemplars.
    Classic,
    /// `OpenMetrics` 1.0.0, with exemplars.
    OpenMetrics,
}

impl ExpositionFormat {
    /// The format for the `Accept` headers of a request: `OpenMetrics` if it is named and not refused.
    pub(super) fn accepted(request: &HttpRequest) -> Self {
        let ranges = Accept::parse(request).map_or_else(|_| Vec::new(), |accept| accept.0);
        let mut named = ranges.iter().filter(|range| range.quality > Quality::ZERO);
        if named.any(|range| range.item.essence_str() == OPEN_METRICS) {
            Self::OpenMetrics
        } else {
            Self::Classic
        }
    }

    pub(super) fn media_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        })
    }

    pub(super) fn write(self, registry: &Registry) -> Result<String, fmt::Error> {
        let mut text = String::new();
        match self {
            Self::OpenMetrics => encode(&mut text, registry)?,
            Self::Classic => {
                encode_registry(&mut text, registry)?;
                text = classic(&text)?;
            }
        }
        Ok(text)
    }
}

/// Converts the `OpenMetrics` text of `prometheus-client` to classic text. It has for each metric a line of help,
/// a line of its type and its samples without times; the help of a counter names it without `_total`.
fn classic(open: &str) -> Result<String, fmt::Error> {
    let mut text = String::with_capacity(open.len());
    let mut help = "";
    for line in open.split_terminator('\n') {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.rsplit_once(' ').ok_or(fmt::Error)?;
            let about = help.strip_prefix(name).ok_or(fmt::Error)?;
            let (end, kind) = match kind {
                "counter" => ("_total", kind),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                _ => ("", kind),
            };
            writeln!(text, "# HELP {name}{end}{about}\n# TYPE {name}{end} {kind}")?;
        } else if !line.starts_with('#') {
            writeln!(text, "{}", without_exemplar(line))?;
        }
    }
    Ok(text)
}

/// A sample up to the `#` that begins its exemplar. One between quotes belongs to the value of a label.
fn without_exemplar(sample: &str) -> &str {
    let (mut quoted, mut escaped) = (false, false);
    let begin = sample.bytes().position(|byte| {
        if escaped {
            escaped = false;
        } else {
            match byte {
                b'\\' => escaped = true,
                b'"' => quoted = !quoted,
                _ => {}
            }
        }
        byte == b'#' && !quoted
    });
    begin.map_or(sample, |at| sample[..at].trim_end())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::ACCEPT;
    use actix_web::test::TestRequest;
    use prometheus_client::encoding::EncodeLabelSet;
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::exemplar::{CounterWithExemplar, HistogramWithExemplars};
    use prometheus_client::metrics::family::Family;
    use prometheus_client::metrics::gauge::Gauge;
    use prometheus_client::metrics::info::Info;
    use prometheus_client::registry::Unit;

    use super::ExpositionFormat::{Classic, OpenMetrics};
    use super::*;

    #[derive(Clone, Debug, Default, PartialEq, Eq, Hash, EncodeLabelSet)]
    struct Trace {
        trace_id: &'static str,
    }

    #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
    struct Said {
        words: &'static str,
    }

    const TRACE: Option<Trace> = Some(Trace { trace_id: "4bf9" });

    #[test]
    fn open_metrics_must_be_named() {
        // As Prometheus 2.42 and 3.0 ask.
        let older = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let newer = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let mixed_case = "Application/OpenMetrics-Text ; Q=0.001";
        for (accept, format) in [
            (&[][..], Classic),
            (&["*/*"], Classic),
            (&["text/plain"], Classic),
            (&["text/html, application/*;q=0.9"], Classic),
            (&[older], OpenMetrics),
            (&[newer], OpenMetrics),
            (&["text/plain", mixed_case], OpenMetrics),
            (&["application/openmetrics-text; q=0.000"], Classic),
            (&["application/openmetrics-text-2"], Classic),
        ] {
            let mut request = TestRequest::default();
            for value in accept {
                request = request.append_header((ACCEPT, *value));
            }
            let accepted = ExpositionFormat::accepted(&request.to_http_request());
            assert_eq!(accepted, format, "{accept:?}");
        }
    }

    #[test]
    fn classic_text_has_every_kind_of_metric_and_no_exemplars() {
        let mut registry = Registry::default();
        let plain: Counter = Counter::default();
        registry.register("plain", "Counted", plain);
        let linked = CounterWithExemplar::<Trace, u64>::default();
        registry.register("linked", "Counted, linked", linked.clone());
        linked.inc_by(2, TRACE, None);
        let waits = HistogramWithExemplars::<Trace>::new([0.5, 1.0].into_iter());
        registry.register_with_unit("wait", "Waits", Unit::Seconds, waits.clone());
        waits.observe(0.25, TRACE, None);
        waits.observe(7.0, TRACE, None);
        let level: Gauge = Gauge::default();
        registry.register("level", "counter", level);
        registry.register("build", "Built", Info::new([("version", "1")]));

        let text = Classic.write(&registry).unwrap();
        let expected = "\
# HELP plain_total Counted.
# TYPE plain_total counter
plain_total 0
# HELP linked_total Counted, linked.
# TYPE linked_total counter
linked_total 2
# HELP wait_seconds Waits.
# TYPE wait_seconds histogram
wait_seconds_sum 7.25
wait_seconds_count 2
wait_seconds_bucket{le=\"0.5\"} 1
wait_seconds_bucket{le=\"1.0\"} 1
wait_seconds_bucket{le=\"+Inf\"} 2
# HELP level counter.
# TYPE level gauge
level 0
# HELP build_info Built.
# TYPE build_info gauge
build_info{version=\"1\"} 1
";
        assert_eq!(text, expected);
        let open = OpenMetrics.write(&registry).unwrap();
        assert!(
            open.contains("linked_total 2 # {trace_id=\"4bf9\"} 2"),
            "{open}"
        );
        assert!(open.ends_with("# EOF\n"), "{open}");
    }

    #[test]
    fn a_label_value_is_never_mistaken_for_an_exemplar() {
        let mut registry = Registry::default();
        let said = Family::<Said, CounterWithExemplar<Trace, u64>>::default();
        registry.register("said", "Said", said.clone());
        let odd = [
            (r#"a # {b="c"} 1"#, r#"a # {b=\"c\"} 1"#),
            (r"ends with \", r"ends with \\"),
            (r#"\" # {"#, r#"\\\" # {"#),
            ("two\nlines # EOF", r"two\nlines # EOF"),
            ("\u{20b9} # \r", "\u{20b9} # \r"),
        ];
        for (words, _) in odd {
            said.get_or_create(&Said { words }).inc_by(3, TRACE, None);
        }
        let text = Classic.write(&registry).unwrap();
        for (_, written) in odd {
            let sample = format!("said_total{{words=\"{written}\"}} 3\n");
            assert!(text.contains(&sample), "{sample} not in {text}");
        }
        assert_eq!(text.lines().count(), 2 + odd.len(), "{text}");
    }
}
