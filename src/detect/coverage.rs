//! What the logs can show, counted once per table: a rule without its evidence cannot be judged.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::arrow::array::{Array, RecordBatch};

use super::need::Need;
use super::{Rule, cells};
use crate::engine::{Engine, sql_error};
use crate::error::Result;
use crate::table::Table;

/// Counts over the rows that an engine shows.
#[derive(Debug, Default)]
pub struct Coverage {
    logs: BTreeMap<String, Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    rows: i64,
    /// (event category, event source) -> events; CloudTrail alone has them.
    categories: BTreeMap<(String, String), i64>,
    /// Column that some rule names -> rows that have a value.
    filled: BTreeMap<String, i64>,
    /// Columns that the table has, as SQL writes them.
    known: BTreeSet<String>,
}

impl Coverage {
    /// Counts what the rules ask about: one query per table.
    pub async fn measure(engine: &Engine, rules: &[Rule]) -> Result<Coverage> {
        let mut coverage = Coverage::default();
        for table in engine.tables() {
            let readers: Vec<&Rule> = rules
                .iter()
                .filter(|rule| rule.chain.is_none() && rule.logs.iter().any(|log| log == table.name))
                .collect();
            if !readers.is_empty() {
                coverage.logs.insert(table.name.to_owned(), count(engine, table, &readers).await?);
            }
        }
        Ok(coverage)
    }

    /// Why `rule` cannot be judged, if it cannot. `place` says where was looked: `this lake`, `this window`.
    pub fn missing(&self, rule: &Rule, place: &str) -> Option<String> {
        if let Some(log) = rule.logs.iter().find(|log| !self.logs.contains_key(*log)) {
            return Some(format!("no {log} rows in this lake"));
        }
        rule.needs.iter().find_map(|need| self.lacks(need, place))
    }

    fn lacks(&self, need: &Need, place: &str) -> Option<String> {
        let Some(counts) = self.logs.get(need.log()).filter(|counts| counts.rows > 0) else {
            return Some(format!("no {} rows in {place}", need.log()));
        };
        match need {
            Need::Log(_) => None,
            Need::Category(category, service) => {
                let matches = |found: &(String, String)| {
                    found.0 == *category && service.as_ref().is_none_or(|service| found.1 == *service)
                };
                let events: i64 =
                    counts.categories.iter().filter(|(key, _)| matches(key)).map(|(_, events)| events).sum();
                let of = service.as_ref().map(|service| format!(" of {service}")).unwrap_or_default();
                (events == 0).then(|| format!("no {category} events{of} in {place}; does the trail log them?"))
            }
            Need::Column(log, column) if !counts.known.contains(column) => {
                Some(format!("{log} has no column {column}"))
            }
            Need::Column(log, column) => {
                let filled = counts.filled.get(column).copied().unwrap_or_default();
                (filled == 0).then(|| format!("no row in {place} has a value in {log}.{column}"))
            }
        }
    }
}

/// Counts the rows of one table, by category where it has one.
async fn count(engine: &Engine, table: &Table, readers: &[&Rule]) -> Result<Counts> {
    let known: BTreeSet<String> = table.columns.iter().map(|column| column.sql_path().join(".")).collect();
    let needs = readers.iter().flat_map(|rule| &rule.needs);
    let named: BTreeSet<&str> = needs
        .filter_map(|need| match need {
            Need::Column(log, column) if log == table.name && known.contains(column) => Some(column.as_str()),
            _ => None,
        })
        .collect();
    let has_categories = ["eventcategory", "eventsource"].iter().all(|column| known.contains(*column));
    let keys = if has_categories { "coalesce(eventcategory, 'Management')" } else { "''" };
    let source = if has_categories { "coalesce(eventsource, '')" } else { "''" };
    let mut sql = format!("SELECT {keys} AS category, {source} AS source, count(*) AS events");
    for column in &named {
        let quoted: Vec<String> = column.split('.').map(|part| format!("\"{part}\"")).collect();
        sql.push_str(&format!(", count({})", quoted.join(".")));
    }
    sql.push_str(&format!(" FROM {} GROUP BY 1, 2", table.name));
    let batches = engine.sql(&sql).await?.collect().await.map_err(sql_error)?;
    let mut counts = Counts { known, ..Counts::default() };
    for batch in &batches {
        for row in 0..batch.num_rows() {
            let events = number(batch, row, 2);
            counts.rows += events;
            if has_categories {
                *counts.categories.entry((text(batch, row, 0), text(batch, row, 1))).or_default() += events;
            }
            for (offset, column) in named.iter().enumerate() {
                *counts.filled.entry((*column).to_owned()).or_default() += number(batch, row, 3 + offset);
            }
        }
    }
    Ok(counts)
}

fn number(batch: &RecordBatch, row: usize, column: usize) -> i64 {
    batch
        .columns()
        .get(column)
        .and_then(|column| cells::value(&cells::readable(column), row).as_i64())
        .unwrap_or_default()
}

fn text(batch: &RecordBatch, row: usize, column: usize) -> String {
    let Some(column) = batch.columns().get(column).filter(|column| row < column.len()) else { return String::new() };
    cells::value(&cells::readable(column), row).as_str().unwrap_or_default().to_owned()
}
