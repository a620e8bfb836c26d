//! Tables are stored flat and presented nested: `useridentity_arn` in Parquet is `useridentity.arn` in SQL.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::execution::context::SessionContext;
use datafusion::prelude::DataFrame;

use super::catalog::Catalog;
use super::{Window, sql_error, stored};
use crate::error::Result;
use crate::table::{Column, DATE, Table};

/// Registers `table` under its name as a view over the flat provider, limited to `window` when one is given.
///
/// A filter on `useridentity.arn` is simplified by DataFusion (`get_field(named_struct(..), 'arn')`) to one on the flat
/// column and pushed into the scan; selecting one leaf reads one leaf.
pub fn present(
    context: &SessionContext,
    catalog: &Catalog,
    table: &'static Table,
    provider: Arc<dyn TableProvider>,
    window: Option<&Window>,
) -> Result<()> {
    let source = stored::name(table.name);
    context.register_table(&source, provider).map_err(sql_error)?;
    let mut items = vec!["\"time\"".to_owned()];
    items.extend(table.time_name.map(|name| format!("\"time\" AS \"{}\"", name.to_ascii_lowercase())));
    items.push(format!("\"{DATE}\""));
    let columns: Vec<(&Column, Vec<String>)> = table.columns.iter().map(|c| (c, c.sql_path())).collect();
    let mut done: Vec<&str> = Vec::new();
    for (_, path) in &columns {
        let Some(first) = path.first() else { continue };
        if !done.contains(&first.as_str()) {
            done.push(first);
            items.push(format!("{} AS \"{first}\"", expression(&columns, &[first])));
        }
    }
    items.extend(["\"_object\"".to_owned(), "\"_record\"".to_owned()]);
    let mut sql = String::new();
    if let Some(window) = window {
        items.push(format!("{} AS \"fresh\"", window.fresh()));
        sql = format!(" WHERE {}", window.visible());
    }
    let sql = format!("SELECT {} FROM \"{source}\"{sql}", items.join(", "));
    catalog.add_view(table.name, sql, Box::new(DataFrame::into_view));
    Ok(())
}

/// SQL for the column or struct at `prefix`.
fn expression(columns: &[(&Column, Vec<String>)], prefix: &[&str]) -> String {
    let below: Vec<&(&Column, Vec<String>)> = columns
        .iter()
        .filter(|(_, path)| path.len() >= prefix.len() && path.iter().zip(prefix).all(|(a, b)| a == b))
        .collect();
    if let [(column, path)] = below.as_slice()
        && path.len() == prefix.len()
    {
        return format!("\"{}\"", column.stored_name());
    }
    let mut fields: Vec<String> = Vec::new();
    let mut done: Vec<&str> = Vec::new();
    for (_, path) in below {
        let Some(name) = path.get(prefix.len()) else { continue };
        if done.contains(&name.as_str()) {
            continue;
        }
        done.push(name);
        let mut deeper = prefix.to_vec();
        deeper.push(name);
        fields.push(format!("'{name}', {}", expression(columns, &deeper)));
    }
    format!("named_struct({})", fields.join(", "))
}
