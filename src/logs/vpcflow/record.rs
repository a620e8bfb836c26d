//! The values of one flow record to one row: shared by text and Parquet, so that both give the same row and identity.

use std::borrow::Cow;
use std::collections::BTreeMap;

use xxhash_rust::xxh3::{xxh3_128, xxh3_128_with_seed};

use super::address;
use super::format::{Field, Order, Place};
use crate::logs::rows::Rows;

/// Seconds from 1970 to the year 10000: later times are milliseconds, or nonsense that no date can show.
const TIME_LIMIT: i64 = 253_402_300_800;

/// What a record says in one field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    /// Nothing.
    Null,
    /// A number, for the fields that are numbers.
    Number(i64),
    /// Text, for all other fields.
    Text(&'a str),
}

/// Reads the text of a number field. `None` when it is not a number, or too large for the column.
#[inline]
pub(super) fn number(place: Place, text: &str) -> Option<i64> {
    // Eighteen digits cannot overflow; longer numbers and other spellings are rare.
    let number = match digits(text) {
        Some(number) if text.len() <= 18 => number,
        Some(_) => text.parse().ok()?,
        None => return number_with_fraction(place, text),
    };
    in_range(place, number).then_some(number)
}

/// The number that these digits spell, modulo 2^64; `None` when they are not all digits.
#[inline]
fn digits(text: &str) -> Option<i64> {
    let (mut number, mut rest) = (0i64, text.as_bytes());
    // Times have ten digits.
    while let Some((eight, after)) = rest.split_first_chunk::<8>() {
        number = number.wrapping_mul(100_000_000).wrapping_add(eight_digits(*eight)?);
        rest = after;
    }
    for digit in rest {
        let value = digit.wrapping_sub(b'0');
        if value > 9 {
            return None;
        }
        number = number.wrapping_mul(10).wrapping_add(i64::from(value));
    }
    (!text.is_empty()).then_some(number)
}

/// The number that eight digits spell, put together pair by pair in one word.
#[inline]
fn eight_digits(text: [u8; 8]) -> Option<i64> {
    const HIGH_HALVES: u64 = 0xf0f0_f0f0_f0f0_f0f0;
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    const SIX: u64 = 0x0606_0606_0606_0606;
    let text = u64::from_le_bytes(text);
    // Above 9 six more change the high half; bytes from 0xfa on carry, but their own high half is wrong already.
    if (text & HIGH_HALVES) | ((text.wrapping_add(SIX) & HIGH_HALVES) >> 4) != 0x3333_3333_3333_3333 {
        return None;
    }
    let digits = text - ZEROS;
    let pairs = (digits.wrapping_mul(10).wrapping_add(digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs.wrapping_mul(100).wrapping_add(pairs >> 16)) & 0x0000_ffff_0000_ffff;
    let eight = (fours.wrapping_mul(10_000).wrapping_add(fours >> 32)) & 0xffff_ffff;
    i64::try_from(eight).ok()
}

/// `443.0`: how tables with missing numbers write whole ones.
fn number_with_fraction(place: Place, text: &str) -> Option<i64> {
    let whole = text.strip_suffix(".0")?;
    let number = digits(whole).and_then(|_| whole.parse().ok())?;
    in_range(place, number).then_some(number)
}

/// The reason for a value that is none of its field's numbers.
pub(super) fn not_a_number(field: &Field) -> String {
    format!("{} is not a number that fits", field.name)
}

/// True when the column of a number field can hold the number.
pub(super) fn in_range(place: Place, number: i64) -> bool {
    number >= 0 && (!matches!(place, Place::Int(_)) || number <= i64::from(i32::MAX))
}

/// Fills and finishes one row from the values of `order`'s fields, or says why it cannot and fills nothing.
pub(super) fn fill(rows: &mut Rows, order: &Order, values: &[Value<'_>], index: u64) -> Result<(), String> {
    let time = time(order, values)?;
    let mut id = 0u128;
    let mut has_interface = false;
    for (field, &value) in order.fields.iter().zip(values) {
        match value {
            Value::Null => {}
            Value::Number(number) => {
                match field.place {
                    Place::Int(column) => rows.int(column, i32::try_from(number).unwrap_or(i32::MAX)),
                    Place::Long(column) => rows.long(column, number),
                    _ => continue,
                }
                id = id.wrapping_add(number_hash(number, field.seed));
            }
            Value::Text(text) => {
                has_interface |= field.names_interface;
                id = id.wrapping_add(fill_text(rows, field, text));
            }
        }
    }
    if order.has_extra
        && let Some(extra) = extra(order, values)
        && let Some(column) = super::TABLE.position("extra")
    {
        rows.text(column, &extra);
    }
    if !(order.tells_flows_apart && has_interface) {
        let occurrence = rows.occurrence(id);
        if occurrence > 0 {
            id = id.wrapping_add(xxh3_128(&occurrence.to_le_bytes()));
        }
    }
    rows.finish(time, index, id);
    Ok(())
}

/// A number's part of the identity: two folded multiplications, a third of the time that the general hash needs.
fn number_hash(number: i64, seed: u64) -> u128 {
    const ODD: [u64; 3] = [0x9e37_79b9_7f4a_7c15, 0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb];
    let number = number as u64;
    let first = u128::from(number ^ seed) * u128::from(number.rotate_left(32) ^ ODD[0]);
    let (low, high) = (first as u64, (first >> 64) as u64);
    u128::from(low ^ ODD[1]).wrapping_mul(u128::from(high ^ seed ^ ODD[2])).wrapping_add(first.rotate_left(64))
}

/// Fills a text field; returns its part of the identity.
fn fill_text(rows: &mut Rows, field: &Field, text: &str) -> u128 {
    let mut decoded = Cow::Borrowed(text);
    match field.place {
        Place::Text(column) | Place::Account(column) => rows.text(column, text),
        Place::Address(column, key_column) => {
            rows.text(column, text);
            if let Some(key) = address::key(text, &mut [0; 32]) {
                rows.text(key_column, key);
            }
        }
        Place::Tag(column) => {
            decoded = percent_decoded(text);
            rows.text(column, &decoded);
        }
        Place::Extra => {}
        Place::Partition | Place::Skip | Place::Int(_) | Place::Long(_) => return 0,
    }
    xxh3_128_with_seed(decoded.as_bytes(), field.seed)
}

/// Event time in microseconds: the start of the interval, or its end when the start is not known.
pub(super) fn time(order: &Order, values: &[Value<'_>]) -> Result<i64, String> {
    let seconds = |place: Option<usize>| match place.and_then(|place| values.get(place)) {
        Some(Value::Number(number)) => Some(*number),
        _ => None,
    };
    match seconds(order.start).or_else(|| seconds(order.end)) {
        Some(seconds) if seconds < TIME_LIMIT => Ok(seconds * 1_000_000),
        Some(_) => Err("start is not a time in Unix seconds".to_owned()),
        None if order.start.is_none() && order.end.is_none() => {
            Err("the format has neither start nor end, so the record has no time".to_owned())
        }
        None => Err("neither start nor end has a value, so the record has no time".to_owned()),
    }
}

/// The fields without column as a JSON object of texts.
fn extra(order: &Order, values: &[Value<'_>]) -> Option<String> {
    let mut extra: BTreeMap<&str, &str> = BTreeMap::new();
    for (field, value) in order.fields.iter().zip(values) {
        if let (Place::Extra | Place::Partition, Value::Text(text)) = (field.place, value) {
            extra.insert(&field.name, text);
        }
    }
    if extra.is_empty() { None } else { serde_json::to_string(&extra).ok() }
}

/// Tag values arrive percent-encoded (RFC 3986, section 2.1). What is not a valid escape stays as it is.
fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        match (first, after) {
            (b'%', [high, low, after @ ..]) => match (nibble(*high), nibble(*low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high << 4 | low);
                    rest = after;
                }
                _ => bytes.push(first),
            },
            _ => bytes.push(first),
        }
    }
    String::from_utf8(bytes).map_or(Cow::Borrowed(text), Cow::Owned)
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_digits_that_fit() {
        let (int, long) = (Place::Int(0), Place::Long(0));
        let cases = [
            (long, "0", Some(0)),
            (long, "9223372036854775807", Some(i64::MAX)),
            (long, "9223372036854775808", None),
            (long, "0000000000000000000000007", Some(7)),
            (long, "99999999999999999999999", None),
            (int, "2147483647", Some(2_147_483_647)),
            (int, "2147483648", None),
            (int, "443.0", Some(443)),
            (int, "443.5", None),
            (int, "-1", None),
            (int, "+1", None),
            (int, "1e3", None),
            (int, "", None),
            (int, ".0", None),
        ];
        for (place, text, expected) in cases {
            assert_eq!(number(place, text), expected, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn numbers_are_read_like_the_standard_library_reads_them(text in "[0-9]{1,20}|[0-9/:;<a.-]{1,19}|\\PC{1,12}") {
            let plain = text.bytes().all(|byte| byte.is_ascii_digit());
            let expected = text.parse::<i64>().ok().filter(|_| plain).or_else(|| {
                let whole = text.strip_suffix(".0").filter(|whole| whole.bytes().all(|byte| byte.is_ascii_digit()));
                whole.and_then(|whole| whole.parse().ok())
            });
            prop_assert_eq!(number(Place::Long(0), &text), expected);
        }
    }

    #[test]
    fn hashes_of_near_numbers_share_nothing() {
        let mut seen = std::collections::HashSet::new();
        for number in (0..5_000i64).chain([i64::MAX, i64::MAX - 1, 1 << 32, 1 << 62]) {
            for seed in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef] {
                let hash = number_hash(number, seed);
                assert!(seen.insert(hash as u64), "low half of {number} under {seed}");
                assert!(seen.insert((hash >> 64) as u64), "high half of {number} under {seed}");
            }
        }
        // Fields are added up: moving one from a field to another must not cancel out.
        let sums: std::collections::HashSet<u128> =
            (0..2_000).map(|moved| number_hash(moved, 7).wrapping_add(number_hash(2_000 - moved, 99))).collect();
        assert_eq!(sums.len(), 2_000);
    }

    #[test]
    fn tag_values_are_decoded_where_they_are_encoded() {
        let cases = [
            ("plain", "plain"),
            ("a%20b%3Dc", "a b=c"),
            ("%C3%BCber", "über"),
            ("100%", "100%"),
            ("%4", "%4"),
            ("%zz%41", "%zzA"),
            ("%ff", "%ff"),
            ("", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(percent_decoded(text), expected, "{text}");
        }
    }
}
