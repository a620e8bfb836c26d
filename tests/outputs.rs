//! The contract of the formats: the same rows come out of each, and hostile text does no harm.

use std::io::{self, Write};
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int64Array, ListArray, RecordBatch, StringArray,
    StringViewArray, StructArray, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{DataType, Field, Int32Type, Schema};
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use clap::ValueEnum;
use trailhound::error::Error;
use trailhound::outputs::{Format, Hidden, Page, destination, write};

const HOSTILE: &str = "=cmd|'x'!A1,\"\u{1b}[31m\n\u{202e}<b>";

fn batch() -> RecordBatch {
    let names: ArrayRef = Arc::new(StringArray::from(vec![Some(HOSTILE), Some(""), None]));
    let view: ArrayRef = Arc::new(StringViewArray::from(vec![Some("plain"), None, Some("ünïcode")]));
    let counts: ArrayRef = Arc::new(Int64Array::from(vec![Some(-5), Some(i64::MAX), None]));
    let ratios: ArrayRef = Arc::new(Float64Array::from(vec![Some(0.5), Some(f64::NAN), None]));
    let yes: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]));
    let times: ArrayRef = Arc::new(
        TimestampMicrosecondArray::from(vec![Some(1_790_856_000_000_000), Some(1_790_856_000_500_000), None])
            .with_timezone("UTC"),
    );
    let kinds: ArrayRef = Arc::new([Some("a"), None, Some("a")].into_iter().collect::<DictionaryArray<Int32Type>>());
    let lists: ArrayRef =
        Arc::new(ListArray::from_iter_primitive::<datafusion::arrow::datatypes::Int64Type, _, _>(vec![
            Some(vec![Some(1), None]),
            Some(vec![]),
            None,
        ]));
    let leaf = Arc::new(Field::new("arn", DataType::Utf8, true));
    let structs: ArrayRef = Arc::new(StructArray::from(vec![(leaf, names.clone())]));
    let columns = vec![
        ("name", names),
        ("view", view),
        ("count", counts),
        ("ratio", ratios),
        ("yes", yes),
        ("time", times),
        ("kind", kinds),
        ("list", lists),
        ("object", structs),
    ];
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, array)| array).collect()).unwrap()
}

fn written(format: Format, page: &Page) -> Vec<u8> {
    let batch = batch();
    let mut out = Vec::new();
    let done = write(&[batch.clone(), batch.slice(0, 0)], batch.schema(), format, &mut out, page).unwrap();
    assert_eq!((done.rows, done.closed), (3, false));
    out
}

fn text(format: Format, page: &Page) -> String {
    String::from_utf8(written(format, page)).unwrap()
}

/// What every format that keeps types must give back.
fn expected() -> Value {
    json!([
        {"name": HOSTILE, "view": "plain", "count": -5, "ratio": 0.5, "yes": true, "time": "2026-10-01T12:00:00Z", "kind": "a",
         "list": [1, null], "object": {"arn": HOSTILE}},
        {"name": "", "view": null, "count": i64::MAX, "ratio": null, "yes": false, "time": "2026-10-01T12:00:00.500Z", "kind": null,
         "list": [], "object": {"arn": ""}},
        {"name": null, "view": "ünïcode", "count": null, "ratio": null, "yes": null, "time": null, "kind": "a", "list": null,
         "object": {"arn": null}},
    ])
}

#[test]
fn json_and_lines_hold_the_same_rows() {
    assert_eq!(serde_json::from_str::<Value>(&text(Format::Json, &Page::default())).unwrap(), expected());
    let lines: Vec<Value> =
        text(Format::Ndjson, &Page::default()).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(Value::Array(lines), expected());
}

#[test]
fn parquet_gives_back_rows_and_types() {
    let bytes = bytes::Bytes::from(written(Format::Parquet, &Page::default()));
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = reader.map(|batch| batch.unwrap()).collect();
    assert_eq!(batches.len(), 1);
    assert_eq!(batches[0].schema().field(5).data_type(), batch().schema().field(5).data_type());
    let mut out = Vec::new();
    write(&batches, batches[0].schema(), Format::Json, &mut out, &Page::default()).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), expected());
}

/// Cells of a CSV text (RFC 4180), null for an empty cell without quotes.
fn cells(text: &str) -> Vec<Vec<Option<String>>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), None::<String>);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                let value = cell.get_or_insert_default();
                while let Some(inside) = characters.next() {
                    if inside != '"' {
                        value.push(inside);
                    } else if characters.next_if_eq(&'"').is_some() {
                        value.push('"');
                    } else {
                        break;
                    }
                }
            }
            ',' => row.push(cell.take()),
            '\n' => {
                row.push(cell.take());
                rows.push(std::mem::take(&mut row));
            }
            other => cell.get_or_insert_default().push(other),
        }
    }
    rows
}

#[test]
fn csv_holds_the_same_rows_and_no_formula() {
    let rows = cells(&text(Format::Csv, &Page::default()));
    let header: Vec<String> = rows[0].iter().cloned().map(Option::unwrap).collect();
    assert_eq!(header, ["name", "view", "count", "ratio", "yes", "time", "kind", "list", "object"]);
    for (row, expected) in rows[1..].iter().zip(expected().as_array().unwrap()) {
        for (name, cell) in header.iter().zip(row) {
            let value = match &expected[name] {
                Value::Null => None,
                Value::String(text) if text.starts_with('=') => Some(format!("'{text}")),
                Value::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            };
            match name.as_str() {
                "ratio" if value.is_none() => assert!(cell.is_none() || cell.as_deref() == Some("NaN")),
                "object" => {
                    assert_eq!(serde_json::from_str::<Value>(cell.as_deref().unwrap()).unwrap(), expected[name])
                }
                _ => assert_eq!(*cell, value, "{name}"),
            }
        }
    }
    assert_eq!(rows.len(), 4);
}

#[test]
fn nothing_that_reaches_a_terminal_moves_its_cursor() {
    let page = Page { terminal: true, width: Some(120), rows: None };
    for format in [Format::Table, Format::Json, Format::Ndjson, Format::Csv] {
        let shown = text(format, &page);
        let bad = shown.chars().find(|c| *c != '\n' && (c.is_control() || *c == '\u{202e}'));
        assert_eq!(bad, None, "{format:?}: {shown}");
    }
}

#[test]
fn parquet_is_refused_on_a_terminal() {
    let batch = batch();
    let page = Page { terminal: true, ..Page::default() };
    let error = write(&[], batch.schema(), Format::Parquet, &mut Vec::new(), &page).unwrap_err();
    assert!(matches!(&error, Error::Usage(text) if text.contains("-o")), "{error}");
}

#[test]
fn tables_fit_the_terminal_and_cut_what_is_long() {
    let shown = text(Format::Table, &Page { terminal: true, width: Some(120), rows: None });
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 5, "{shown}");
    assert!(lines.iter().all(|line| line.chars().count() <= 120), "{shown}");
    assert!(lines[0].starts_with(" name") && lines[1].contains("-+-") && lines[2].contains('…'), "{shown}");
    assert!(lines[2].contains("2026-10-01T12"), "{shown}");
    let narrow = text(Format::Table, &Page { terminal: true, width: Some(60), rows: None });
    assert!(narrow.starts_with("-- row 1\nname  ") && narrow.contains("-- row 3\nview"), "{narrow}");
    assert!(narrow.lines().all(|line| line.chars().count() <= 60), "{narrow}");
}

#[test]
fn rows_beyond_the_page_are_counted() {
    let batch = batch();
    let mut out = Vec::new();
    let page = Page { terminal: true, width: Some(200), rows: Some(2) };
    let done = write(&[batch.clone(), batch.clone()], batch.schema(), Format::Table, &mut out, &page).unwrap();
    assert_eq!((done.rows, done.hidden), (2, Hidden { rows: 4, more: false }));
    assert!(String::from_utf8(out).unwrap().contains("… 4 more rows"));
}

#[test]
fn results_without_rows_are_whole() {
    let schema = batch().schema();
    let shown = |format| {
        let mut out = Vec::new();
        write(&[], schema.clone(), format, &mut out, &Page::default()).unwrap();
        String::from_utf8_lossy(&out).into_owned()
    };
    assert_eq!(shown(Format::Json), "[]\n");
    assert_eq!(shown(Format::Ndjson), "");
    assert_eq!(shown(Format::Csv).lines().count(), 1);
    assert!(shown(Format::Table).starts_with(" name"));
    assert!(shown(Format::Parquet).starts_with("PAR1"));
}

/// A reader that goes away.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let batch = batch();
    for format in Format::value_variants() {
        let done = write(std::slice::from_ref(&batch), batch.schema(), *format, &mut Closed, &Page::default()).unwrap();
        assert!(done.closed, "{format:?}");
    }
}

#[test]
fn file_names_ask_for_formats() {
    let of = |name: &str| Format::of_path(std::path::Path::new(name));
    assert_eq!(of("a/findings.PARQUET"), Some(Format::Parquet));
    assert_eq!(
        (of("x.csv"), of("x.jsonl"), of("x.ndjson")),
        (Some(Format::Csv), Some(Format::Ndjson), Some(Format::Ndjson))
    );
    assert_eq!((of("x.json"), of("x"), of("x.html")), (Some(Format::Json), None, None));
}

#[test]
fn files_appear_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("result.csv");
    let mut kept = destination::Destination::open(Some(&path)).unwrap();
    kept.write_all(b"a\n1\n").unwrap();
    assert!(!path.exists());
    kept.commit().unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a\n1\n");
    let mut dropped = destination::Destination::open(Some(&path)).unwrap();
    dropped.write_all(b"half").unwrap();
    drop(dropped);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a\n1\n");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
