//! Owns which addresses a name may resolve to: the address that was judged is the one that is connected.
//! Deliberately knows nothing of rules: only whether private addresses are allowed.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// Answers names in place of the system, for tests: rebinding needs no network then.
pub type Answers = Arc<dyn Fn(&str) -> Option<Vec<IpAddr>> + Send + Sync>;

/// Resolves for one client.
pub(super) struct Names {
    /// Whether names may resolve to private addresses.
    pub(super) private: bool,
    /// The proxy's name, and whether that one may.
    pub(super) proxy: Option<(String, bool)>,
    pub(super) answers: Option<Answers>,
}

/// A name led to where the rule does not lead.
#[derive(Debug, thiserror::Error)]
#[error("`{name}` resolves to {address}, {kind}")]
pub(super) struct PrivateAddress {
    pub(super) name: String,
    pub(super) address: IpAddr,
    pub(super) kind: &'static str,
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().trim_matches(['[', ']']).to_string();
        let may_be_private = match &self.proxy {
            Some((proxy, private)) if *proxy == name => *private,
            _ => self.private,
        };
        let answers = self.answers.clone();
        Box::pin(async move {
            // A literal was judged by the rules as it is spelt; SOCKS asks for those too.
            if let Ok(address) = name.parse::<IpAddr>() {
                return Ok(boxed(vec![address]));
            }
            // Never asked of anyone: rules trust this name with plain http (RFC 6761, 6.3).
            if name.eq_ignore_ascii_case("localhost") {
                return Ok(boxed(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]));
            }
            let found = match answers.and_then(|answers| answers(&name)) {
                Some(addresses) => addresses,
                None => tokio::net::lookup_host((name.as_str(), 0)).await?.map(|address| address.ip()).collect(),
            };
            if found.is_empty() {
                return Err("the name has no addresses".into());
            }
            if may_be_private {
                return Ok(boxed(found));
            }
            let (public, private): (Vec<IpAddr>, Vec<IpAddr>) =
                found.into_iter().partition(|address| private_kind(*address).is_none());
            match private.first().and_then(|address| Some((*address, private_kind(*address)?))) {
                Some((address, kind)) if public.is_empty() => Err(PrivateAddress { name, address, kind }.into()),
                // Of a mixed answer only the public part counts.
                _ => Ok(boxed(public)),
            }
        })
    }
}

fn boxed(addresses: Vec<IpAddr>) -> Addrs {
    Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)))
}

/// What kind of address it is, where it is none of the public internet.
fn private_kind(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => private_v4(address),
        IpAddr::V6(address) => private_v6(address),
    }
}

fn private_v4(address: Ipv4Addr) -> Option<&'static str> {
    match address.octets() {
        [127, ..] => Some("a loopback address"),
        [10, ..] | [192, 168, ..] | [172, 16..=31, ..] => Some("a private address"),
        [169, 254, ..] => Some("a link-local address (as those of cloud metadata)"),
        [100, 64..=127, ..] => Some("an address of carriers' own networks"),
        [0, ..] => Some("an unspecified address"),
        [224..=239, ..] => Some("a multicast address"),
        [192, 0, 0 | 2, _] | [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] | [240..=255, ..] => {
            Some("a reserved address")
        }
        _ => None,
    }
}

fn private_v6(address: Ipv6Addr) -> Option<&'static str> {
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        private_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("an unspecified address"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("a loopback address"),
        // IPv4 in IPv6: mapped, compatible, NAT64 and 6to4 all lead to the address within.
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            embedded(high, low)
        }
        [0xfe80..=0xfebf, ..] => Some("a link-local address"),
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Some("a private address"),
        [0xff00..=0xffff, ..] => Some("a multicast address"),
        [0x64, 0xff9b, 1, ..] | [0x100, 0, 0, 0, ..] | [0x2001, 0xdb8, ..] | [0x2001, 0, ..] => {
            Some("a reserved address")
        }
        _ => None,
    }
}
