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

/// Splits at runs of blanks; returns the number of fields, which may be larger than the space.
pub(super) fn split_blanks<'a>(line: &'a str, tokens: &mut [&'a str]) -> usize {
    let bytes = line.as_bytes();
    let (mut at, mut count) = (0, 0);
    loop {
        while bytes.get(at).is_some_and(|&byte| is_blank(byte)) {
            at += 1;
        }
        let from = at;
        while bytes.get(at).is_some_and(|&byte| !is_blank(byte)) {
            at += 1;
        }
        if from == at {
            return count;
        }
        if let (Some(place), Some(token)) = (tokens.get_mut(count), line.get(from..at)) {
            *place = token;
        }
        count += 1;
    }
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t' || byte == b'\r'
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
            Some((token, after)) if after.is_empty() => (token, None),
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
