//! Rows under construction: one Arrow builder per column of a table, filled in any order, null where nothing was said.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, Float64Builder, Int32Builder, Int64Builder, ListArray, NullBufferBuilder,
    RecordBatch, StringBuilder, StructArray, TimestampMicrosecondBuilder,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Field};

use crate::table::{Kind, Leaf, Scalar, Table, leaf_struct};

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

/// Rows of one table, built record by record.
///
/// Fill the columns of the current row in any order, then call [`Rows::finish`]; columns that were not filled become
/// null. A column that is filled twice keeps its first value, as in JSON objects that repeat a key.
#[derive(Debug)]
pub struct Rows {
    table: &'static Table,
    columns: Vec<Builder>,
    time: TimestampMicrosecondBuilder,
    record: Int64Builder,
    ids: Vec<u128>,
}

/// Rows that are complete: a batch in the table's stored schema, and each row's identity.
#[derive(Debug)]
pub struct Batch {
    /// The table that the rows belong to.
    pub table: &'static Table,
    /// Columns as in [`Table::schema`].
    pub rows: RecordBatch,
    /// Identity of each row: two rows with the same id are the same event, delivered twice.
    pub ids: Vec<u128>,
}

#[derive(Debug)]
enum Builder {
    Text(StringBuilder),
    Int(Int32Builder),
    Long(Int64Builder),
    Double(Float64Builder),
    Bool(BooleanBuilder),
    Time(TimestampMicrosecondBuilder),
    List(ListBuilder),
}

#[derive(Debug)]
struct ListBuilder {
    item: DataType,
    leaves: Vec<Builder>,
    nulls: NullBufferBuilder,
    offsets: Vec<i32>,
    items: i32,
    open: bool,
}

impl Rows {
    /// No rows yet.
    pub fn new(table: &'static Table) -> Self {
        Rows {
            table,
            columns: table.columns.iter().map(|c| Builder::new(c.kind)).collect(),
            time: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            record: Int64Builder::new(),
            ids: Vec::new(),
        }
    }

    /// Number of finished rows.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// True when no row is finished.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Fills a text or JSON column of the current row.
    pub fn text(&mut self, column: usize, value: &str) {
        let row = self.ids.len();
        if let Some(Builder::Text(b)) = self.columns.get_mut(column)
            && b.len() <= row
        {
            b.append_value(value);
        }
    }

    /// Fills a 32-bit integer column of the current row.
    pub fn int(&mut self, column: usize, value: i32) {
        let row = self.ids.len();
        if let Some(Builder::Int(b)) = self.columns.get_mut(column)
            && b.len() <= row
        {
            b.append_value(value);
        }
    }

    /// Fills a 64-bit integer column of the current row.
    pub fn long(&mut self, column: usize, value: i64) {
        let row = self.ids.len();
        if let Some(Builder::Long(b)) = self.columns.get_mut(column)
            && b.len() <= row
        {
            b.append_value(value);
        }
    }

    /// Fills a float column of the current row.
    pub fn double(&mut self, column: usize, value: f64) {
        let row = self.ids.len();
        if let Some(Builder::Double(b)) = self.columns.get_mut(column)
            && b.len() <= row
        {
            b.append_value(value);
        }
    }

    /// Fills a boolean column of the current row.
    pub fn bool(&mut self, column: usize, value: bool) {
        let row = self.ids.len();
        if let Some(Builder::Bool(b)) = self.columns.get_mut(column)
            && b.len() <= row
        {
            b.append_value(value);
        }
    }

    /// Fills a timestamp column of the current row: microseconds since 1970, UTC.
    pub fn time(&mut self, column: usize, micros: i64) {
        let row = self.ids.len();
        if let Some(Builder::Time(b)) = self.columns.get_mut(column)
            && b.len() <= row
        {
            b.append_value(micros);
        }
    }

    /// Adds an item to a list column of the current row: one cell per leaf, or one cell for a list of text.
    /// Missing cells are null. A row without items has a null list; see [`Rows::empty_list`].
    pub fn item(&mut self, column: usize, cells: &[Cell<'_>]) {
        if let Some(Builder::List(list)) = self.columns.get_mut(column) {
            list.push(cells);
        }
    }

    /// Says that the list of the current row is known to be empty rather than unknown.
    pub fn empty_list(&mut self, column: usize) {
        if let Some(Builder::List(list)) = self.columns.get_mut(column) {
            list.open = true;
        }
    }

    /// Ends the current row: `time` in microseconds UTC, the index of the record in its object, and the row's identity.
    pub fn finish(&mut self, time: i64, record: u64, id: u128) {
        self.time.append_value(time);
        self.record.append_value(record as i64);
        self.ids.push(id);
        let rows = self.ids.len();
        for column in &mut self.columns {
            column.close_row(rows);
        }
    }

    /// The finished rows as one batch, read from `object`; the builders are empty afterwards. `None` when there are none.
    pub fn take(&mut self, object: &str) -> Option<Batch> {
        if self.ids.is_empty() {
            return None;
        }
        let count = self.ids.len();
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len() + 3);
        arrays.push(Arc::new(self.time.finish()));
        arrays.extend(self.columns.iter_mut().map(Builder::finish));
        let mut objects = StringBuilder::with_capacity(count, count * object.len());
        for _ in 0..count {
            objects.append_value(object);
        }
        arrays.push(Arc::new(objects.finish()));
        arrays.push(Arc::new(self.record.finish()));
        let ids = std::mem::take(&mut self.ids);
        match RecordBatch::try_new(self.table.schema(), arrays) {
            Ok(rows) => Some(Batch { table: self.table, rows, ids }),
            Err(error) => unreachable!("columns are built from the schema: {error}"),
        }
    }
}

impl Builder {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Text | Kind::Json => Builder::Text(StringBuilder::new()),
            Kind::Int => Builder::Int(Int32Builder::new()),
            Kind::Long => Builder::Long(Int64Builder::new()),
            Kind::Double => Builder::Double(Float64Builder::new()),
            Kind::Bool => Builder::Bool(BooleanBuilder::new()),
            Kind::Time => Builder::Time(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            Kind::List(leaves) => Builder::List(ListBuilder::structs(leaves)),
            Kind::Texts => Builder::List(ListBuilder::texts()),
        }
    }

    /// Appends null when the row that just ended did not fill this column.
    fn close_row(&mut self, rows: usize) {
        match self {
            Builder::Text(b) if b.len() < rows => b.append_null(),
            Builder::Int(b) if b.len() < rows => b.append_null(),
            Builder::Long(b) if b.len() < rows => b.append_null(),
            Builder::Double(b) if b.len() < rows => b.append_null(),
            Builder::Bool(b) if b.len() < rows => b.append_null(),
            Builder::Time(b) if b.len() < rows => b.append_null(),
            Builder::List(list) => list.close_row(),
            _ => {}
        }
    }

    fn push(&mut self, cell: Cell<'_>) {
        match (self, cell) {
            (Builder::Text(b), Cell::Text(value)) => b.append_value(value),
            (Builder::Text(b), _) => b.append_null(),
            (Builder::Double(b), Cell::Double(value)) => b.append_value(value),
            (Builder::Double(b), _) => b.append_null(),
            _ => {}
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Builder::Text(b) => Arc::new(b.finish()),
            Builder::Int(b) => Arc::new(b.finish()),
            Builder::Long(b) => Arc::new(b.finish()),
            Builder::Double(b) => Arc::new(b.finish()),
            Builder::Bool(b) => Arc::new(b.finish()),
            Builder::Time(b) => Arc::new(b.finish()),
            Builder::List(list) => Arc::new(list.finish()),
        }
    }
}

impl ListBuilder {
    fn structs(leaves: &[Leaf]) -> Self {
        let builders = leaves
            .iter()
            .map(|leaf| match leaf.kind {
                Scalar::Text => Builder::new(Kind::Text),
                Scalar::Double => Builder::new(Kind::Double),
            })
            .collect();
        Self::with(leaf_struct(leaves), builders)
    }

    fn texts() -> Self {
        Self::with(DataType::Utf8, vec![Builder::new(Kind::Text)])
    }

    fn with(item: DataType, leaves: Vec<Builder>) -> Self {
        ListBuilder { item, leaves, nulls: NullBufferBuilder::new(0), offsets: vec![0], items: 0, open: false }
    }

    fn push(&mut self, cells: &[Cell<'_>]) {
        for (index, leaf) in self.leaves.iter_mut().enumerate() {
            leaf.push(cells.get(index).copied().unwrap_or(Cell::Null));
        }
        self.items += 1;
        self.open = true;
    }

    fn close_row(&mut self) {
        self.nulls.append(self.open);
        self.offsets.push(self.items);
        self.open = false;
    }

    fn finish(&mut self) -> ListArray {
        let mut leaves: Vec<ArrayRef> = self.leaves.iter_mut().map(Builder::finish).collect();
        let values: ArrayRef = match &self.item {
            DataType::Struct(fields) => Arc::new(StructArray::new(fields.clone(), leaves, None)),
            _ => leaves.remove(0),
        };
        let offsets = OffsetBuffer::new(std::mem::replace(&mut self.offsets, vec![0]).into());
        let nulls = self.nulls.finish();
        self.items = 0;
        ListArray::new(Arc::new(Field::new("element", self.item.clone(), true)), offsets, values, nulls)
    }
}
