//! Networks, and the address of the client behind trusted proxies. An IPv4-mapped IPv6 address
//! (`::ffff:192.0.2.1`) is treated as the IPv4 address.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

/// Set of networks, which may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

/// Error for a text that does not name a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNetwork {
    /// Text that is neither a network nor an address.
    #[error(
        "invalid network `{0}`: expected for example 192.0.2.0/24, 2001:db8::/32 or one address"
    )]
    Malformed(String),
    /// Address with bits set beyond its prefix, and the network that contains it.
    #[error("`{0}` is an address within a network; write {1}")]
    HostBitsSet(String, IpNet),
}

/// Length in bits of the prefix of IPv4-mapped IPv6 addresses (`::ffff:0:0/96`).
const IPV4_MAPPED_PREFIX_BITS: u8 = 96;

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.0.iter().map(IpNet::to_string).collect();
        f.write_str(&names.join(", "))
    }
}

impl Networks {
    /// Reports whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Parses networks and single addresses.
    ///
    /// # Errors
    /// Returns an error when a text is neither, or when an address has bits set beyond its prefix.
    pub fn parse(names: &[String]) -> Result<Self, InvalidNetwork> {
        let mut networks = Vec::with_capacity(names.len());
        for name in names {
            networks.push(parse_network(name)?);
        }
        Ok(Self(networks))
    }

    /// Reports whether the address is in one of the networks.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Returns the address of the client whose request arrives from `peer`. The networks are those
    /// of the trusted proxies. Each proxy appends the address of its own peer to `X-Forwarded-For`,
    /// so the entries are read from the end, for as long as the address that wrote them is a
    /// trusted proxy. Returns `None` when such an entry is not an address.
    pub(super) fn client_address(&self, peer: IpAddr, forwarded: &[&[u8]]) -> Option<IpAddr> {
        let mut origin = peer.to_canonical();
        for value in forwarded.iter().rev() {
            for entry in value.rsplit(|byte| *byte == b',') {
                if !self.contains(origin) {
                    return Some(origin);
                }
                origin = parse_address(std::str::from_utf8(entry).ok()?.trim())?;
            }
        }
        Some(origin)
    }
}

fn parse_network(name: &str) -> Result<IpNet, InvalidNetwork> {
    let name = name.trim();
    let Some(network) = parse_network_or_address(name) else {
        return Err(InvalidNetwork::Malformed(name.to_owned()));
    };
    if network.addr() != network.network() {
        return Err(InvalidNetwork::HostBitsSet(name.to_owned(), network.trunc()));
    }
    match unmapped(network) {
        Some(network) => Ok(network),
        None => Err(InvalidNetwork::Malformed(name.to_owned())),
    }
}

fn parse_network_or_address(name: &str) -> Option<IpNet> {
    match name.parse::<IpAddr>() {
        Ok(address) => Some(IpNet::from(address.to_canonical())),
        Err(_) => name.parse().ok(),
    }
}

/// Converts a network of IPv4-mapped addresses to the IPv4 network. Returns `None` if it contains
/// other IPv6 addresses as well.
fn unmapped(network: IpNet) -> Option<IpNet> {
    let address = network.addr().to_canonical();
    if address == network.addr() {
        return Some(network);
    }
    let prefix = network.prefix_len().checked_sub(IPV4_MAPPED_PREFIX_BITS)?;
    IpNet::new(address, prefix).ok()
}

/// Parses an address as proxies write it: with or without a port, an IPv6 address with or without
/// brackets.
fn parse_address(text: &str) -> Option<IpAddr> {
    let address = match without_brackets(text).parse::<IpAddr>() {
        Ok(address) => address,
        Err(_) => text.parse::<SocketAddr>().ok()?.ip(),
    };
    Some(address.to_canonical())
}

fn without_brackets(text: &str) -> &str {
    match text.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').unwrap_or(text),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(names: &[&str]) -> Result<Networks, String> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        Networks::parse(&names).map_err(|error| error.to_string())
    }

    #[test]
    fn networks_parse_with_a_prefix_or_as_a_single_address() {
        for (name, inside, outside) in [
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.0/24", "::ffff:192.0.2.7", "::192.0.2.7"),
            ("::ffff:192.0.2.0/120", "192.0.2.7", "192.0.3.7"),
            ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
            ("::ffff:192.0.2.1", "192.0.2.1", "192.0.2.2"),
            (" 2001:db8::/32 ", "2001:db8:1::1", "2001:db9::"),
            ("::1", "::1", "::2"),
            ("0.0.0.0/0", "203.0.113.9", "2001:db8::1"),
            ("::/0", "2001:db8::1", "203.0.113.9"),
        ] {
            let networks = networks(&[name]).unwrap();
            assert!(networks.contains(inside.parse().unwrap()), "{inside} is in {name}");
            assert!(!networks.contains(outside.parse().unwrap()), "{outside} is not in {name}");
        }
        for (name, part) in [
            ("192.0.2.1/24", "write 192.0.2.0/24"),
            ("2001:db8::1/32", "write 2001:db8::/32"),
            ("192.0.2.0/33", "invalid network"),
            ("192.0.2", "invalid network"),
            ("192.0.2.1:80", "invalid network"),
            ("example.com", "invalid network"),
            ("", "invalid network"),
        ] {
            assert!(networks(&["::1", name]).unwrap_err().contains(part), "{name}");
        }
        assert!(!networks(&[]).unwrap().contains("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn forwarded_addresses_count_only_when_a_trusted_proxy_wrote_them() {
        let proxies = networks(&["10.0.0.0/8", "fd00::/8", "127.0.0.1"]).unwrap();
        let client = Some("203.0.113.9");
        for (peer, forwarded, expected) in [
            // Entries from a peer that is not a trusted proxy are ignored.
            ("203.0.113.9", &["192.0.2.1"][..], client),
            ("203.0.113.9", &["garbage"], client),
            ("10.0.0.1", &[], Some("10.0.0.1")),
            ("10.0.0.1", &["203.0.113.9"], client),
            ("::ffff:10.0.0.1", &["203.0.113.9"], client),
            ("fd00::1", &["203.0.113.9"], client),
            ("10.0.0.1", &["192.0.2.1, 203.0.113.9"], client),
            ("10.0.0.1", &["192.0.2.1", "203.0.113.9"], client),
            ("10.0.0.1", &["192.0.2.1, 203.0.113.9, 10.9.9.9"], client),
            ("10.0.0.1", &["192.0.2.1, 203.0.113.9", "10.9.9.9, fd00::2"], client),
            ("10.0.0.1", &["garbage, 203.0.113.9 ,127.0.0.1"], client),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], Some("10.0.0.3")),
            // Notations that proxies use.
            ("10.0.0.1", &["203.0.113.9:4711"], client),
            ("10.0.0.1", &["::ffff:203.0.113.9"], client),
            ("10.0.0.1", &["[::ffff:203.0.113.9]:4711"], client),
            ("10.0.0.1", &["2001:db8::7"], Some("2001:db8::7")),
            ("10.0.0.1", &["[2001:db8::7]"], Some("2001:db8::7")),
            ("10.0.0.1", &["[2001:db8::7]:443"], Some("2001:db8::7")),
            // Entries that name no address.
            ("10.0.0.1", &[""], None),
            ("10.0.0.1", &["203.0.113.9,"], None),
            ("10.0.0.1", &["203.0.113.9, garbage"], None),
            ("10.0.0.1", &["203.0.113.9, garbage, 10.0.0.2"], None),
            ("10.0.0.1", &["203.0.113.009"], None),
            ("10.0.0.1", &["203.0.113.9:port"], None),
            ("10.0.0.1", &["fe80::1%eth0"], None),
            ("10.0.0.1", &["[203.0.113.9"], None),
            ("10.0.0.1", &["unknown"], None),
        ] {
            let values: Vec<&[u8]> = forwarded.iter().map(|value| value.as_bytes()).collect();
            let origin = proxies.client_address(peer.parse().unwrap(), &values);
            assert_eq!(
                origin,
                expected.map(|address| address.parse().unwrap()),
                "{peer} {forwarded:?}"
            );
        }
        assert_eq!(
            proxies.client_address("10.0.0.1".parse().unwrap(), &[b"203.0.113.9\xff"]),
            None
        );
        assert_eq!(
            Networks::default().client_address("10.0.0.1".parse().unwrap(), &[b"::1"]),
            "10.0.0.1".parse().ok()
        );
    }
}
