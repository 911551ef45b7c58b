//! Whether the addresses are free, said before anything is started.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::addresses::{Addresses, Place};
use crate::failure::Result;

/// How far away the port of the example is from the taken one.
const EXAMPLE_DISTANCE: u16 = 100;
/// How long a listener of this machine may take to answer.
const CONNECT_WITHIN: Duration = Duration::from_millis(300);

/// Fails with one sentence for each address that somebody else, or another of ours, has.
pub(crate) fn check(addresses: &Addresses) -> Result<()> {
    let mut held: Vec<TcpListener> = Vec::new();
    let mut faults: Vec<String> = Vec::new();
    for (number, place) in addresses.all().into_iter().enumerate() {
        let ours = addresses
            .all()
            .into_iter()
            .take(number)
            .find(|other| other.address.port() == place.address.port());
        if let Some(other) = ours {
            faults.push(format!(
                "{} and {} both want port {}; set {} or {} to another",
                other.who,
                place.who,
                place.address.port(),
                other.setting,
                place.setting
            ));
            continue;
        }
        match bind(place) {
            Ok(listener) => held.push(listener),
            Err(error) => faults.push(sentence(place, &error)),
        }
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(faults.join("\n  also: ").into())
    }
}

/// Holds the address for a moment. That somebody answers there is asked too, because some systems
/// let two processes bind overlapping addresses.
fn bind(place: &Place) -> std::io::Result<TcpListener> {
    if TcpStream::connect_timeout(&place.reached_at(), CONNECT_WITHIN).is_ok() {
        return Err(ErrorKind::AddrInUse.into());
    }
    TcpListener::bind(place.address)
}

fn sentence(place: &Place, error: &std::io::Error) -> String {
    let port = place.address.port();
    let trouble = match error.kind() {
        ErrorKind::AddrInUse => format!("port {port}, which {} wants, is taken", place.who),
        _ => format!("{} cannot listen on {} ({error})", place.who, place.address),
    };
    let example = port
        .checked_add(EXAMPLE_DISTANCE)
        .unwrap_or(port - EXAMPLE_DISTANCE);
    format!(
        "{trouble}; end the process that has it, or choose another: {}={} cargo dev up",
        place.setting,
        place.value_for(example)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;

    fn fault(setting: &'static str, value: &str) -> String {
        let others = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let free = others.local_addr().expect("it is bound").to_string();
        drop(others);
        let addresses = Addresses::from_settings(|asked| match asked {
            _ if asked == setting => Some(value.to_owned()),
            "HARKARA__REDIS__URL" => Some(format!("redis://{free}")),
            "HARKARA__POSTGRES__URL" => Some("postgres://127.0.0.1:0".to_owned()),
            _ => Some("127.0.0.1:0".to_owned()),
        });
        match check(&addresses.expect("the settings are right")) {
            Err(Failure::Said(sentence)) => sentence,
            other => panic!("expected a sentence, got {other:?}"),
        }
    }

    #[test]
    fn taken_port_is_named_with_its_setting_and_an_example() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = taken.local_addr().expect("it is bound");
        let sentence = fault("HARKARA__INGRESS__BIND", &address.to_string());
        assert!(
            sentence.contains(&format!(
                "port {}, which the ingress wants, is taken",
                address.port()
            )),
            "{sentence}"
        );
        assert!(
            sentence.contains("HARKARA__INGRESS__BIND=127.0.0.1:"),
            "{sentence}"
        );
    }
}
