//! Which addresses a server may fetch from for strangers, see docs/operations.md#links-of-requests.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// What is nobody's on the internet, with who says so: mostly the registries of special-purpose addresses of IANA.
const SPECIAL: [(IpNet, &str); 20] = [
    (v4([0, 0, 0, 0], 8), "this network, RFC 791"),
    (v4([10, 0, 0, 0], 8), "private, RFC 1918"),
    (v4([100, 64, 0, 0], 10), "shared by a provider, RFC 6598"),
    (v4([127, 0, 0, 0], 8), "loopback, RFC 1122"),
    (v4([168, 63, 129, 16], 32), "the host of Azure's machines"),
    (v4([169, 254, 0, 0], 16), "link-local, RFC 3927"),
    (v4([172, 16, 0, 0], 12), "private, RFC 1918"),
    (v4([192, 0, 0, 0], 24), "protocol assignments, RFC 6890"),
    (v4([192, 0, 2, 0], 24), "documentation, RFC 5737"),
    (v4([192, 88, 99, 0], 24), "6to4 relays, RFC 7526"),
    (v4([192, 168, 0, 0], 16), "private, RFC 1918"),
    (v4([198, 18, 0, 0], 15), "benchmarking, RFC 2544"),
    (v4([198, 51, 100, 0], 24), "documentation, RFC 5737"),
    (v4([203, 0, 113, 0], 24), "documentation, RFC 5737"),
    (v4([224, 0, 0, 0], 4), "multicast, RFC 5771"),
    (v4([240, 0, 0, 0], 4), "reserved and broadcast, RFC 1112"),
    (
        v6([0x2001, 0], 23),
        "protocol assignments, Teredo among them, RFC 2928",
    ),
    (v6([0x2001, 0xdb8], 32), "documentation, RFC 3849"),
    (v6([0x2002, 0], 16), "6to4, RFC 7526"),
    (v6([0x3fff, 0], 20), "documentation, RFC 9637"),
];

/// All of IPv6 that is given out on the internet, RFC 4291.
const GLOBAL_V6: IpNet = v6([0x2000, 0], 3);

/// IPv4 as a network without it reaches it, RFC 6052.
const NAT64: IpNet = v6([0x64, 0xff9b], 96);

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix))
}

const fn v6([a, b]: [u16; 2], prefix: u8) -> IpNet {
    let address = Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0);
    IpNet::V6(Ipv6Net::new_assert(address, prefix))
}

/// Whether a host, an IPv6 address in brackets or not, names this machine to itself.
pub fn is_loopback_host(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let address = address.parse::<IpAddr>();
    address.map_or(host == "localhost", |ip| ip.to_canonical().is_loopback())
}

/// Whether the address is one on the internet, and not of this machine, its network or a purpose of its own.
pub fn is_public(address: IpAddr) -> bool {
    let address = carried(address);
    let special = SPECIAL.iter().any(|(net, _)| net.contains(&address));
    !special && (address.is_ipv4() || GLOBAL_V6.contains(&address))
}

/// The IPv4 address that one of IPv6 leads to; others are what they are.
fn carried(address: IpAddr) -> IpAddr {
    match (address, address.to_canonical()) {
        (IpAddr::V6(v6), IpAddr::V6(_)) if NAT64.contains(&address) => {
            let [.., a, b, c, d] = v6.octets();
            Ipv4Addr::new(a, b, c, d).into()
        }
        (_, canonical) => canonical,
    }
}

/// An entry of a list of hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostRule {
    /// The addresses of a network such as `10.1.0.0/16`, or one address.
    Net(IpNet),
    /// The host of this name.
    Name(String),
    /// All hosts below this name, written `*.example.com`, and not the one of the name itself.
    Below(String),
}

impl HostRule {
    /// Whether the rule is of the host, which is at this address, if it is known at all.
    pub fn covers(&self, host: &str, address: Option<IpAddr>) -> bool {
        match self {
            Self::Net(net) => {
                let within = |ip: IpAddr| net.contains(&ip) || net.contains(&carried(ip));
                address.is_some_and(within)
            }
            Self::Name(name) => host == name,
            Self::Below(name) => host
                .strip_suffix(name)
                .is_some_and(|rest| rest.ends_with('.')),
        }
    }
}

impl FromStr for HostRule {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if let Ok(net) = text.parse::<IpNet>() {
            return Ok(Self::Net(net));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Net(address.into()));
        }
        let name = text.strip_prefix("*.").unwrap_or(text).to_ascii_lowercase();
        let is_label = |label: &str| {
            let ours = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            !label.is_empty() && label.bytes().all(ours)
        };
        // What ends in a number would be taken for an address.
        let last = name.rsplit('.').next().unwrap_or_default();
        if !name.split('.').all(is_label) || last.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(());
        }
        Ok(if text.starts_with("*.") {
            Self::Below(name)
        } else {
            Self::Name(name)
        })
    }
}

impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(net) => net.fmt(f),
            Self::Name(name) => f.write_str(name),
            Self::Below(name) => write!(f, "*.{name}"),
        }
    }
}

/// What may be fetched from: what is public and not denied, and of the others what is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressRules {
    /// Of what is not public.
    pub allow: Vec<HostRule>,
    /// Goes before `allow`.
    pub deny: Vec<HostRule>,
}

impl AddressRules {
    /// Whether the host may be asked at this address; of an address without a name `host` is the address as text.
    pub fn permit(&self, host: &str, address: IpAddr) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let listed =
            |rules: &[HostRule]| rules.iter().any(|rule| rule.covers(&host, Some(address)));
        !listed(&self.deny) && (is_public(address) || listed(&self.allow))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_of_the_internet_are_public_and_all_others_are_not() {
        let public = "1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 172.15.0.1 172.32.0.1 192.0.1.0 \
            198.17.255.255 198.20.0.0 223.255.255.255 2606:4700::1111 2a00::1 2003::1 ::ffff:1.1.1.1 64:ff9b::101:101";
        for text in public.split_whitespace() {
            assert!(is_public(address(text)), "{text}");
        }
        let special = "0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.255 168.63.129.16 \
            169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.1 198.19.255.255 \
            198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 :: ::1 ::7f00:1 ::1.1.1.1 \
            ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:0:127.0.0.1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::101:101 \
            100::1 2001::1 2001:0:101:101:: 2001:2::1 2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1:: 2002:101:101:: 3fff::1 \
            5f00::1 fc00::1 fd00:ec2::254 fe80::1 fec0::1 ff02::1 4000::1";
        for text in special.split_whitespace() {
            assert!(!is_public(address(text)), "{text}");
        }
    }

    #[test]
    fn deny_goes_before_allow_and_allow_before_what_is_special() {
        let rules = |list: &[&str]| list.iter().map(|rule| rule.parse().unwrap()).collect();
        let rules = AddressRules {
            allow: rules(&["10.1.0.0/16", "*.Inside.example", "fd00::1"]),
            deny: rules(&["10.1.2.0/24", "bad.example", "*.bad.example", "8.8.8.8"]),
        };
        for (host, at) in [
            ("10.1.1.1", "10.1.1.1"),
            ("a.example", "::ffff:10.1.1.1"),
            ("A.inside.example.", "127.0.0.1"),
            ("a.example", "fd00::1"),
            ("notbad.example", "1.1.1.1"),
        ] {
            assert!(rules.permit(host, address(at)), "{host} {at}");
        }
        for (host, at) in [
            ("10.2.1.1", "10.2.1.1"),
            ("a.inside.example", "10.1.2.3"),
            ("inside.example", "127.0.0.1"),
            ("ainside.example", "127.0.0.1"),
            ("bad.example.", "1.1.1.1"),
            ("very.bad.example", "1.1.1.1"),
            ("a.example", "64:ff9b::808:808"),
        ] {
            assert!(!rules.permit(host, address(at)), "{host} {at}");
        }
    }

    #[test]
    fn rules_are_read_as_they_are_written() {
        for text in ["10.0.0.0/8", "fd00::/8", "a.example", "*.a-b.example"] {
            assert_eq!(text.parse::<HostRule>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "*",
            "*.",
            "10.0.0.0/33",
            "10.0.0",
            "a..b",
            "a b",
            "http://a",
            "a:80",
        ] {
            assert_eq!(text.parse::<HostRule>(), Err(()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_ipv4_address_is_judged_alike_however_it_is_written(bits: u32) {
            let [a, b] = [(bits >> 16) as u16, bits as u16];
            let v4 = Ipv4Addr::from_bits(bits);
            let forms = [v4.to_ipv6_mapped(), Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, a, b)];
            for form in forms {
                prop_assert_eq!(is_public(form.into()), is_public(v4.into()));
            }
            for whole in [v4.to_ipv6_compatible(), Ipv6Addr::new(0x2002, a, b, 0, 0, 0, 0, 1)] {
                prop_assert!(!is_public(whole.into()));
            }
        }

        #[test]
        fn what_the_standard_library_calls_private_is_never_public(bits: u32) {
            let v4 = Ipv4Addr::from_bits(bits);
            let special = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast()
                || v4.is_broadcast() || v4.is_documentation() || v4.is_unspecified();
            prop_assert!(!(special && is_public(v4.into())));
        }
    }
}
