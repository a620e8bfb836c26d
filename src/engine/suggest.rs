//! Errors of queries in words that help: what is not there, and what is there under a like name.

use datafusion::common::utils::datafusion_strsim::levenshtein;
use datafusion::common::{Column, SchemaError};
use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionContext;

use crate::error::Error;
use crate::table::Table;

/// More names than this help nobody: the rest is in the listing.
const SHOWN: usize = 5;

/// An error of planning as ours.
pub fn explain(context: &SessionContext, tables: &[&'static Table], error: DataFusionError) -> Error {
    let root = innermost(&error);
    if let DataFusionError::SchemaError(schema_error, _) = root
        && let SchemaError::FieldNotFound { field, valid_fields } = schema_error.as_ref()
    {
        return Error::Sql(no_column(field, valid_fields));
    }
    let text = message(root);
    if let Some(name) = between(&text, "table '", "' not found") {
        let name = name.rsplit('.').next().unwrap_or(name);
        let known = table_names(context);
        let hint = near(name, known.iter().map(String::as_str));
        return Error::Sql(format!("there is no table {name:?}{hint}; tables and views are: {}", known.join(", ")));
    }
    if let Some(field) = between(&text, "Field ", " not found in struct") {
        let paths: Vec<String> = tables.iter().flat_map(|t| t.columns).map(|c| c.name.to_ascii_lowercase()).collect();
        let leaves = paths.iter().filter(|path| path.contains('.')).map(|path| path.rsplit('.').next().unwrap_or(path));
        return Error::Sql(format!("there is no field {field:?}{}", near(field, leaves)));
    }
    Error::Sql(text)
}

/// An error that came while a planned query ran, as ours.
pub fn execution_error(error: DataFusionError) -> Error {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => Error::Lake(
            "the query needs more memory than it may use; give it more with --memory, or ask for less".into(),
        ),
        DataFusionError::ObjectStore(_) | DataFusionError::IoError(_) | DataFusionError::ParquetError(_) => {
            Error::Lake(format!("the lake cannot be read: {}", message(&error)))
        }
        _ => Error::Sql(message(&error)),
    }
}

/// Names of the tables and views of a session that people may use, sorted.
pub fn table_names(context: &SessionContext) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for catalog in context.catalog_names() {
        let Some(catalog) = context.catalog(&catalog) else { continue };
        for schema in catalog.schema_names() {
            names.extend(catalog.schema(&schema).map(|schema| schema.table_names()).unwrap_or_default());
        }
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// What an error says, without the prefixes that tell which part of the engine it came from.
pub fn message(error: &DataFusionError) -> String {
    let text = innermost(error).strip_backtrace();
    let prefixes = [
        "SQL error: ",
        "ParserError(\"",
        "Error during planning: ",
        "Execution error: ",
        "This feature is not implemented: ",
    ];
    let mut rest = text.as_str();
    for prefix in prefixes {
        rest = rest.strip_prefix(prefix).unwrap_or(rest);
    }
    match text.contains("ParserError(\"") {
        true => rest.trim_end_matches("\")").replace("\\\"", "\""),
        false => rest.to_owned(),
    }
}

fn innermost(error: &DataFusionError) -> &DataFusionError {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => innermost(inner),
        DataFusionError::Shared(inner) => innermost(inner),
        DataFusionError::Collection(errors) => errors.first().map_or(error, innermost),
        _ => error,
    }
}

fn no_column(field: &Column, valid: &[Column]) -> String {
    let names: Vec<&str> = valid.iter().map(|column| column.name.as_str()).collect();
    let hint = near(&field.name, names.iter().copied());
    if !hint.is_empty() || names.is_empty() {
        return format!("there is no column {:?}{hint}", field.name);
    }
    let more = if names.len() > 20 { ", ... (DESCRIBE lists all)" } else { "" };
    let shown: Vec<&str> = names.into_iter().take(20).collect();
    format!("there is no column {:?}; columns are: {}{more}", field.name, shown.join(", "))
}

/// `; did you mean a, b?` with the names most like the wanted one, or nothing.
fn near<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> String {
    let wanted = wanted.to_lowercase();
    let bare = |name: &str| name.replace('_', "");
    let mut scored: Vec<(usize, &str)> = Vec::new();
    for name in names {
        let inside = wanted.len() > 3 && (name.contains(&wanted) || (name.len() > 3 && wanted.contains(name)));
        let distance = if inside { 1 } else { levenshtein(&bare(&wanted), &bare(name)) };
        if distance <= wanted.len() / 3 + 1 {
            scored.push((distance, name));
        }
    }
    scored.sort_unstable();
    scored.dedup();
    let close: Vec<&str> = scored.into_iter().take(SHOWN).map(|(_, name)| name).collect();
    if close.is_empty() { String::new() } else { format!("; did you mean {}?", close.join(", ")) }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(inside, _)| inside)
}
