//! One line of a flow log to one row: every field read and checked, then filled, without an allocation per line.

use super::format::{Field, Format, MAX_FIELDS, Order, Place, Separator};
use super::record::{self, Value};
use super::split::{split_blanks, split_commas, split_single_blanks};
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
    let mut values = Values::<N>::none(order);
    let mut count = match order.separator {
        Separator::Blanks => split_blanks(line, |number, token| values.read(number, token)),
        Separator::Commas => split_commas(line, |number, token| values.read(number, token)),
    };
    if count < expected && order.has_tags && order.separator == Separator::Blanks {
        values = Values::none(order);
        count = split_single_blanks(line, |number, token| values.read(number, token));
    }
    if count != expected {
        return Err(format!("the line has {count} fields, the format has {expected}"));
    }
    if let Some(field) = values.broken {
        return Err(record::not_a_number(field));
    }
    record::fill(rows, order, values.values.get(..expected).unwrap_or_default(), index)
}

/// What a line says in each field, and the first number field that holds something else.
struct Values<'o, 'l, const N: usize> {
    order: &'o Order,
    values: [Value<'l>; N],
    broken: Option<&'o Field>,
}

impl<'o, 'l, const N: usize> Values<'o, 'l, N> {
    fn none(order: &'o Order) -> Self {
        Values { order, values: [Value::Null; N], broken: None }
    }

    /// Reads one field. Tokens beyond the last field are nothing.
    #[inline(always)]
    fn read(&mut self, number: usize, token: &'l str) {
        let (Some(field), Some(value)) = (self.order.fields.get(number), self.values.get_mut(number)) else { return };
        if is_absent(token, field.place, self.order.separator) {
            return;
        }
        *value = match field.place {
            Place::Int(_) | Place::Long(_) => match record::number(field.place, token) {
                Some(number) => Value::Number(number),
                None => {
                    self.broken.get_or_insert(field);
                    return;
                }
            },
            _ => Value::Text(token),
        };
    }
}

/// True when the token says that there is no value.
#[inline]
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
