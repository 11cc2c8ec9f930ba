//! Owns which addresses a name may resolve to: the address that was judged is the one that is connected.
//! Deliberately knows nothing of rules: only whether private addresses are allowed.

use crate::plan::permissions::address::{self, Kind};
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
#[error("`{name}` resolves to {address}, {}", .kind.text())]
pub(super) struct PrivateAddress {
    pub(super) name: String,
    pub(super) address: IpAddr,
    pub(super) kind: Kind,
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
            // Only a rule that spells such a name lets it through, and what it is for is to lead there.
            let may_be_walled = address::is_metadata_name(&name);
            let refused = |address: IpAddr| match address::kind(address)? {
                Kind::Private(_) if may_be_private => None,
                Kind::Walled(_) if may_be_walled => None,
                kind => Some((address, kind)),
            };
            let first = found.iter().find_map(|address| refused(*address));
            let allowed: Vec<IpAddr> = found.into_iter().filter(|address| refused(*address).is_none()).collect();
            match first {
                Some((address, kind)) if allowed.is_empty() => Err(PrivateAddress { name, address, kind }.into()),
                // Of a mixed answer only what is allowed counts.
                _ => Ok(boxed(allowed)),
            }
        })
    }
}

fn boxed(addresses: Vec<IpAddr>) -> Addrs {
    Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)))
}
