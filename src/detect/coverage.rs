//! What the logs can show, counted once per table and place: a rule without its evidence cannot be judged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::array::{Array, RecordBatch};

use super::need::Need;
use super::tasks::all;
use super::{Rule, cells};
use crate::engine::{Engine, sql_error};
use crate::error::{Error, Result};
use crate::table::Table;

/// Places that are told apart in one table. An archive of a large organisation has some thousands (accounts x Regions); more
/// are made up. The rest, by name, is counted together, and nothing is said about any of it alone.
const MOST_PLACES: usize = 2_000;

/// Services of which more is asked than the rules' `needs` say: whether there are Data events of them, and, where not,
/// whether other events show that the service is in use.
pub const WATCHED: [&str; 5] = [
    "bedrock-agentcore.amazonaws.com",
    "bedrock.amazonaws.com",
    "ec2.amazonaws.com",
    "s3.amazonaws.com",
    "sagemaker.amazonaws.com",
];

/// A model call that worked: the invocation log has to have it.
const IS_INVOCATION: &str = "eventsource = 'bedrock.amazonaws.com' AND errorcode IS NULL AND eventname IN \
     ('InvokeModel', 'InvokeModelWithResponseStream', 'InvokeModelWithBidirectionalStream', 'Converse', 'ConverseStream')";

/// A change to networks or machines: traffic may follow, of which flow logs would tell.
const IS_NETWORK_CHANGE: &str = "eventsource = 'ec2.amazonaws.com' AND errorcode IS NULL AND NOT readonly";

/// An account and a Region, as rows name them; empty where they do not.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Twelve digits.
    pub account: String,
    /// Such as `us-east-1`. Global services write `us-east-1`, version 2 of flow logs nothing.
    pub region: String,
}

/// Counts over the rows that an engine shows.
#[derive(Debug, Default)]
pub struct Coverage {
    logs: BTreeMap<String, Counted>,
}

/// Counts of one table.
#[derive(Debug, Default)]
pub struct Counted {
    /// All rows.
    pub whole: Counts,
    /// Rows by place.
    pub places: BTreeMap<Place, Counts>,
    /// Rows of the places beyond [`MOST_PLACES`].
    pub others: Counts,
    /// Columns that the table has, as SQL writes them.
    pub known: BTreeSet<String>,
}

/// Counts of some rows.
#[derive(Debug, Default)]
pub struct Counts {
    /// Rows.
    pub rows: i64,
    /// (event category, event source) -> events; CloudTrail alone has them. Sources that nobody asks about are empty.
    pub categories: BTreeMap<(String, String), i64>,
    /// Column that some rule names -> rows that have a value.
    pub filled: BTreeMap<String, i64>,
    /// CloudTrail: model calls that worked. Invocation log: records that have the text of request and answer.
    pub invocations: i64,
    /// CloudTrail: changes to networks and machines.
    pub network_changes: i64,
}

impl Counts {
    /// Events of a category, and of one service when named.
    pub fn events(&self, category: &str, service: Option<&str>) -> i64 {
        let matches = |found: &(String, String)| found.0 == category && service.is_none_or(|s| found.1 == s);
        self.categories.iter().filter(|(key, _)| matches(key)).map(|(_, events)| events).sum()
    }

    /// Events of a service in any category.
    pub fn traces(&self, service: &str) -> i64 {
        self.categories.iter().filter(|(key, _)| key.1 == service).map(|(_, events)| events).sum()
    }

    fn merge(&mut self, other: Counts) {
        self.rows += other.rows;
        self.invocations += other.invocations;
        self.network_changes += other.network_changes;
        for (key, events) in other.categories {
            *self.categories.entry(key).or_default() += events;
        }
        for (column, rows) in other.filled {
            *self.filled.entry(column).or_default() += rows;
        }
    }

    /// Rows with a value in a column.
    pub fn filled(&self, column: &str) -> i64 {
        self.filled.get(column).copied().unwrap_or_default()
    }
}

impl Coverage {
    /// Counts what the rules ask about in those of the engine's tables that `logs` names: one query per table.
    pub async fn measure(engine: &Arc<Engine>, rules: &[Rule], logs: &[&str]) -> Result<Coverage> {
        let needs: BTreeSet<&Need> = rules.iter().flat_map(|rule| &rule.needs).collect();
        let (mut asked, mut questions) = (Vec::new(), Vec::new());
        for table in engine.tables().filter(|table| logs.contains(&table.name)) {
            let known: BTreeSet<String> = table.columns.iter().map(|column| column.sql_path().join(".")).collect();
            let columns = named(&needs, table, &known);
            let (sql, engine) = (question(table, &needs, &columns), engine.clone());
            let question = async move { engine.sql(&sql).await?.collect().await.map_err(sql_error) };
            questions.push((asked.len(), question));
            asked.push((table, known, columns));
        }
        let answers = all(questions.into_iter(), asked.len()).await;
        let mut coverage = Coverage::default();
        for ((table, known, columns), answer) in asked.into_iter().zip(answers.into_values()) {
            let batches = answer.map_err(Error::Sql)??;
            coverage.logs.insert(table.name.to_owned(), counted(&batches, known, &columns));
        }
        Ok(coverage)
    }

    /// Counts of a log; none when it was not asked for or the lake does not have it.
    pub fn log(&self, name: &str) -> Option<&Counted> {
        self.logs.get(name)
    }

    /// Every account and Region that some log names, and accounts without a Region where nothing names one for them.
    pub fn places(&self) -> Vec<&Place> {
        let named: BTreeSet<&Place> =
            self.logs.values().flat_map(|log| log.places.keys()).filter(|place| !place.account.is_empty()).collect();
        let with_region: BTreeSet<&str> =
            named.iter().filter(|place| !place.region.is_empty()).map(|place| place.account.as_str()).collect();
        let is_whole = |place: &Place| !place.region.is_empty() || !with_region.contains(place.account.as_str());
        named.into_iter().filter(|place| is_whole(place)).take(MOST_PLACES).collect()
    }

    /// Whether some log names the account.
    pub fn names(&self, account: &str) -> bool {
        let first = Place { account: account.to_owned(), region: String::new() };
        let names =
            |log: &Counted| log.places.range(first.clone()..).next().is_some_and(|(place, _)| place.account == account);
        self.logs.values().any(names)
    }

    /// Why `rule` cannot be judged anywhere, if it cannot. `place` says where was looked: `this lake`, `this window`.
    pub fn missing(&self, rule: &Rule, place: &str) -> Option<String> {
        if let Some(log) = rule.logs.iter().find(|log| !self.logs.contains_key(*log)) {
            return Some(format!("no {log} rows in this lake"));
        }
        rule.needs.iter().find_map(|need| self.lacks(need, place))
    }

    fn lacks(&self, need: &Need, place: &str) -> Option<String> {
        let Some(log) = self.logs.get(need.log()).filter(|log| log.whole.rows > 0) else {
            return Some(format!("no {} rows in {place}", need.log()));
        };
        match need {
            Need::Log(_) => None,
            Need::Category(category, service) => {
                let of = service.as_ref().map(|service| format!(" of {service}")).unwrap_or_default();
                (log.whole.events(category, service.as_deref()) == 0)
                    .then(|| format!("no {category} events{of} in {place}; does the trail log them?"))
            }
            Need::Column(log_name, column) if !log.known.contains(column) => {
                Some(format!("{log_name} has no column {column}"))
            }
            Need::Column(log_name, column) => {
                (log.whole.filled(column) == 0).then(|| format!("no row in {place} has a value in {log_name}.{column}"))
            }
        }
    }
}

/// Where the rows of a table say which place they are about: columns of account and Region.
fn place_columns(table: &Table) -> Option<(&'static str, &'static str)> {
    match table.name {
        "cloudtrail" => Some(("recipientaccountid", "awsregion")),
        "bedrock" => Some(("accountid", "region")),
        "vpcflow" => Some(("account_id", "region")),
        _ => None,
    }
}

/// Columns of `table` that some of `needs` names.
fn named<'a>(needs: &BTreeSet<&'a Need>, table: &Table, known: &BTreeSet<String>) -> BTreeSet<&'a str> {
    let column = |need: &&'a Need| match need {
        Need::Column(log, column) if log == table.name && known.contains(column) => Some(column.as_str()),
        _ => None,
    };
    needs.iter().filter_map(column).collect()
}

/// The rows of one table, by place, and by category where it has one.
fn counted(batches: &[RecordBatch], known: BTreeSet<String>, columns: &BTreeSet<&str>) -> Counted {
    let mut counted = Counted { known, ..Counted::default() };
    for batch in batches {
        for row in 0..batch.num_rows() {
            let place = Place { account: text(batch, row, 0), region: text(batch, row, 1) };
            add(&mut counted.whole, batch, row, columns);
            add(counted.places.entry(place).or_default(), batch, row, columns);
            // The first by name stay, so that it is the same ones in whichever order rows come.
            if counted.places.len() > MOST_PLACES
                && let Some((_, last)) = counted.places.pop_last()
            {
                counted.others.merge(last);
            }
        }
    }
    counted
}

/// The query whose rows [`add`] reads.
fn question(table: &Table, needs: &BTreeSet<&Need>, columns: &BTreeSet<&str>) -> String {
    let (account, region) = place_columns(table).unwrap_or(("''", "''"));
    let mut services: BTreeSet<&str> = WATCHED.into();
    services.extend(needs.iter().filter_map(|need| match need {
        Need::Category(_, Some(service)) => Some(service.as_str()),
        _ => None,
    }));
    let services: Vec<String> = services.iter().map(|service| format!("'{}'", service.replace('\'', "''"))).collect();
    let (category, source, invocations, changes) = match table.name {
        "cloudtrail" => (
            "coalesce(eventcategory, 'Management')".into(),
            format!("CASE WHEN eventsource IN ({}) THEN eventsource ELSE '' END", services.join(", ")),
            format!("count(*) FILTER (WHERE {IS_INVOCATION})"),
            format!("count(*) FILTER (WHERE {IS_NETWORK_CHANGE})"),
        ),
        "bedrock" => {
            let with_text = "count(*) FILTER (WHERE bodies IN ('inline', 's3'))";
            ("''".to_owned(), "''".to_owned(), with_text.to_owned(), "0".to_owned())
        }
        _ => ("''".to_owned(), "''".to_owned(), "0".to_owned(), "0".to_owned()),
    };
    let mut sql = format!(
        "SELECT coalesce({account}, '') AS place_account, coalesce({region}, '') AS place_region, {category} AS category, \
         {source} AS source, count(*) AS events, {invocations} AS invocations, {changes} AS changes"
    );
    for (number, column) in columns.iter().enumerate() {
        let quoted: Vec<String> = column.split('.').map(|part| format!("\"{part}\"")).collect();
        sql.push_str(&format!(", count({}) AS filled{number}", quoted.join(".")));
    }
    sql.push_str(&format!(" FROM {} GROUP BY 1, 2, 3, 4", table.name));
    sql
}

/// Adds a row of the answer.
fn add(counts: &mut Counts, batch: &RecordBatch, row: usize, columns: &BTreeSet<&str>) {
    let events = number(batch, row, 4);
    counts.rows += events;
    counts.invocations += number(batch, row, 5);
    counts.network_changes += number(batch, row, 6);
    let category = text(batch, row, 2);
    if !category.is_empty() {
        *counts.categories.entry((category, text(batch, row, 3))).or_default() += events;
    }
    for (offset, column) in columns.iter().enumerate() {
        let filled = number(batch, row, 7 + offset);
        if filled > 0 {
            *counts.filled.entry((*column).to_owned()).or_default() += filled;
        }
    }
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
