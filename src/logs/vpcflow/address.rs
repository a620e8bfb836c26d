//! Addresses in one sortable form: 32 lower-case hex digits of the address as IPv6.

use std::net::Ipv6Addr;

/// The first twelve bytes of an IPv4 address that is mapped into IPv6 (RFC 4291, section 2.5.5.2).
const MAPPED: u128 = 0xffff_0000_0000;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Writes the key of an address into `space` and returns it; `None` when `text` is not an IPv4 or IPv6 address.
pub(super) fn key<'a>(text: &str, space: &'a mut [u8; 32]) -> Option<&'a str> {
    let address = match v4(text.as_bytes()) {
        Some(address) => MAPPED | u128::from(address),
        None if text.contains(':') => text.parse::<Ipv6Addr>().ok()?.to_bits(),
        None => return None,
    };
    for (digits, byte) in space.chunks_exact_mut(2).zip(address.to_be_bytes()) {
        digits.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    std::str::from_utf8(space).ok()
}

/// True when `text` is an IPv4 or IPv6 address.
pub(super) fn is_address(text: &str) -> bool {
    v4(text.as_bytes()).is_some() || (text.contains(':') && text.parse::<Ipv6Addr>().is_ok())
}

/// A dotted IPv4 address without leading zeros, which some readers take for octal numbers.
fn v4(text: &[u8]) -> Option<u32> {
    if text.len() > 15 {
        return None;
    }
    let (mut address, mut part, mut digits, mut dots) = (0u32, 0u32, 0, 0);
    for &byte in text {
        match byte {
            b'0'..=b'9' if digits == 0 || (part != 0 && digits < 3) => {
                part = part * 10 + u32::from(byte - b'0');
                digits += 1;
            }
            b'.' if digits > 0 && part < 256 && dots < 3 => {
                address = address << 8 | part;
                (part, digits) = (0, 0);
                dots += 1;
            }
            _ => return None,
        }
    }
    (dots == 3 && digits > 0 && part < 256).then_some(address << 8 | part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_both_families_sort_as_numbers() {
        let cases = [
            ("192.0.2.1", Some("00000000000000000000ffffc0000201")),
            ("0.0.0.0", Some("00000000000000000000ffff00000000")),
            ("255.255.255.255", Some("00000000000000000000ffffffffffff")),
            ("2001:db8::a", Some("20010db800000000000000000000000a")),
            ("::ffff:192.0.2.1", Some("00000000000000000000ffffc0000201")),
            ("192.0.2.256", None),
            ("192.0.2", None),
            ("192.0.2.1.1", None),
            ("192.0.02.1", None),
            ("192.0.2.", None),
            ("1922.0.2.1", None),
            ("", None),
            ("-", None),
            ("eni-1", None),
            ("2001:db8::g", None),
        ];
        for (text, expected) in cases {
            assert_eq!(key(text, &mut [0; 32]), expected, "{text}");
            assert_eq!(is_address(text), expected.is_some(), "{text}");
        }
    }

    #[test]
    fn every_ipv4_address_that_the_standard_library_reads_is_read() {
        for number in (0..=u32::MAX).step_by(65_521 * 7) {
            let text = std::net::Ipv4Addr::from_bits(number).to_string();
            assert_eq!(v4(text.as_bytes()), Some(number), "{text}");
        }
    }
}
