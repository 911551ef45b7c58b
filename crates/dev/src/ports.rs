//! Checks that the addresses are free before anything is started.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::addresses::{Addresses, Listener};

/// The distance of the example's port from the taken one.
const EXAMPLE_DISTANCE: u16 = 100;
/// How long a listener of this machine may take to answer.
const CONNECT_WITHIN: Duration = Duration::from_millis(300);

/// Fails with a line for each address that is taken, by another process or by another of ours.
pub(crate) fn check(addresses: &Addresses) -> Result<()> {
    let all = addresses.all();
    let mut held: Vec<TcpListener> = Vec::new();
    let mut problems: Vec<String> = Vec::new();
    for (at, listener) in all.iter().enumerate() {
        let port = listener.address.port();
        let mut earlier = all[..at].iter();
        if let Some(other) = earlier.find(|other| other.address.port() == port) {
            problems.push(format!(
                "{} and {} both want port {port}; change {} or {}",
                other.name, listener.name, other.setting, listener.setting
            ));
            continue;
        }
        match bind(listener) {
            Ok(bound) => held.push(bound),
            Err(error) => problems.push(describe(listener, &error)),
        }
    }
    ensure!(problems.is_empty(), "{}", problems.join("\n  also: "));
    Ok(())
}

/// Binds the address for a moment. A connection is tried first, because some systems let two processes bind
/// overlapping addresses.
fn bind(listener: &Listener) -> std::io::Result<TcpListener> {
    if TcpStream::connect_timeout(&listener.reached_at(), CONNECT_WITHIN).is_ok() {
        return Err(ErrorKind::AddrInUse.into());
    }
    TcpListener::bind(listener.address)
}

fn describe(listener: &Listener, error: &std::io::Error) -> String {
    let Listener { name, address, .. } = listener;
    let port = address.port();
    let problem = match error.kind() {
        ErrorKind::AddrInUse => format!("port {port} of {name} is taken"),
        _ => format!("{name} cannot listen on {address} ({error})"),
    };
    let example = port
        .checked_add(EXAMPLE_DISTANCE)
        .unwrap_or(port - EXAMPLE_DISTANCE);
    format!(
        "{problem}; stop the process that uses it, or choose another: {}={} cargo dev up",
        listener.setting,
        listener.value_for(example)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taken_port_is_named_with_its_setting_and_an_example() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = taken.local_addr().expect("it is bound");
        let addresses = Addresses::from_settings(|asked| {
            Some(match asked {
                "HARKARA__INGRESS__BIND" => address.to_string(),
                "HARKARA__REDIS__URL" => "redis://127.0.0.1:0".to_owned(),
                "HARKARA__POSTGRES__URL" => "postgres://127.0.0.1:0".to_owned(),
                _ => "127.0.0.1:0".to_owned(),
            })
        })
        .expect("the settings are valid");
        let error = check(&addresses).expect_err("a port is taken").to_string();
        let expected = format!("port {} of the ingress is taken", address.port());
        assert!(error.contains(&expected), "{error}");
        assert!(
            error.contains("HARKARA__INGRESS__BIND=127.0.0.1:"),
            "{error}"
        );
    }
}
