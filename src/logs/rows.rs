//! Rows under construction: one Arrow builder per column of a table, filled in any order, null where nothing was said.

mod builder;
mod owners;
mod room;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::{
    ArrayBuilder, ArrayRef, BooleanArray, Int64Builder, PrimitiveBuilder, RecordBatch, TimestampMicrosecondBuilder,
    new_null_array,
};
use datafusion::arrow::compute::{cast, filter_record_batch};
use datafusion::arrow::datatypes::{ArrowPrimitiveType, DataType, FieldRef, Fields, Schema, SchemaRef};

use crate::table::{OBJECT, Table};
use builder::Builder;
use owners::Owners;
pub use owners::Share;

/// Rows per batch. Larger batches would let an object with millions of rows overflow the 32-bit offsets of a text column;
/// smaller ones cost more copies of the schema.
const BATCH_ROWS: usize = 1 << 18;

/// Bytes of text per batch, for the same reason. A quarantine batch must stay below it.
const BATCH_BYTES: usize = 256 << 20;

/// A value of a list item's field.
#[derive(Debug, Clone, Copy)]
pub enum Cell<'a> {
    /// The log did not say.
    Null,
    /// Text.
    Text(&'a str),
    /// A number.
    Double(f64),
}

impl<'a> From<Option<&'a str>> for Cell<'a> {
    fn from(value: Option<&'a str>) -> Self {
        value.map_or(Cell::Null, Cell::Text)
    }
}

/// Rows of one table, built record by record, object after object: rows of small objects share batches. A batch has a
/// hundred columns, and thousands of batches of a few rows would cost more than their rows.
///
/// Fill the columns of the current row in any order, then call [`Rows::finish`]; columns that were not filled become
/// null. A column that is filled twice keeps its first value, as in JSON objects that repeat a key.
#[derive(Debug)]
pub struct Rows {
    table: &'static Table,
    columns: Vec<Builder>,
    /// Rows that each builder knows of.
    lengths: Vec<usize>,
    time: TimestampMicrosecondBuilder,
    record: Int64Builder,
    ids: Vec<u128>,
    owners: Owners,
    full: VecDeque<Full>,
    seen: HashMap<u128, u64>,
    bytes: usize,
    touched: bool,
    discarded: Vec<usize>,
    object_size: usize,
}

/// A batch that is complete but for the name of the object that has not ended.
#[derive(Debug)]
struct Full {
    arrays: Vec<ArrayRef>,
    record: ArrayRef,
    ids: Vec<u128>,
    owners: Owners,
    discarded: Vec<usize>,
}

/// Rows that are complete, and each one's identity.
#[derive(Debug)]
pub struct Batch {
    /// The table that the rows belong to.
    pub table: &'static Table,
    /// Columns as in [`Table::schema`]. From [`Rows`], `_object` is of views instead: all rows of an object share its name.
    pub rows: RecordBatch,
    /// Identity of each row: two rows with the same id are the same event, delivered twice.
    pub ids: Vec<u128>,
}

impl Rows {
    /// No rows yet.
    pub fn new(table: &'static Table) -> Self {
        Rows {
            table,
            columns: table.columns.iter().map(|c| Builder::new(c.kind)).collect(),
            lengths: vec![0; table.columns.len()],
            time: TimestampMicrosecondBuilder::with_capacity(0).with_timezone("UTC"),
            record: Int64Builder::with_capacity(0),
            ids: Vec::new(),
            owners: Owners::none(),
            full: VecDeque::new(),
            seen: HashMap::new(),
            bytes: 0,
            touched: false,
            discarded: Vec::new(),
            object_size: 0,
        }
    }

    /// Begins an object of `size` bytes, with the room that its rows will probably need. A large one has batches of its own.
    pub fn begin(&mut self, size: usize) {
        if size.max(self.object_size) >= room::SMALL {
            self.close();
        }
        self.object_size = size;
        let count = room::make(self.table, size, &mut self.columns);
        if count > 0 {
            self.time = TimestampMicrosecondBuilder::with_capacity(count).with_timezone("UTC");
            self.record = Int64Builder::with_capacity(count);
            self.ids.reserve(count);
        }
    }

    /// Ends an object: rows that were finished since the last one ended are its own. `number` tells it from the others.
    pub fn end(&mut self, object: &str, number: usize) {
        self.discard();
        for full in &mut self.full {
            full.owners.end(object, number, full.ids.len());
        }
        self.owners.end(object, number, self.ids.len());
        self.seen.clear();
    }

    /// Number of finished rows that were not taken yet, discarded ones included.
    pub fn len(&self) -> usize {
        self.ids.len() + self.full.iter().map(|full| full.ids.len()).sum::<usize>()
    }

    /// True when no row is finished.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.full.is_empty()
    }

    /// How often this was called with `id` before, on the rows of this object. For records that may truly be alike:
    /// mixed into the identity, it keeps the second of two equal records.
    pub fn occurrence(&mut self, id: u128) -> u64 {
        let count = self.seen.entry(id).or_insert(0);
        *count += 1;
        *count - 1
    }

    /// Fills a text or JSON column of the current row.
    #[inline]
    pub fn text(&mut self, column: usize, value: &str) {
        let row = self.ids.len();
        if let (Some(Builder::Text(b)), Some(length)) = (self.columns.get_mut(column), self.lengths.get_mut(column))
            && *length <= row
        {
            if *length < row {
                b.append_nulls(row - *length);
            }
            *length = row + 1;
            b.append_value(value);
            self.bytes += value.len();
            self.touched = true;
        }
    }

    /// Fills a 32-bit integer column of the current row.
    #[inline]
    pub fn int(&mut self, column: usize, value: i32) {
        let row = self.ids.len();
        if let Some(Builder::Int(b)) = self.columns.get_mut(column) {
            self.touched |= fill(b, row, value);
        }
    }

    /// Fills a 64-bit integer column of the current row.
    #[inline]
    pub fn long(&mut self, column: usize, value: i64) {
        let row = self.ids.len();
        if let Some(Builder::Long(b)) = self.columns.get_mut(column) {
            self.touched |= fill(b, row, value);
        }
    }

    /// Fills a float column of the current row.
    #[inline]
    pub fn double(&mut self, column: usize, value: f64) {
        let row = self.ids.len();
        if let Some(Builder::Double(b)) = self.columns.get_mut(column) {
            self.touched |= fill(b, row, value);
        }
    }

    /// Fills a boolean column of the current row.
    #[inline]
    pub fn bool(&mut self, column: usize, value: bool) {
        let row = self.ids.len();
        if let Some(Builder::Bool(b)) = self.columns.get_mut(column)
            && b.len() <= row
        {
            if b.len() < row {
                b.append_nulls(row - b.len());
            }
            b.append_value(value);
            self.touched = true;
        }
    }

    /// Fills a timestamp column of the current row: microseconds since 1970, UTC.
    #[inline]
    pub fn time(&mut self, column: usize, micros: i64) {
        let row = self.ids.len();
        if let Some(Builder::Time(b)) = self.columns.get_mut(column) {
            self.touched |= fill(b, row, micros);
        }
    }

    /// Adds an item to a list column of the current row: one cell per leaf, or one cell for a list of text.
    /// Missing cells are null. A row without items has a null list; see [`Rows::empty_list`].
    pub fn item(&mut self, column: usize, cells: &[Cell<'_>]) {
        let row = self.ids.len();
        if let Some(Builder::List(list)) = self.columns.get_mut(column) {
            list.reach(row);
            self.bytes += list.push(cells);
            self.touched = true;
        }
    }

    /// Says that the list of the current row is known to be empty rather than unknown.
    pub fn empty_list(&mut self, column: usize) {
        let row = self.ids.len();
        if let Some(Builder::List(list)) = self.columns.get_mut(column) {
            list.reach(row);
            list.open = true;
            self.touched = true;
        }
    }

    /// Ends the current row: `time` in microseconds UTC, the index of the record in its object, and the row's identity.
    pub fn finish(&mut self, time: i64, record: u64, id: u128) {
        self.time.append_value(time);
        self.record.append_value(record as i64);
        self.ids.push(id);
        self.touched = false;
        if self.ids.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES {
            self.close();
        }
    }

    /// Forgets what the current row was filled with: its record turned out to be unreadable half-way.
    pub fn discard(&mut self) {
        if self.touched {
            self.discarded.push(self.ids.len());
            self.finish(0, 0, 0);
        }
    }

    /// The next batch of finished rows, read from `object` alone: call until `None`, which also makes the rows empty.
    pub fn take(&mut self, object: &str) -> Option<Batch> {
        self.end(object, 0);
        self.take_shared().map(|(batch, _)| batch)
    }

    /// The next batch of the objects that ended, and whose its rows are.
    pub fn take_shared(&mut self) -> Option<(Batch, Vec<Share>)> {
        self.close();
        let mut full = self.full.pop_front()?;
        let mut arrays = full.arrays;
        arrays.push(full.owners.finish());
        arrays.push(full.record);
        let rows = RecordBatch::try_new(schema(self.table), arrays);
        let mut batch = match rows {
            Ok(rows) => Batch { table: self.table, rows, ids: full.ids },
            Err(error) => unreachable!("columns are built from the schema: {error}"),
        };
        let mut shares = full.owners.shares;
        if !full.discarded.is_empty() {
            batch.drop_rows(&full.discarded);
            owners::drop_rows(&mut shares, &full.discarded);
        }
        Some((batch, shares))
    }

    /// Makes a batch of the rows under construction.
    fn close(&mut self) {
        let count = self.ids.len();
        if count == 0 {
            return;
        }
        room::learn(self.table, self.object_size, &self.columns);
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len() + 3);
        arrays.push(Arc::new(self.time.finish()));
        let mut nulls: Vec<ArrayRef> = Vec::new();
        for (builder, column) in self.columns.iter_mut().zip(self.table.columns) {
            arrays.push(if builder.is_empty() {
                nulls_of(&mut nulls, &column.kind.data_type(), count)
            } else {
                builder.reach(count);
                builder.finish()
            });
        }
        let record: ArrayRef = Arc::new(self.record.finish());
        let full = Full {
            arrays,
            record,
            ids: std::mem::take(&mut self.ids),
            owners: std::mem::replace(&mut self.owners, Owners::none()),
            discarded: std::mem::take(&mut self.discarded),
        };
        self.bytes = 0;
        self.lengths.fill(0);
        if full.discarded.len() < count {
            self.full.push_back(full);
        }
    }
}

/// Makes `value` that of `row` in a builder, after nulls for the rows before it that have none; false when it has one already.
#[inline]
fn fill<T: ArrowPrimitiveType>(builder: &mut PrimitiveBuilder<T>, row: usize, value: T::Native) -> bool {
    let filled = builder.len();
    if filled > row {
        return false;
    }
    if filled < row {
        builder.append_nulls(row - filled);
    }
    builder.append_value(value);
    true
}

impl Batch {
    /// The rows as in [`Table::schema`].
    pub fn stored(&self) -> RecordBatch {
        let schema = self.table.schema();
        let columns = self.rows.columns().iter().zip(schema.fields());
        let columns = columns.map(|(column, field)| cast(column, field.data_type())).collect::<Result<_, _>>();
        match columns.and_then(|columns| RecordBatch::try_new(schema, columns)) {
            Ok(rows) => rows,
            Err(error) => unreachable!("the types differ by views alone: {error}"),
        }
    }

    /// Removes the rows at these places, which are in order.
    fn drop_rows(&mut self, places: &[usize]) {
        let keep: Vec<bool> = (0..self.ids.len()).map(|row| places.binary_search(&row).is_err()).collect();
        let mut kept = keep.iter();
        self.ids.retain(|_| kept.next().copied().unwrap_or(true));
        match filter_record_batch(&self.rows, &BooleanArray::from(keep)) {
            Ok(rows) => self.rows = rows,
            Err(error) => unreachable!("the filter is as long as the columns: {error}"),
        }
    }
}

/// Schema of a table's batches, made once: objects are many and often small.
fn schema(table: &'static Table) -> SchemaRef {
    static KNOWN: Mutex<Vec<(&'static Table, SchemaRef)>> = Mutex::new(Vec::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, schema)) = known.iter().find(|(seen, _)| std::ptr::eq(*seen, table)) {
        return Arc::clone(schema);
    }
    let schema = table.schema();
    let viewed = |field: &FieldRef| match field.name() == OBJECT.name {
        true => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8View)),
        false => Arc::clone(field),
    };
    let schema: SchemaRef = Arc::new(Schema::new(schema.fields().iter().map(viewed).collect::<Fields>()));
    known.push((table, Arc::clone(&schema)));
    schema
}

/// An array of `count` nulls, one for all columns of a type: most logs fill few columns of a wide table. `made` keeps them
/// between the columns of one batch.
pub fn nulls_of(made: &mut Vec<ArrayRef>, kind: &DataType, count: usize) -> ArrayRef {
    if let Some(array) = made.iter().find(|array| array.data_type() == kind) {
        return Arc::clone(array);
    }
    let array = new_null_array(kind, count);
    made.push(Arc::clone(&array));
    array
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Array, AsArray};
    use datafusion::arrow::datatypes::Int64Type;

    use super::*;
    use crate::table::{Column, Kind, column};

    static TABLE: Table = Table { name: "t", about: "a test", time_name: None, clustered_by: &[], columns: &COLUMNS };
    static COLUMNS: [Column; 4] = [
        column("name", Kind::Text, "text"),
        column("count", Kind::Long, "number"),
        column("tags", Kind::Texts, "list"),
        column("never", Kind::Text, "not filled"),
    ];

    #[test]
    fn columns_are_null_where_rows_did_not_fill_them() {
        let mut rows = Rows::new(&TABLE);
        rows.finish(1, 0, 10);
        rows.text(0, "b");
        rows.text(0, "ignored");
        rows.empty_list(2);
        rows.finish(2, 1, 11);
        rows.long(1, 7);
        rows.item(2, &[Cell::Text("x")]);
        rows.item(2, &[Cell::Text("y")]);
        rows.finish(3, 2, 12);
        rows.finish(4, 3, 13);
        let batch = rows.take("o").expect("four rows");
        assert_eq!(batch.ids, [10, 11, 12, 13]);
        let text: Vec<Option<&str>> = batch.rows.column(1).as_string::<i32>().iter().collect();
        assert_eq!(text, [None, Some("b"), None, None]);
        let numbers: Vec<Option<i64>> = batch.rows.column(2).as_primitive::<Int64Type>().iter().collect();
        assert_eq!(numbers, [None, None, Some(7), None]);
        let lists = batch.rows.column(3).as_list::<i32>();
        let lengths: Vec<Option<usize>> = lists.iter().map(|list| list.map(|items| items.len())).collect();
        assert_eq!(lengths, [None, Some(0), Some(2), None]);
        assert_eq!(batch.rows.column(4).null_count(), 4);
        assert!(rows.is_empty() && rows.take("o").is_none());
    }

    #[test]
    fn many_rows_become_several_batches() {
        let mut rows = Rows::new(&TABLE);
        for index in 0..BATCH_ROWS + 3 {
            rows.long(1, index as i64);
            rows.finish(0, index as u64, index as u128);
        }
        assert_eq!(rows.len(), BATCH_ROWS + 3);
        let first = rows.take("o").expect("a full batch");
        let second = rows.take("o").expect("the rest");
        assert_eq!((first.rows.num_rows(), second.rows.num_rows()), (BATCH_ROWS, 3));
        assert_eq!(second.ids[0], BATCH_ROWS as u128);
        assert_eq!(second.rows.column(2).as_primitive::<Int64Type>().value(2), BATCH_ROWS as i64 + 2);
        assert!(rows.take("o").is_none());
    }

    #[test]
    fn a_discarded_row_leaves_no_trace() {
        let mut rows = Rows::new(&TABLE);
        rows.text(0, "half a record");
        rows.item(2, &[Cell::Text("x")]);
        rows.discard();
        rows.discard();
        rows.long(1, 7);
        rows.finish(2, 1, 11);
        rows.text(0, "half a record again");
        let batch = rows.take("o").expect("one row");
        assert_eq!((batch.ids.as_slice(), batch.rows.num_rows()), (&[11][..], 1));
        assert!(batch.rows.column(1).is_null(0) && batch.rows.column(3).is_null(0));
        assert_eq!(batch.rows.column(2).as_primitive::<Int64Type>().value(0), 7);
    }

    #[test]
    fn small_objects_share_a_batch_and_large_ones_do_not() {
        let mut rows = Rows::new(&TABLE);
        for (number, size) in [10, 20, room::SMALL, 30, 40].into_iter().enumerate() {
            rows.begin(size);
            for row in 0..=number {
                rows.text(0, "half a record");
                rows.discard();
                rows.long(1, row as i64);
                rows.finish(0, row as u64, row as u128);
            }
            rows.end(&format!("object {number}"), number);
        }
        let mut seen = Vec::new();
        while let Some((batch, shares)) = rows.take_shared() {
            let stored = batch.stored();
            let names = stored.column(5).as_string::<i32>();
            for Share { object, rows } in shares {
                assert!(rows.clone().all(|row| names.value(row) == format!("object {object}")), "{names:?}");
                seen.push((object, rows, batch.ids.len()));
            }
        }
        assert_eq!(seen, [(0, 0..1, 3), (1, 1..3, 3), (2, 0..3, 3), (3, 0..4, 9), (4, 4..9, 9)]);
    }

    #[test]
    fn equal_ids_are_counted_per_object() {
        let mut rows = Rows::new(&TABLE);
        assert_eq!([rows.occurrence(5), rows.occurrence(5), rows.occurrence(6)], [0, 1, 0]);
        assert!(rows.take("o").is_none());
        assert_eq!(rows.occurrence(5), 0);
    }
}
