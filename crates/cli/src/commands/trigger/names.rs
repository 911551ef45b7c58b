//! The names of events on the command line.

use harkara_core::catalogue;

use crate::exit::UsageError;

/// Stands for one of each typed event.
const ALL: &str = "all";

/// Similarity of two names, from 0 to 1, from which one counts as a misspelling of the other.
const ALIKE_MIN: f64 = 0.75;

/// Maximum names suggested in place of one.
const OFFERED_MAX: usize = 4;

/// The events that are meant. Names outside the catalogue are refused unless `unlisted`.
pub(super) fn resolve(given: &[String], unlisted: bool) -> Result<Vec<String>, UsageError> {
    let mut names = Vec::new();
    for name in given {
        if name == ALL {
            names.extend(catalogue::typed().map(|known| known.name.to_owned()));
        } else if unlisted || catalogue::find(name).is_some() {
            names.push(name.clone());
        } else {
            return Err(UsageError(unknown(name)));
        }
    }
    Ok(names)
}

fn unknown(name: &str) -> String {
    let near = near(name);
    let offer = if near.is_empty() {
        String::new()
    } else {
        format!("did you mean {}? ", near.join(" or "))
    };
    format!(
        "{name:?} is not an event in the catalogue; {offer}docs/events.md lists all names, and --unlisted sends it \
         anyway"
    )
}

/// The names that may have been meant, the nearest first: those that differ by a slip, those that
/// contain this name, and those of the family of this name.
fn near(name: &str) -> Vec<&'static str> {
    let name = name.to_lowercase();
    let events = catalogue::EVENTS.iter();
    let scored = events.filter_map(|spec| {
        let alike = strsim::normalized_damerau_levenshtein(&name, spec.name);
        let is_near = alike >= ALIKE_MIN || spec.family == name || spec.name.contains(&name);
        is_near.then_some((alike, spec.name))
    });
    let mut scored: Vec<(f64, &str)> = scored.collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.truncate(OFFERED_MAX);
    scored.into_iter().map(|(_, known)| known).collect()
}

#[cfg(test)]
mod tests {
    use super::near;

    #[test]
    fn a_misspelling_is_answered_with_the_likely_name() {
        assert_eq!(near("payment.capture")[0], "payment.captured");
        assert_eq!(near("Payment.Captured")[0], "payment.captured");
        let mut family = near("payment.dispute").into_iter();
        assert!(family.all(|name| name.starts_with("payment.dispute.")));
        assert_eq!(near("captured"), ["payment.captured"]);
        assert!(near("zzz").is_empty());
    }
}
