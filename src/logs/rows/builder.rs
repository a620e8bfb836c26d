//! Arrow builders of any type, of which nothing is asked before a row fills them.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, Float64Builder, Int32Builder, Int64Builder, ListArray, NullBufferBuilder,
    StringBuilder, StructArray, TimestampMicrosecondBuilder,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Field};

use super::Cell;
use crate::table::{Kind, Leaf, Scalar, leaf_struct};

/// Values of one column.
#[derive(Debug)]
pub(super) enum Builder {
    Text(StringBuilder),
    Int(Int32Builder),
    Long(Int64Builder),
    Double(Float64Builder),
    Bool(BooleanBuilder),
    Time(TimestampMicrosecondBuilder),
    List(ListBuilder),
}

/// Lists of one column, each with its items in the leaves.
#[derive(Debug)]
pub(super) struct ListBuilder {
    item: DataType,
    leaves: Vec<Builder>,
    nulls: NullBufferBuilder,
    offsets: Vec<i32>,
    items: i32,
    /// True when the row after the last one is being filled.
    pub open: bool,
}

impl Builder {
    /// A builder without room: columns that are never filled cost nothing.
    pub fn new(kind: Kind) -> Self {
        match kind {
            Kind::Text | Kind::Json => Builder::Text(StringBuilder::with_capacity(0, 0)),
            Kind::Int => Builder::Int(Int32Builder::with_capacity(0)),
            Kind::Long => Builder::Long(Int64Builder::with_capacity(0)),
            Kind::Double => Builder::Double(Float64Builder::with_capacity(0)),
            Kind::Bool => Builder::Bool(BooleanBuilder::with_capacity(0)),
            Kind::Time => Builder::Time(TimestampMicrosecondBuilder::with_capacity(0).with_timezone("UTC")),
            Kind::List(leaves) => Builder::List(ListBuilder::structs(leaves)),
            Kind::Texts => Builder::List(ListBuilder::texts()),
        }
    }

    /// True when no row filled the column.
    pub fn is_empty(&self) -> bool {
        match self {
            Builder::Text(b) => b.is_empty(),
            Builder::Int(b) => b.is_empty(),
            Builder::Long(b) => b.is_empty(),
            Builder::Double(b) => b.is_empty(),
            Builder::Bool(b) => b.is_empty(),
            Builder::Time(b) => b.is_empty(),
            Builder::List(list) => !list.open && list.nulls.is_empty(),
        }
    }

    /// The builders whose values this column is made of: itself, or the leaves of its lists.
    pub fn parts(&self) -> &[Builder] {
        match self {
            Builder::List(list) => &list.leaves,
            _ => std::slice::from_ref(self),
        }
    }

    /// The same, to change them.
    pub fn parts_mut(&mut self) -> &mut [Builder] {
        match self {
            Builder::List(list) => &mut list.leaves,
            _ => std::slice::from_mut(self),
        }
    }

    /// Appends nulls until the column has `rows` rows.
    pub fn reach(&mut self, rows: usize) {
        match self {
            Builder::Text(b) => b.append_nulls(rows.saturating_sub(b.len())),
            Builder::Int(b) => b.append_nulls(rows.saturating_sub(b.len())),
            Builder::Long(b) => b.append_nulls(rows.saturating_sub(b.len())),
            Builder::Double(b) => b.append_nulls(rows.saturating_sub(b.len())),
            Builder::Bool(b) => b.append_nulls(rows.saturating_sub(b.len())),
            Builder::Time(b) => b.append_nulls(rows.saturating_sub(b.len())),
            Builder::List(list) => list.reach(rows),
        }
    }

    /// Appends a cell of a list item; returns the bytes of its text.
    fn push(&mut self, cell: Cell<'_>) -> usize {
        match (self, cell) {
            (Builder::Text(b), Cell::Text(value)) => {
                b.append_value(value);
                return value.len();
            }
            (Builder::Text(b), _) => b.append_null(),
            (Builder::Double(b), Cell::Double(value)) => b.append_value(value),
            (Builder::Double(b), _) => b.append_null(),
            _ => {}
        }
        0
    }

    /// The values; the builder is empty afterwards.
    pub fn finish(&mut self) -> ArrayRef {
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

    /// Appends an item to the open row; returns the bytes of its text.
    pub fn push(&mut self, cells: &[Cell<'_>]) -> usize {
        let mut bytes = 0;
        for (index, leaf) in self.leaves.iter_mut().enumerate() {
            bytes += leaf.push(cells.get(index).copied().unwrap_or(Cell::Null));
        }
        self.items += 1;
        self.open = true;
        bytes
    }

    /// Ends the row that was being filled when it is one of the first `rows`, and appends nulls until there are `rows` rows.
    pub fn reach(&mut self, rows: usize) {
        while self.nulls.len() < rows {
            self.nulls.append(self.open);
            self.offsets.push(self.items);
            self.open = false;
        }
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
