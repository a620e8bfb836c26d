//! One line of a flow log to one row: split into fields, checked, then filled, without an allocation per line.

use super::format::{Format, MAX_FIELDS, Order, Place, Separator};
use super::record::{self, Value};
use crate::logs::rows::Rows;

/// The longest line with six encoded tag values and ten ARNs is a tenth of this.
const MAX_LINE: usize = 1 << 16;

/// Formats with at most this many fields are decoded in a smaller stack frame, which saves a tenth of the time.
const USUAL_FIELDS: usize = 32;

/// Decodes one line without its line end into one row of the flow log table. `index` is its number in the object.
///
/// Fields are split at runs of blanks. When a format has tags and the line seems to lack fields, single blanks count:
/// tag values may be empty.
///
/// # Errors
/// The reason why the line is no record of this format (number of fields, a number field that holds no number, no time);
/// then no column was filled.
pub fn decode(rows: &mut Rows, format: &Format, index: u64, line: &str) -> Result<(), String> {
    if line.len() > MAX_LINE {
        return Err(format!("the line is longer than {MAX_LINE} bytes"));
    }
    if format.order.fields.len() <= USUAL_FIELDS {
        decode_fields::<USUAL_FIELDS>(rows, &format.order, index, line)
    } else {
        decode_fields::<MAX_FIELDS>(rows, &format.order, index, line)
    }
}

fn decode_fields<const N: usize>(rows: &mut Rows, order: &Order, index: u64, line: &str) -> Result<(), String> {
    let expected = order.fields.len();
    let mut tokens = [""; N];
    let mut count = match order.separator {
        Separator::Blanks => split_blanks(line, &mut tokens),
        Separator::Commas => split_commas(line, &mut tokens),
    };
    if count < expected && order.has_tags && order.separator == Separator::Blanks {
        count = split_single_blanks(line, &mut tokens);
    }
    if count != expected {
        return Err(format!("the line has {count} fields, the format has {expected}"));
    }
    let mut values = [Value::Null; N];
    for ((field, token), value) in order.fields.iter().zip(tokens).zip(&mut values) {
        if is_absent(token, field.place, order.separator) {
            continue;
        }
        *value = match field.place {
            Place::Int(_) | Place::Long(_) => match record::number(field.place, token) {
                Some(number) => Value::Number(number),
                None => return Err(record::not_a_number(field)),
            },
            _ => Value::Text(token),
        };
    }
    record::fill(rows, order, values.get(..expected).unwrap_or_default(), index)
}

/// True when the token says that there is no value.
fn is_absent(token: &str, place: Place, separator: Separator) -> bool {
    if token == "-" {
        return true;
    }
    match separator {
        Separator::Blanks => token.is_empty() && !matches!(place, Place::Tag(_)),
        Separator::Commas => is_foreign_null(token) && (token.is_empty() || !matches!(place, Place::Tag(_))),
    }
}

/// Nulls as other tools write them when they copy flow logs.
pub(super) fn is_foreign_null(text: &str) -> bool {
    matches!(text, "" | "-" | "\\N" | "null" | "NULL" | "None" | "nan" | "NaN")
}

/// Splits at runs of blanks and control characters; returns the number of fields, which may be larger than the space.
pub(super) fn split_blanks<'a>(line: &'a str, tokens: &mut [&'a str]) -> usize {
    let (chunks, rest) = line.as_bytes().as_chunks::<8>();
    let mut last = [b' '; 8];
    for (place, byte) in last.iter_mut().zip(rest) {
        *place = *byte;
    }
    let (mut from, mut count) = (0, 0);
    for (number, chunk) in chunks.iter().chain([&last]).enumerate() {
        let mut blanks = blanks(*chunk);
        while blanks != 0 {
            let at = number * 8 + blanks.trailing_zeros() as usize / 8;
            blanks &= blanks - 1;
            if from < at {
                if let (Some(place), Some(token)) = (tokens.get_mut(count), line.get(from..at)) {
                    *place = token;
                }
                count += 1;
            }
            from = at + 1;
        }
    }
    // Without a rest the last chunk is all blanks, with one it has at least one blank: the last field always ends.
    count
}

/// Marks the bytes of eight that are blanks or control characters: their highest bits are set in the result.
fn blanks(bytes: [u8; 8]) -> u64 {
    const HIGHEST: u64 = 0x8080_8080_8080_8080;
    const AFTER_BLANK: u64 = 0x2121_2121_2121_2121;
    let bytes = u64::from_le_bytes(bytes);
    // With the highest bit set no byte borrows from the next; it stays set in those that are above a blank.
    !((bytes | HIGHEST) - AFTER_BLANK) & !bytes & HIGHEST
}

fn split_single_blanks<'a>(line: &'a str, tokens: &mut [&'a str]) -> usize {
    let mut count = 0;
    for token in line.trim_end_matches('\r').split(' ') {
        if let Some(place) = tokens.get_mut(count) {
            *place = token;
        }
        count += 1;
    }
    count
}

/// Splits at commas; a value in double quotes may contain some.
pub(super) fn split_commas<'a>(line: &'a str, tokens: &mut [&'a str]) -> usize {
    let mut rest = line.trim();
    let mut count = 0;
    loop {
        let quoted = rest.strip_prefix('"').and_then(|inner| inner.split_once('"'));
        let (token, after) = match quoted {
            Some((token, "")) => (token, None),
            Some((token, after)) if after.starts_with(',') => (token, after.get(1..)),
            _ => match rest.split_once(',') {
                Some((token, after)) => (token.trim(), Some(after)),
                None => (rest.trim(), None),
            },
        };
        if let Some(place) = tokens.get_mut(count) {
            *place = token;
        }
        count += 1;
        match after {
            Some(after) => rest = after,
            None => return count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blanks_of(line: &str) -> Vec<&str> {
        let mut tokens = [""; 16];
        let count = split_blanks(line, &mut tokens);
        tokens[..count].to_vec()
    }

    #[test]
    fn lines_split_like_words() {
        let lines = [
            "",
            " ",
            "a",
            "a b",
            "  a\t\tb \r",
            "12345678",
            "1234567 ",
            "1234567 9",
            "12345678 0",
            "ü ß€ 1",
            "a  b  c  d",
        ];
        for line in lines {
            assert_eq!(blanks_of(line), line.split_ascii_whitespace().collect::<Vec<_>>(), "{line:?}");
        }
        for byte in 0..=127u8 {
            let line = format!("x{}y", char::from(byte));
            assert_eq!(blanks_of(&line).len(), if byte <= b' ' { 2 } else { 1 }, "{byte}");
        }
        assert_eq!(split_blanks("a b c", &mut [""; 2]), 3);
    }

    #[test]
    fn commas_split_but_for_quotes() {
        let mut tokens = [""; 8];
        let count = split_commas(r#" a,"b, c",,"d"e, "f" ,"#, &mut tokens);
        assert_eq!(tokens[..count], ["a", "b, c", "", "\"d\"e", "\"f\"", ""]);
    }
}
