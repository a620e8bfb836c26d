//! How much room a table's text columns need per byte of object, learnt from the objects before.
//!
//! Growing step by step would cost the decoder a fifth of its time in copies and page faults.

use std::sync::Mutex;

use datafusion::arrow::array::{ArrayBuilder, StringBuilder};

use super::builder::Builder;
use super::{BATCH_BYTES, BATCH_ROWS};
use crate::table::Table;

/// Objects below this size are not worth it.
const SMALL: usize = 64 << 10;
/// Shares count this many parts of an object.
const WHOLE: u64 = 1 << 16;

/// What a column needed: bytes of text and rows, per [`WHOLE`] bytes of object.
#[derive(Debug, Clone, Copy, Default)]
struct Share {
    text: u64,
    rows: u64,
}

static KNOWN: Mutex<Vec<(&'static Table, Vec<Share>)>> = Mutex::new(Vec::new());

/// Gives empty builders the room that an object of `size` bytes will probably need. Room that is not used costs no memory.
pub(super) fn make(table: &'static Table, size: usize, columns: &mut [Builder]) {
    if size < SMALL {
        return;
    }
    let Ok(known) = KNOWN.lock() else { return };
    let Some((_, shares)) = known.iter().find(|(seen, _)| std::ptr::eq(*seen, table)) else { return };
    for (column, share) in columns.iter_mut().zip(shares) {
        // A sixteenth more than last time, so that a little more does not mean twice the room.
        let needed = |part: u64, limit: usize| (size as u64 * part / WHOLE * 17 / 16).min(limit as u64) as usize;
        if let Builder::Text(builder) = column
            && share.rows > 0
        {
            *builder = StringBuilder::with_capacity(needed(share.rows, BATCH_ROWS), needed(share.text, BATCH_BYTES));
        }
    }
}

/// Remembers what an object of `size` bytes needed. What no object needs any more is forgotten slowly.
pub(super) fn learn(table: &'static Table, size: usize, columns: &[Builder]) {
    if size < SMALL {
        return;
    }
    let Ok(mut known) = KNOWN.lock() else { return };
    let place = known.iter().position(|(seen, _)| std::ptr::eq(*seen, table)).unwrap_or_else(|| {
        known.push((table, vec![Share::default(); columns.len()]));
        known.len() - 1
    });
    let Some((_, shares)) = known.get_mut(place) else { return };
    for (column, share) in columns.iter().zip(shares) {
        if let Builder::Text(builder) = column {
            let part = |used: usize| (used as u64 * WHOLE).div_ceil(size as u64);
            share.text = part(builder.values_slice().len()).max(share.text * 7 / 8);
            share.rows = part(builder.len()).max(share.rows * 7 / 8);
        }
    }
}
