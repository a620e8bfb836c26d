//! What a table is: its columns with type and meaning, from which schemas, views and docs are made.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

/// A table of the lake.
#[derive(Debug)]
pub struct Table {
    /// Name in SQL and folder in the lake.
    pub name: &'static str,
    /// One sentence: what a row is.
    pub about: &'static str,
    /// Name that the log itself gives to the event time, with AWS's spelling: SQL shows `time` under it as well.
    pub time_name: Option<&'static str>,
    /// Columns by which rows that are close in time lie together in files, so that scans for some of their values pass
    /// over the pages of others.
    pub clustered_by: &'static [&'static str],
    /// Columns in the order in which they are stored: searched ones first (statistics cover the first 32), long text last.
    /// `time`, `date`, `_object` and `_record` are not listed: every table has them.
    pub columns: &'static [Column],
}

/// A column of a table.
#[derive(Debug)]
pub struct Column {
    /// Name with the spelling of AWS. A dot separates the levels of a closed object (`userIdentity.arn`):
    /// such leaves are stored flat (`useridentity_arn`) and presented nested (`useridentity.arn`).
    pub name: &'static str,
    /// Type of the values.
    pub kind: Kind,
    /// One line: what the value means, its unit and its source.
    pub doc: &'static str,
    /// True when investigators look this value up: the column gets a bloom filter.
    pub searched: bool,
}

/// Type of a column. Every column may be null: null means that the log did not say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// UTF-8 text.
    Text,
    /// JSON as the log wrote it, kept as text.
    Json,
    /// 32-bit signed integer.
    Int,
    /// 64-bit signed integer.
    Long,
    /// 64-bit float.
    Double,
    /// Boolean.
    Bool,
    /// Timestamp in microseconds, UTC.
    Time,
    /// List of structs with these fields.
    List(&'static [Leaf]),
    /// List of text.
    Texts,
}

/// A field of the structs in a [`Kind::List`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Leaf {
    /// Field name, lower case.
    pub name: &'static str,
    /// Type: never a list.
    pub kind: Scalar,
    /// One line: what the value means.
    pub doc: &'static str,
}

/// Type of a [`Leaf`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar {
    /// UTF-8 text.
    Text,
    /// 64-bit float.
    Double,
}

/// Event time, in every table.
pub const TIME: Column = column("time", Kind::Time, "event time, UTC");
/// URI of the object that held the record, in every table.
pub const OBJECT: Column = column("_object", Kind::Text, "URI of the object that the row was read from");
/// Index of the record in its object, in every table.
pub const RECORD: Column = column("_record", Kind::Long, "index of the record in that object, from 0");
/// Partition column, in every table: the UTC day of `time`.
pub const DATE: &str = "date";

/// A column that is not looked up by value.
pub const fn column(name: &'static str, kind: Kind, doc: &'static str) -> Column {
    Column { name, kind, doc, searched: false }
}

/// A column that investigators look values up in.
pub const fn searched(name: &'static str, kind: Kind, doc: &'static str) -> Column {
    Column { name, kind, doc, searched: true }
}

impl Column {
    /// Name of the column in the Parquet files: lower case, `_` between levels.
    pub fn stored_name(&self) -> String {
        self.name.to_ascii_lowercase().replace('.', "_")
    }

    /// Levels of the name that SQL shows, lower case: one for a plain column, more for a leaf of a closed object.
    pub fn sql_path(&self) -> Vec<String> {
        self.name.to_ascii_lowercase().split('.').map(str::to_owned).collect()
    }
}

impl Kind {
    /// Arrow type of the column in memory and in Parquet.
    pub fn data_type(&self) -> DataType {
        match self {
            Kind::Text | Kind::Json => DataType::Utf8,
            Kind::Int => DataType::Int32,
            Kind::Long => DataType::Int64,
            Kind::Double => DataType::Float64,
            Kind::Bool => DataType::Boolean,
            Kind::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Kind::List(leaves) => DataType::List(Arc::new(Field::new("element", leaf_struct(leaves), true))),
            Kind::Texts => DataType::List(Arc::new(Field::new("element", DataType::Utf8, true))),
        }
    }
}

impl Scalar {
    /// Arrow type of the leaf.
    pub fn data_type(&self) -> DataType {
        match self {
            Scalar::Text => DataType::Utf8,
            Scalar::Double => DataType::Float64,
        }
    }
}

/// Struct type of the items of a list column.
pub fn leaf_struct(leaves: &[Leaf]) -> DataType {
    let fields: Fields = leaves.iter().map(|leaf| Field::new(leaf.name, leaf.kind.data_type(), true)).collect();
    DataType::Struct(fields)
}

impl Table {
    /// All columns in stored order: `time`, the table's own, `_object`, `_record`. The partition column `date` is not in the files.
    pub fn stored_columns(&self) -> impl Iterator<Item = &Column> {
        std::iter::once(&TIME).chain(self.columns).chain([&OBJECT, &RECORD])
    }

    /// Schema of the record batches and Parquet files of this table.
    pub fn schema(&self) -> SchemaRef {
        let fields: Fields =
            self.stored_columns().map(|c| Field::new(c.stored_name(), c.kind.data_type(), true)).collect();
        Arc::new(Schema::new(fields))
    }

    /// Index of a column in [`Table::columns`] by its AWS spelling, for decoders that look columns up once.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == name)
    }
}
