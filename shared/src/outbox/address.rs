//! Which addresses belong to the public internet. The rest is the network of whoever runs the service, where endpoints
//! of others have no business.
//!
//! Source: the IANA registries of special-purpose addresses (RFC 6890), IPv4 and IPv6.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Not public in IPv4: network and length of its prefix.
const V4: [(Ipv4Addr, u32); 16] = [
    (Ipv4Addr::UNSPECIFIED, 8),            // "this network"
    (Ipv4Addr::new(10, 0, 0, 0), 8),       // private
    (Ipv4Addr::new(100, 64, 0, 0), 10),    // shared by carriers (CGNAT)
    (Ipv4Addr::new(127, 0, 0, 0), 8),      // loopback
    (Ipv4Addr::new(168, 63, 129, 16), 32), // metadata of Azure, which no registry has
    (Ipv4Addr::new(169, 254, 0, 0), 16),   // link-local; metadata of the clouds
    (Ipv4Addr::new(172, 16, 0, 0), 12),    // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),     // protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24),     // documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24),   // relays of 6to4
    (Ipv4Addr::new(192, 168, 0, 0), 16),   // private
    (Ipv4Addr::new(198, 18, 0, 0), 15),    // benchmarks
    (Ipv4Addr::new(198, 51, 100, 0), 24),  // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),   // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4),      // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),      // reserved; broadcast
];

/// The only public block of IPv6.
const GLOBAL: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Not public inside of it.
const V6: [(Ipv6Addr, u32); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments; Teredo
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// Addresses of IPv6 that stand for one of IPv4, in their last 32 bits: mapped, and translated (NAT64).
const EMBEDDED: [(Ipv6Addr, u32); 2] =
    [(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96), (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96)];

/// Whether an address is one of the public internet. An IPv6 address that stands for an IPv4 address is what that is.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !V4.iter().any(|block| in_v4(v4, *block)),
        IpAddr::V6(v6) if EMBEDDED.iter().any(|block| in_v6(v6, *block)) => {
            let [.., a, b, c, d] = v6.octets();
            is_public(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
        }
        IpAddr::V6(v6) => in_v6(v6, GLOBAL) && !V6.iter().any(|block| in_v6(v6, *block)),
    }
}

fn in_v4(address: Ipv4Addr, (network, length): (Ipv4Addr, u32)) -> bool {
    (address.to_bits() ^ network.to_bits()).leading_zeros() >= length
}

fn in_v6(address: Ipv6Addr, (network, length): (Ipv6Addr, u32)) -> bool {
    (address.to_bits() ^ network.to_bits()).leading_zeros() >= length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(text: &str) -> bool {
        is_public(text.parse().unwrap())
    }

    #[test]
    fn hosts_of_the_internet_are_public() {
        for text in
            ["8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.0", "100.63.255.255", "100.128.0.0", "223.255.255.255"]
        {
            assert!(public(text), "{text}");
        }
        for text in ["2606:4700:4700::1111", "2a00:1450:4001:81b::200e", "2001:4860:4860::8888"] {
            assert!(public(text), "{text}");
        }
    }

    #[test]
    fn special_ipv4_is_not() {
        let special = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.169.254",
            "169.254.170.2",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
        ];
        for text in special {
            assert!(!public(text), "{text}");
        }
    }

    #[test]
    fn special_ipv6_is_not() {
        let special = [
            "::",
            "::1",
            "::7f00:1",
            "::808:808",
            "100::1",
            "fc00::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "2001::1",
            "2001:0:808:808::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "64:ff9b:1::808:808",
            "5f00::1",
            "4000::1",
        ];
        for text in special {
            assert!(!public(text), "{text}");
        }
    }

    #[test]
    fn an_ipv6_address_is_what_its_ipv4_address_is() {
        for prefix in ["::ffff:", "64:ff9b::"] {
            assert!(public(&format!("{prefix}8.8.8.8")));
            for text in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0"] {
                assert!(!public(&format!("{prefix}{text}")), "{prefix}{text}");
            }
        }
    }
}
