//! Lists for people: saved queries, tables and views, columns with their meaning, functions.

use std::collections::BTreeMap;
use std::io::Write;

use crate::engine::queries::SavedQuery;
use crate::engine::views::VIEWS;
use crate::engine::{Engine, functions};
use crate::error::{Error, Result};
use crate::outputs::escape;
use crate::table::{Column, Kind, OBJECT, RECORD, TIME};

/// Names, titles and parameters of saved queries.
pub fn saved_queries(saved: &BTreeMap<String, SavedQuery>, to: &mut dyn Write) -> Result<()> {
    let rows = saved.values().map(|query| {
        let params: Vec<&str> = query.params.iter().map(|param| param.name.as_str()).collect();
        [query.name.clone(), query.title.clone(), params.join(" ")]
    });
    columns(rows.collect(), to)
}

/// A saved query with its parameters and its SQL.
pub fn saved_query(query: &SavedQuery, to: &mut dyn Write) -> Result<()> {
    let mut lines = vec![query.title.clone(), query.about.clone(), String::new()];
    for param in &query.params {
        let default = param.default.as_ref().map_or("required".to_owned(), |default| format!("default {default}"));
        lines.push(format!("-p {}=...  {} ({}, {default})", param.name, param.about, param.kind.name()));
    }
    let code = query.sql.lines().filter(|line| !line.starts_with("--")).map(str::to_owned);
    lines.push(String::new());
    lines.extend(code);
    write_lines(&lines, to)
}

/// Tables and views with what their rows are.
pub fn tables(engine: &Engine, to: &mut dyn Write) -> Result<()> {
    let mut rows = Vec::new();
    for name in engine.table_names() {
        let table = engine.tables().find(|table| table.name == name);
        let view = VIEWS.iter().find(|view| view.name == name);
        let kind = if table.is_some() { "table" } else { "view" };
        let about = table.map(|table| table.about).or(view.map(|view| view.about)).unwrap_or_default();
        rows.push([name, kind.to_owned(), about.to_owned()]);
    }
    columns(rows, to)
}

/// Columns of a table or view with type and meaning.
pub async fn table(engine: &Engine, name: &str, to: &mut dyn Write) -> Result<()> {
    let name = name.to_lowercase();
    if let Some(table) = engine.tables().find(|table| table.name == name) {
        let row = |column: &Column| [column.name.to_owned(), type_name(column.kind).to_owned(), column.doc.to_owned()];
        let mut rows = vec![row(&TIME)];
        rows.extend(table.time_name.map(|other| [other.to_owned(), "timestamp".into(), "the same as `time`".into()]));
        rows.push(["date".into(), "date".into(), "UTC day of `time`: a filter on it skips files".into()]);
        rows.extend(table.columns.iter().chain([&OBJECT, &RECORD]).map(row));
        return columns(rows, to);
    }
    let quoted = name.replace('"', "\"\"");
    let frame = engine.sql(&format!("SELECT * FROM \"{quoted}\" LIMIT 0")).await?;
    let docs = VIEWS.iter().find(|view| view.name == name).map(|view| view.columns()).unwrap_or_default();
    let rows = frame.schema().fields().iter().map(|field| {
        let doc = docs.iter().find(|(known, _)| known == field.name()).map_or("", |(_, doc)| doc);
        [field.name().clone(), arrow_name(field.data_type()), doc.to_owned()]
    });
    columns(rows.collect(), to)
}

/// Our functions, or one of them with its example.
pub fn functions(name: Option<&str>, to: &mut dyn Write) -> Result<()> {
    let all = functions::list();
    let Some(name) = name else {
        let first = |about: &str| about.split_inclusive(". ").next().unwrap_or(about).trim().to_owned();
        columns(all.iter().map(|doc| [doc.name.to_owned(), doc.syntax.to_owned(), first(doc.about)]).collect(), to)?;
        let json = "and json_get_str, json_get_int, json_get_bool, json_get_json, json_get_array, json_as_text, json_contains, \
                    json_length, json_object_keys (json, key or index, ...), and those of DataFusion";
        return write_lines(&[json.to_owned()], to);
    };
    let doc = all.iter().find(|doc| doc.name == name.to_lowercase());
    let doc = doc.ok_or_else(|| Error::Usage(format!("{name:?} is not one of our functions; \\df lists them")))?;
    let lines = [doc.syntax.to_owned(), doc.about.to_owned(), format!("{}  -- {}", doc.example, doc.result)];
    write_lines(&lines, to)
}

fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Json => "json text",
        Kind::Int | Kind::Long => "integer",
        Kind::Double => "number",
        Kind::Bool => "boolean",
        Kind::Time => "timestamp",
        Kind::List(_) => "list of structs",
        Kind::Texts => "list of text",
    }
}

fn arrow_name(kind: &datafusion::arrow::datatypes::DataType) -> String {
    use datafusion::arrow::datatypes::DataType;
    match kind {
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => "text".into(),
        DataType::Timestamp(..) => "timestamp".into(),
        DataType::Boolean => "boolean".into(),
        kind if kind.is_integer() => "integer".into(),
        kind if kind.is_floating() => "number".into(),
        DataType::List(item) => match item.data_type() {
            DataType::Struct(_) => "list of structs".into(),
            item => format!("list of {}", arrow_name(item)),
        },
        DataType::Struct(_) => "struct".into(),
        other => other.to_string().to_lowercase(),
    }
}

/// Three columns, the first two as wide as they need.
fn columns(rows: Vec<[String; 3]>, to: &mut dyn Write) -> Result<()> {
    let widest = |index: usize| rows.iter().filter_map(|row| row.get(index)).map(|cell| cell.chars().count()).max();
    let (first, second) = (widest(0).unwrap_or_default(), widest(1).unwrap_or_default());
    let line = |[a, b, c]: &[String; 3]| format!("{a:first$}  {b:second$}  {c}");
    write_lines(&rows.iter().map(line).collect::<Vec<_>>(), to)
}

fn write_lines(lines: &[String], to: &mut dyn Write) -> Result<()> {
    for line in lines {
        if let Err(error) = writeln!(to, "{}", escape::terminal(line.trim_end())) {
            if error.kind() == std::io::ErrorKind::BrokenPipe {
                return Ok(());
            }
            return Err(Error::Output(format!("the list cannot be written: {error}")));
        }
    }
    Ok(())
}
