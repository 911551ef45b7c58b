//! The client's address.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use harkara_settings::Networks;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of the client whose request came over a connection from `peer`.
///
/// Each proxy appends the address that called it to `X-Forwarded-For`; everything further left was written
/// by somebody further away, in the end by the client, who may lie. So the header is read from the right
/// for as long as its writer is trusted, and the first address that is not a trusted proxy's is the
/// client's. If an item is not an address, or none is left, the client is the last known address: a trusted
/// proxy. That is seldom in a list of allowed addresses, so an unreadable header is rather refused.
pub(super) fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &Networks) -> IpAddr {
    let mut client = peer.to_canonical();
    if !trusted.contains(client) {
        return client;
    }
    // Several headers are one list, in their order.
    let headers: Vec<&HeaderValue> = headers.get_all(X_FORWARDED_FOR).collect();
    for header in headers.into_iter().rev() {
        for item in header.as_bytes().rsplit(|byte| *byte == b',') {
            let Some(address) = address(item) else {
                return client;
            };
            client = address;
            if !trusted.contains(client) {
                return client;
            }
        }
    }
    client
}

/// An address, as some proxies write it with a port.
fn address(item: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(item).ok()?.trim();
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    let address = bare
        .parse()
        .or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderMap, HeaderValue};
    use harkara_settings::Settings;

    use super::{X_FORWARDED_FOR, client_address};

    /// The client behind `peer`, where `10.0.0.0/8` and `2001:db8::/32` are trusted.
    fn client(peer: &str, forwarded: &[&'static str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_static(value));
        }
        let trusted = [("ingress.trusted_proxies", "10.0.0.0/8,2001:db8::/32")];
        let trusted = Settings::from_pairs(trusted)
            .unwrap()
            .ingress
            .trusted_proxies;
        client_address(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn the_client_is_the_last_address_that_no_trusted_proxy_has() {
        for (peer, forwarded, expected) in [
            // The header of an untrusted peer is not believed.
            ("192.0.2.1", &["52.66.75.174"][..], "192.0.2.1"),
            ("192.0.2.1", &[], "192.0.2.1"),
            ("10.0.0.1", &["192.0.2.1"], "192.0.2.1"),
            (
                "10.0.0.1",
                &["52.66.75.174, 192.0.2.1,10.0.0.2"],
                "192.0.2.1",
            ),
            (
                "10.0.0.1",
                &["52.66.75.174", "192.0.2.1 , 10.0.0.3"],
                "192.0.2.1",
            ),
            ("2001:db8::1", &["2001:db9::7"], "2001:db9::7"),
            // Mapped addresses, ports and brackets.
            ("::ffff:10.0.0.1", &["192.0.2.1"], "192.0.2.1"),
            ("::ffff:192.0.2.9", &["192.0.2.1"], "192.0.2.9"),
            ("10.0.0.1", &["::ffff:192.0.2.1"], "192.0.2.1"),
            ("10.0.0.1", &["192.0.2.1:4711"], "192.0.2.1"),
            ("10.0.0.1", &["[2001:db9::7]:4711"], "2001:db9::7"),
            ("10.0.0.1", &["[2001:db9::7]"], "2001:db9::7"),
            // Reading ends at an item that is no address.
            ("10.0.0.1", &[""], "10.0.0.1"),
            ("10.0.0.1", &["unknown"], "10.0.0.1"),
            ("10.0.0.1", &["192.0.2.1, "], "10.0.0.1"),
            ("10.0.0.1", &["192.0.2.1, _hidden"], "10.0.0.1"),
            ("10.0.0.1", &["192.0.2.1, nonsense, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ] {
            assert_eq!(client(peer, forwarded), expected, "{peer} {forwarded:?}");
        }
    }
}
