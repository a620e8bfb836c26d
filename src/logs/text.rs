//! What all log types read alike: timestamps, the identity of a record, and bytes of a kind among many.

use chrono::{DateTime, NaiveDateTime};
use wide::u8x16;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// Microseconds since 1970 UTC of a timestamp as AWS and common exports write it, or `None`.
///
/// Accepts RFC 3339 (`2026-10-01T00:00:00Z`, with fractions and offsets), the basic form `20131102T010628Z`,
/// and `2025-05-15 14:17:22.000000000` with or without fractions, which is read as UTC.
pub fn micros(text: &str) -> Option<i64> {
    if let Some(fast) = seconds_z(text.as_bytes()) {
        return Some(fast * 1_000_000);
    }
    let text = text.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_micros());
    }
    for format in ["%Y%m%dT%H%M%SZ", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(text, format) {
            return Some(time.and_utc().timestamp_micros());
        }
    }
    None
}

/// Seconds since 1970 of exactly `YYYY-MM-DDThh:mm:ssZ`, the form of nearly every record.
fn seconds_z(text: &[u8]) -> Option<i64> {
    let text: &[u8; 20] = text.try_into().ok()?;
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'Z')];
    if separators.iter().any(|&(place, byte)| text[place] != byte) {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<i64> {
        text[from..to].iter().try_fold(0i64, |sum, b| b.is_ascii_digit().then(|| sum * 10 + i64::from(b - b'0')))
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let date = chrono::NaiveDate::from_ymd_opt(year as i32, month as u32, day as u32)?;
    let time = date.and_hms_opt(hour as u32, minute as u32, second as u32)?;
    Some(time.and_utc().timestamp())
}

/// Identity of a record from the values that identify it: equal parts give equal ids, on every machine and in every version.
/// Parts are separated, so `("a", "bc")` and `("ab", "c")` differ.
pub fn identity(parts: &[&str]) -> u128 {
    let mut short = [0u8; 128];
    let mut used = 0;
    for part in parts {
        let length = (part.len() as u64).to_le_bytes();
        for piece in [&length[..], part.as_bytes()] {
            match short.get_mut(used..used + piece.len()) {
                Some(place) => place.copy_from_slice(piece),
                None => return long_identity(parts),
            }
            used += piece.len();
        }
    }
    xxh3_128(short.get(..used).unwrap_or_default())
}

/// The same for parts that do not fit a small buffer.
fn long_identity(parts: &[&str]) -> u128 {
    let mut hash = Xxh3::new();
    for part in parts {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.digest128()
}

/// One bit for each byte of a block that is wanted; the first byte's is the lowest. `wanted` makes all bits of a lane that it
/// wants ones, and all others zeros.
#[inline(always)]
pub fn marks(block: &[u8; 64], wanted: impl Fn(u8x16) -> u8x16) -> u64 {
    let mut marks = 0;
    for lanes in block.as_chunks::<16>().0.iter().rev() {
        marks = marks << 16 | u64::from(wanted(u8x16::new(*lanes)).to_bitmask());
    }
    marks
}

/// The lanes whose byte is at most `most`.
#[inline(always)]
pub fn at_most(lanes: u8x16, most: u8) -> u8x16 {
    lanes.min(u8x16::splat(most)).simd_eq(lanes)
}

/// Fewer bytes than a block as a block: blanks follow them.
pub fn last_block(rest: &[u8]) -> [u8; 64] {
    let mut block = [b' '; 64];
    for (place, byte) in block.iter_mut().zip(rest) {
        *place = *byte;
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_all_forms() {
        let expected = Some(1_790_856_000_000_000);
        for text in [
            "2026-10-01T12:00:00Z",
            "2026-10-01T12:00:00.000Z",
            "2026-10-01T14:00:00+02:00",
            "20261001T120000Z",
            "2026-10-01 12:00:00.000000000",
        ] {
            assert_eq!(micros(text), expected, "{text}");
        }
        for text in ["", "soon", "2026-13-01T12:00:00Z", "2026-10-01T25:00:00Z", "2026-10-0aT12:00:00Z"] {
            assert_eq!(micros(text), None, "{text}");
        }
    }

    #[test]
    fn every_wanted_byte_has_its_bit() {
        for (first, second) in (0..64).flat_map(|first| (first..64).map(move |second| (first, second))) {
            let mut block = [b'-'; 64];
            (block[first], block[second]) = (b'x', b'x');
            assert_eq!(marks(&block, |lanes| lanes.simd_eq(u8x16::splat(b'x'))), 1 << first | 1 << second);
            assert_eq!(marks(&block, |lanes| at_most(lanes, b'-')), !(1 << first | 1 << second));
        }
    }

    #[test]
    fn identity_separates_parts_and_does_not_depend_on_length() {
        assert_ne!(identity(&["a", "bc"]), identity(&["ab", "c"]));
        assert_ne!(identity(&["a"]), identity(&["a", ""]));
        for length in [0, 60, 111, 112, 113, 500] {
            let part = "x".repeat(length);
            assert_eq!(identity(&["log", &part]), long_identity(&["log", &part]), "{length}");
        }
    }
}
