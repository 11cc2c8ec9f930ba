//! Owns what kind of address one is: of the public internet, private, or one behind which a cloud hands out credentials.
//! Deliberately resolves nothing, and knows nothing of rules.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address that is none of the public internet's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A name may lead there where its rule says `private`.
    Private(&'static str),
    /// A name leads there only where it is itself the name of a cloud's metadata: such addresses are link-local or a
    /// cloud's own, and whoever can ask there is given the machine's credentials.
    Walled(&'static str),
}

impl Kind {
    /// For people, with its article.
    pub fn text(self) -> &'static str {
        match self {
            Kind::Private(text) | Kind::Walled(text) => text,
        }
    }
}

const METADATA: Kind = Kind::Walled("an address of cloud metadata");

/// Names under which clouds answer for their metadata: a rule has to spell them, a star does not cover them.
const METADATA_NAMES: [&str; 7] = [
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "metadata.azure.internal",
    "metadata.tencentyun.com",
    "instance-data",
    "instance-data.ec2.internal",
];

/// Whether clouds answer for their metadata under this name (lower case, no dot at its end).
pub fn is_metadata_name(host: &str) -> bool {
    METADATA_NAMES.contains(&host)
}

/// What kind of address it is; `None`: of the public internet.
pub fn kind(address: IpAddr) -> Option<Kind> {
    match address {
        IpAddr::V4(address) => v4(address),
        IpAddr::V6(address) => v6(address),
    }
}

/// The IPv4 address that an IPv6 address is another spelling of: mapped, compatible, NAT64 and 6to4 all lead there.
pub fn within(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let (high, low) = match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => return None,
        [0, 0, 0, 0, 0, 0xffff | 0, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => (high, low),
        _ => return None,
    };
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Some(Ipv4Addr::new(a, b, c, d))
}

fn v4(address: Ipv4Addr) -> Option<Kind> {
    Some(match address.octets() {
        [169, 254, ..] => Kind::Walled("a link-local address (as those of cloud metadata)"),
        // Alibaba, Azure's wire server (a public address), Oracle.
        [100, 100, 100, 200] | [168, 63, 129, 16] | [192, 0, 0, 192] => METADATA,
        [127, ..] => Kind::Private("a loopback address"),
        [10, ..] | [192, 168, ..] | [172, 16..=31, ..] => Kind::Private("a private address"),
        [100, 64..=127, ..] => Kind::Private("an address of carriers' own networks"),
        [0, ..] => Kind::Private("an unspecified address"),
        [224..=239, ..] => Kind::Private("a multicast address"),
        [192, 0, 0 | 2, _] | [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] | [240..=255, ..] => {
            Kind::Private("a reserved address")
        }
        _ => return None,
    })
}

fn v6(address: Ipv6Addr) -> Option<Kind> {
    if let Some(address) = within(address) {
        return v4(address);
    }
    Some(match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Kind::Private("an unspecified address"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Kind::Private("a loopback address"),
        [0xfe80..=0xfebf, ..] => Kind::Walled("a link-local address"),
        // EC2 (all of its services' prefix), Google, Scaleway, Oracle.
        [0xfd00, 0xec2, ..] | [0xfd20, 0xce, ..] | [0xfd00, 0x42, ..] | [0xfd00, 0xc1, ..] => METADATA,
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Kind::Private("a private address"),
        [0xff00..=0xffff, ..] => Kind::Private("a multicast address"),
        [0x64, 0xff9b, 1, ..] | [0x100, 0, 0, 0, ..] | [0x2001, 0xdb8, ..] | [0x2001, 0, ..] => {
            Kind::Private("a reserved address")
        }
        _ => return None,
    })
}
