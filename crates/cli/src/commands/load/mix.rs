//! The events of a load on the command line.

use harkara_core::catalogue;
use harkara_load::{Contents, Mix};

/// Reads `realistic`, `payments`, or `payment.captured=5,refund.processed=1`, where no weight means 1.
pub(super) fn contents(text: &str) -> Result<Contents, String> {
    match text {
        "realistic" => return Ok(Contents::Lifecycles(Mix::Realistic)),
        "payments" => return Ok(Contents::Lifecycles(Mix::Payments)),
        _ => {}
    }
    let events: Vec<(String, usize)> = text.split(',').map(weighted).collect::<Result<_, _>>()?;
    if events.iter().all(|(_, weight)| *weight == 0) {
        return Err("at least one event must have a weight above 0".to_owned());
    }
    Ok(Contents::Events(events))
}

fn weighted(text: &str) -> Result<(String, usize), String> {
    let (name, weight) = text.trim().split_once('=').unwrap_or((text.trim(), "1"));
    // A sum of weights must stay far from what a number holds.
    let weight = weight.parse::<u16>().map_err(|_| {
        format!(
            "the weight of {name:?} is not a number from 0 to {}",
            u16::MAX
        )
    })?;
    if catalogue::find(name).is_none() {
        return Err(format!(
            "{name:?} is not an event in the catalogue; docs/events.md lists all names"
        ));
    }
    Ok((name.to_owned(), weight.into()))
}

#[cfg(test)]
mod tests {
    use super::{Contents, Mix, contents};

    #[test]
    fn a_mix_is_named_or_made_of_weighted_events() {
        assert_eq!(
            contents("realistic"),
            Ok(Contents::Lifecycles(Mix::Realistic))
        );
        let events = [("payment.captured", 5), ("refund.processed", 1)];
        let events = events.map(|(name, weight)| (name.to_owned(), weight));
        assert_eq!(
            contents("payment.captured=5, refund.processed"),
            Ok(Contents::Events(events.to_vec()))
        );
        for text in [
            "",
            "payment.capture=1",
            "payment.captured=x",
            "payment.captured=0",
        ] {
            assert!(contents(text).is_err(), "{text}");
        }
    }
}
