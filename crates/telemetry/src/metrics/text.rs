//! Samples, read from the `OpenMetrics` text that a registry writes of itself. The registry shows its
//! instruments in no other way.

use std::collections::BTreeMap;

/// Label names and values.
pub(super) type Labels = BTreeMap<String, String>;

/// A metric with its samples.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scraped {
    /// As its type line has it: a counter's without `_total`.
    pub(super) name: String,
    /// As its type line has it.
    pub(super) kind: String,
    pub(super) samples: Vec<Sample>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: Labels,
    pub(super) value: f64,
    pub(super) exemplar: Option<Exemplar>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Exemplar {
    pub(super) labels: Labels,
    pub(super) value: f64,
    /// Seconds since 1970.
    pub(super) at: Option<f64>,
}

/// A line that is not as the format has it.
#[derive(Debug, thiserror::Error)]
#[error("a line of the metrics cannot be read: {line}")]
pub(super) struct Unreadable {
    line: String,
}

/// The metrics of a text, in its order.
pub(super) fn read(text: &str) -> Result<Vec<Scraped>, Unreadable> {
    let mut all: Vec<Scraped> = Vec::new();
    for line in text.lines() {
        let unreadable = || Unreadable {
            line: line.to_owned(),
        };
        if let Some(told) = line.strip_prefix("# TYPE ") {
            let (name, kind) = told.rsplit_once(' ').ok_or_else(unreadable)?;
            all.push(Scraped {
                name: name.to_owned(),
                kind: kind.to_owned(),
                samples: Vec::new(),
            });
        } else if !line.starts_with('#') && !line.is_empty() {
            let sample = sample(line).ok_or_else(unreadable)?;
            let metric = all.last_mut().ok_or_else(unreadable)?;
            metric.samples.push(sample);
        }
    }
    Ok(all)
}

/// `name{label="value",…} value # {label="value",…} value time`, of which the labels and all from `#` on may lack.
fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(end);
    let (labels, rest) = labels(rest)?;
    let (value, rest) = match rest.trim_start().split_once(' ') {
        Some((value, rest)) => (value, rest.trim_start()),
        None => (rest.trim_start(), ""),
    };
    Some(Sample {
        name: name.to_owned(),
        labels,
        value: value.parse().ok()?,
        exemplar: match rest.strip_prefix("# ") {
            Some(exemplar) => Some(self::exemplar(exemplar)?),
            None => None,
        },
    })
}

fn exemplar(text: &str) -> Option<Exemplar> {
    let (labels, rest) = labels(text)?;
    let mut numbers = rest.split_whitespace().map(str::parse);
    Some(Exemplar {
        labels,
        value: numbers.next()?.ok()?,
        at: numbers.next().transpose().ok()?,
    })
}

/// The labels that a text begins with, and what follows them.
fn labels(text: &str) -> Option<(Labels, &str)> {
    let mut labels = Labels::new();
    let Some(mut rest) = text.strip_prefix('{') else {
        return Some((labels, text));
    };
    loop {
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let (value, after) = quoted_value(quoted)?;
        labels.insert(name.to_owned(), value);
        rest = after.strip_prefix(',').unwrap_or(after);
    }
}

/// A value up to its closing quote, and what follows that.
fn quoted_value(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    loop {
        match characters.next()? {
            (at, '"') => return Some((value, &text[at + 1..])),
            (_, '\\') => match characters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            (_, other) => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Labels {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_sample_is_its_name_labels_value_and_exemplar() {
        let sample = |line| sample(line).unwrap();
        let bare = sample("up 1");
        assert_eq!((bare.name.as_str(), bare.value), ("up", 1.0));
        assert_eq!((bare.labels, bare.exemplar), (Labels::new(), None));
        let full = sample(
            r#"a_bucket{le="0.5",lane="x"} 3 # {trace_id="4b\"f9",span_id="} #"} 0.25 1764000000.5"#,
        );
        assert_eq!(full.labels, of(&[("le", "0.5"), ("lane", "x")]));
        assert_eq!(
            full.exemplar,
            Some(Exemplar {
                labels: of(&[("trace_id", "4b\"f9"), ("span_id", "} #")]),
                value: 0.25,
                at: Some(1_764_000_000.5),
            })
        );
        assert_eq!(
            sample("n +Inf").value.total_cmp(&f64::INFINITY),
            Ordering::Equal
        );
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for line in ["up", "up x", "up{a=\"b 1", "up{a} 1", "up 1 # {a=\"b\"}"] {
            let text = format!("# TYPE up gauge\n{line}\n# EOF\n");
            let told = read(&text).unwrap_err().to_string();
            assert!(told.contains(line), "{told}");
        }
        assert!(read("up 1\n").is_err(), "without its type");
    }
}
