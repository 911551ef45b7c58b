//! Sets of addresses in CIDR notation.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use crate::reader::may_be_url;

/// The addresses from which Razorpay sends webhooks: the list "Webhook IPs" in
/// `security/whitelists.md` of its documentation (razorpay/markdown-docs, April 2026). Its
/// separate list of UAT addresses is not included.
const RAZORPAY_NETWORKS: [&str; 11] = [
    "52.66.75.174",
    "52.66.76.63",
    "52.66.151.218",
    "35.154.217.40",
    "35.154.22.73",
    "35.154.143.15",
    "13.126.199.247",
    "13.126.238.192",
    "13.232.194.134",
    "18.96.225.0/26",
    "18.99.161.0/26",
];

/// The word for [`RAZORPAY_NETWORKS`] in a setting.
const RAZORPAY: &str = "razorpay";

/// The bits of an IPv6 address before the IPv4 address mapped into it (RFC 4291, 2.5.5.2).
const MAPPED_PREFIX_BITS: u8 = 96;

/// A set of addresses. An IPv4 address mapped into IPv6 is the same as the IPv4 address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Whether the address is in the set.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether there is no address in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Networks and single addresses, separated by commas.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Self::parse_with(text, |item| Ok(vec![network(item)?]))
    }

    /// The same, and `razorpay` for the addresses that Razorpay published.
    pub(crate) fn parse_senders(text: &str) -> Result<Self, String> {
        Self::parse_with(text, |item| {
            if item == RAZORPAY {
                RAZORPAY_NETWORKS.into_iter().map(network).collect()
            } else {
                Ok(vec![network(item)?])
            }
        })
    }

    fn parse_with(
        text: &str,
        parse: impl Fn(&str) -> Result<Vec<IpNet>, String>,
    ) -> Result<Self, String> {
        if may_be_url(text) {
            // Not shown, because it may hold a password.
            return Err("a URL is not a list of addresses and networks".to_owned());
        }
        let items = text.split(',').map(str::trim);
        let networks: Result<Vec<_>, _> =
            items.filter(|item| !item.is_empty()).map(parse).collect();
        networks.map(|networks| Self(networks.concat()))
    }
}

fn network(text: &str) -> Result<IpNet, String> {
    let parsed = text
        .parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let network = parsed.map_err(|_| {
        format!("{text:?} is neither an address nor a network such as 10.0.0.0/8 or 2001:db8::/32")
    })?;
    // A slip such as 10.0.0.1/8 is more likely a wrong length than a wrong address.
    if network.trunc() != network {
        return Err(format!(
            "{text:?} has bits beyond its prefix; did you mean {}?",
            network.trunc()
        ));
    }
    Ok(canonical(network))
}

fn canonical(network: IpNet) -> IpNet {
    let mapped = match network {
        IpNet::V6(v6) => v6
            .addr()
            .to_ipv4_mapped()
            .zip(v6.prefix_len().checked_sub(MAPPED_PREFIX_BITS)),
        IpNet::V4(_) => None,
    };
    mapped
        .and_then(|(address, bits)| Ipv4Net::new(address, bits).ok())
        .map_or(network, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use super::Networks;

    #[test]
    fn a_set_contains_the_addresses_of_its_networks_alone() {
        for (networks, address, is_in) in [
            ("10.0.0.0/8, 192.0.2.1", "10.255.0.1", true),
            ("10.0.0.0/8, 192.0.2.1", "192.0.2.1", true),
            ("10.0.0.0/8, 192.0.2.1", "192.0.2.2", false),
            ("2001:db8::/32", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("", "127.0.0.1", false),
            ("0.0.0.0/0", "::1", false),
            // Mapped addresses.
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("::ffff:10.0.0.0/104", "10.1.2.3", true),
            ("::ffff:10.0.0.1", "10.0.0.1", true),
            ("::ffff:10.0.0.0/104", "11.1.2.3", false),
            // Those that Razorpay published.
            ("razorpay", "52.66.75.174", true),
            ("razorpay", "18.99.161.63", true),
            ("razorpay", "18.99.161.64", false),
            ("127.0.0.1,razorpay", "127.0.0.1", true),
        ] {
            let set = Networks::parse_senders(networks).unwrap();
            let address = address.parse().unwrap();
            assert_eq!(set.contains(address), is_in, "{networks} {address}");
        }
    }

    #[test]
    fn anything_else_is_refused_and_quoted() {
        let bad = [
            "10.0.0.0/33",
            "10.0.0.1/8",
            "localhost",
            "10.0.0.0-10.0.0.9",
            "razorpay",
        ];
        for text in bad {
            assert!(Networks::parse(text).unwrap_err().contains(text), "{text}");
        }
    }
}
