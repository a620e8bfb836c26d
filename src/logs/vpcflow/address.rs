//! Addresses in one sortable form: 32 lower-case hex digits of the address as IPv6.

use std::net::Ipv6Addr;

/// The key of the IPv4 address 0.0.0.0, mapped into IPv6 (RFC 4291, section 2.5.5.2).
const MAPPED: [u8; 32] = *b"00000000000000000000ffff00000000";

/// The two digits of each byte.
const DIGITS: [[u8; 2]; 256] = {
    let (mut digits, mut byte) = ([[0; 2]; 256], 0);
    while byte < 256 {
        let hex = b"0123456789abcdef";
        digits[byte] = [hex[byte >> 4], hex[byte & 15]];
        byte += 1;
    }
    digits
};

/// Writes the key of an address into `space` and returns it; `None` when `text` is not an IPv4 or IPv6 address.
pub(super) fn key<'a>(text: &str, space: &'a mut [u8; 32]) -> Option<&'a str> {
    match v4(text.as_bytes()) {
        Some(address) => {
            *space = MAPPED;
            write(&mut space[24..], &address.to_be_bytes());
        }
        None if text.contains(':') => write(space, &text.parse::<Ipv6Addr>().ok()?.octets()),
        None => return None,
    }
    std::str::from_utf8(space).ok()
}

/// Writes two digits for each byte.
#[inline]
fn write(space: &mut [u8], bytes: &[u8]) {
    for (digits, byte) in space.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        *digits = DIGITS[usize::from(*byte)];
    }
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
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            // No zero before other digits, and no more digits than 255 has.
            if digits == 3 || (part == 0 && digits != 0) {
                return None;
            }
            part = part * 10 + u32::from(digit);
            digits += 1;
        } else {
            if byte != b'.' || digits == 0 || part > 255 || dots == 3 {
                return None;
            }
            address = address << 8 | part;
            (part, digits) = (0, 0);
            dots += 1;
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
