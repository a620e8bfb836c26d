//! Internet addresses and ranges: parsing, membership, and which are private or public.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address as people write it, or `None` for anything else (CloudTrail also writes service names there).
/// An IPv4 address written as IPv6 (`::ffff:192.0.2.1`) is the IPv4 address.
pub fn parse(text: &str) -> Option<IpAddr> {
    text.trim().parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// Address ranges of both families. IPv4 and IPv6 stay apart: `::/0` holds no IPv4 address.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Ranges {
    v4: Vec<(u128, u128)>,
    v6: Vec<(u128, u128)>,
}

impl Ranges {
    /// Adds a range in CIDR notation (RFC 4632, RFC 4291), or a single address. False when the text is neither.
    pub fn add(&mut self, text: &str) -> bool {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.trim())),
            None => (text, None),
        };
        let Ok(address) = address.trim().parse::<IpAddr>() else { return false };
        let bits: u32 = if address.is_ipv4() { 32 } else { 128 };
        let length = match length.map(str::parse::<u32>) {
            None => bits,
            Some(Ok(length)) if length <= bits => length,
            Some(_) => return false,
        };
        let host_bits = bits - length;
        let host_mask = if host_bits == 128 { u128::MAX } else { (1u128 << host_bits) - 1 };
        let first = number(address) & !host_mask;
        let family = if address.is_ipv4() { &mut self.v4 } else { &mut self.v6 };
        family.push((first, first | host_mask));
        true
    }

    /// True when one of the ranges holds the address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let family = if address.is_ipv4() { &self.v4 } else { &self.v6 };
        let value = number(address);
        family.iter().any(|(first, last)| (*first..=*last).contains(&value))
    }
}

/// True for addresses that are not routed on the internet: RFC 1918, RFC 6598 (carrier-grade NAT), RFC 4193 (unique
/// local), loopback and link local.
pub fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || (first == 100 && (64..128).contains(&second))
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// True for unicast addresses that may belong to a host on the internet.
///
/// The ranges that RFC 5737 and RFC 3849 keep for documentation count as public: samples stand for hosts on the internet.
pub fn is_public(address: IpAddr) -> bool {
    if is_private(address) {
        return false;
    }
    match address {
        IpAddr::V4(v4) => !special_v4(v4),
        IpAddr::V6(v6) => !special_v6(v6),
    }
}

/// "This network", benchmarking, protocol assignments, multicast, reserved and broadcast (RFC 6890).
fn special_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    a == 0 || a >= 224 || (a == 198 && (b == 18 || b == 19)) || (a == 192 && b == 0 && c == 0)
}

fn special_v6(address: Ipv6Addr) -> bool {
    address.is_unspecified() || address.is_multicast()
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(range: &str, address: &str) -> bool {
        let mut ranges = Ranges::default();
        assert!(ranges.add(range), "{range} is a range");
        ranges.contains(parse(address).expect("an address"))
    }

    #[test]
    fn ranges_hold_their_first_and_last_address_and_no_more() {
        assert!(within("192.0.2.0/24", "192.0.2.0") && within("192.0.2.0/24", "192.0.2.255"));
        assert!(!within("192.0.2.0/24", "192.0.3.0") && !within("192.0.2.0/24", "192.0.1.255"));
        assert!(within("192.0.2.77/24", "192.0.2.1"), "host bits of the range are ignored");
        assert!(within("203.0.113.9", "203.0.113.9") && !within("203.0.113.9", "203.0.113.8"));
        assert!(within("0.0.0.0/0", "255.255.255.255") && within("2001:db8::/32", "2001:db8:ffff::1"));
        assert!(within("::/0", "2001:db8::1"));
    }

    #[test]
    fn families_do_not_mix() {
        assert!(!within("::/0", "192.0.2.1") && !within("0.0.0.0/0", "2001:db8::1"));
        assert!(within("192.0.2.0/24", "::ffff:192.0.2.9"));
    }

    #[test]
    fn what_is_not_a_range_is_refused() {
        for text in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/-1", "10.0.0.0/8/8", "host"] {
            assert!(!Ranges::default().add(text), "{text:?} was accepted");
        }
    }

    #[test]
    fn private_and_public_never_overlap() {
        for text in ["10.0.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "127.0.0.1", "169.254.169.254", "::1"] {
            let address = parse(text).expect("an address");
            assert!(is_private(address) && !is_public(address), "{text}");
        }
        for text in ["fd00::1", "fe80::1", "::ffff:10.0.0.1"] {
            assert!(is_private(parse(text).expect("an address")), "{text}");
        }
        for text in ["192.0.2.1", "100.128.0.1", "172.32.0.1", "8.8.8.8", "2001:db8::1", "2600:1f18::1"] {
            let address = parse(text).expect("an address");
            assert!(is_public(address) && !is_private(address), "{text}");
        }
        for text in ["0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "ff02::1", "198.18.0.1"] {
            let address = parse(text).expect("an address");
            assert!(!is_public(address) && !is_private(address), "{text}");
        }
    }
}
