//! How much room a table's columns need per byte of object, learnt from the objects before.
//!
//! Growing step by step would cost the decoder a fifth of its time in copies and page faults.

use std::sync::Mutex;

use datafusion::arrow::array::{ArrayBuilder, Int32Builder, Int64Builder, StringBuilder};

use super::builder::Builder;
use super::{BATCH_BYTES, BATCH_ROWS};
use crate::table::Table;

/// Objects below this size are not worth it.
pub(super) const SMALL: usize = 64 << 10;
/// Shares count this many parts of an object.
const WHOLE: u64 = 1 << 16;

/// What a column, or a leaf of its lists, needed: bytes of text and values, per [`WHOLE`] bytes of object.
#[derive(Debug, Clone, Copy, Default)]
struct Share {
    text: u64,
    values: u64,
}

static KNOWN: Mutex<Vec<(&'static Table, Vec<Share>)>> = Mutex::new(Vec::new());

/// Gives empty builders the room that an object of `size` bytes will probably need, and returns how many rows that may be.
/// Room that is not used costs no memory.
pub(super) fn make(table: &'static Table, size: usize, columns: &mut [Builder]) -> usize {
    if size < SMALL {
        return 0;
    }
    let Ok(known) = KNOWN.lock() else { return 0 };
    let Some((_, shares)) = known.iter().find(|(seen, _)| std::ptr::eq(*seen, table)) else { return 0 };
    // A sixteenth more than last time, so that a little more does not mean twice the room.
    let needed = |part: u64, limit: usize| (size as u64 * part / WHOLE * 17 / 16).min(limit as u64) as usize;
    let mut rows = 0;
    for (column, share) in columns.iter_mut().flat_map(Builder::parts_mut).zip(shares) {
        let values = needed(share.values, BATCH_ROWS);
        match column {
            _ if values == 0 => continue,
            Builder::Text(builder) => *builder = StringBuilder::with_capacity(values, needed(share.text, BATCH_BYTES)),
            Builder::Int(builder) => *builder = Int32Builder::with_capacity(values),
            Builder::Long(builder) => *builder = Int64Builder::with_capacity(values),
            _ => {}
        }
        rows = rows.max(values);
    }
    rows
}

/// Remembers what an object of `size` bytes needed. What no object needs any more is forgotten slowly.
pub(super) fn learn(table: &'static Table, size: usize, columns: &[Builder]) {
    if size < SMALL {
        return;
    }
    let Ok(mut known) = KNOWN.lock() else { return };
    let place = known.iter().position(|(seen, _)| std::ptr::eq(*seen, table)).unwrap_or_else(|| {
        known.push((table, vec![Share::default(); columns.iter().map(|column| column.parts().len()).sum()]));
        known.len() - 1
    });
    let Some((_, shares)) = known.get_mut(place) else { return };
    let part = |used: usize| (used as u64 * WHOLE).div_ceil(size as u64);
    for (column, share) in columns.iter().flat_map(Builder::parts).zip(shares) {
        let (values, text) = match column {
            Builder::Text(builder) => (builder.len(), builder.values_slice().len()),
            Builder::Int(builder) => (builder.len(), 0),
            Builder::Long(builder) => (builder.len(), 0),
            _ => continue,
        };
        share.text = part(text).max(share.text * 7 / 8);
        share.values = part(values).max(share.values * 7 / 8);
    }
}
