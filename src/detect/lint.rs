//! Does a rule's SQL fit the tables and return what a finding needs, and which path does it take?

use std::collections::{BTreeMap, BTreeSet};

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::prelude::DataFrame;

use super::chain::Chain;
use super::need::Need;
use super::path::{Path, Read, events_of, table_name};
use super::scan::{Keys, SharedScans};
use super::steps::FINDINGS;
use super::{Rule, Shelf, samples, selftest, spelling};
use crate::engine::{Engine, Settings, Window, sql_error};
use crate::error::Result;
use crate::findings::Severity;

/// What was noticed about a rule.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    /// The way that its SQL takes, when it plans.
    pub path: Option<Path>,
    /// What has to change.
    pub errors: Vec<String>,
    /// What should change.
    pub warnings: Vec<String>,
}

/// Functions whose value depends on when the query runs: with them, judging again would find something else.
const UNREPEATABLE: [&str; 6] = ["now", "current_date", "current_time", "today", "random", "uuid"];

/// Checks rules against empty tables.
#[derive(Debug)]
pub struct Linter {
    engine: Engine,
    /// Rules that chains may name: id, severity, and whether it is a chain itself.
    known: BTreeMap<String, (Severity, bool)>,
}

impl Linter {
    /// A linter over the tables of all logs.
    pub async fn new() -> Result<Linter> {
        let tables = selftest::tables().map(|table| (table, Vec::new())).collect();
        let settings = Settings { threads: 1, ..Settings::default() };
        let window = Window { start: Some(samples::base_time()), ..Window::default() };
        let scans = SharedScans::over(&Engine::in_memory(settings, tables).await?).await?;
        let linter = Linter { engine: scans.engine().windowed(&window).await?, known: BTreeMap::new() };
        Ok(linter.knowing(Shelf::built_in()?.rules()))
    }

    /// Rules beside the built-in ones that chains may name.
    pub fn knowing(mut self, rules: &[Rule]) -> Linter {
        self.known.extend(rules.iter().map(|rule| (rule.id.clone(), (rule.severity, rule.chain.is_some()))));
        self
    }

    /// Checks one rule.
    pub async fn check(&self, rule: &Rule) -> Notes {
        let mut notes = Notes::default();
        if let Some(chain) = &rule.chain {
            self.check_chain(rule, chain, &mut notes);
            return notes;
        }
        self.check_needs(rule, &mut notes);
        match self.plan(rule).await {
            Ok(frame) => self.check_plan(rule, &frame, &mut notes),
            Err(error) => notes.errors.push(error),
        }
        notes
    }

    /// The rule's SQL planned all the way, so that mistakes in types show.
    async fn plan(&self, rule: &Rule) -> std::result::Result<DataFrame, String> {
        let frame = self.engine.sql_with(&rule.sql, &rule.values()).await.map_err(|error| error.to_string())?;
        frame.clone().create_physical_plan().await.map_err(|error| sql_error(error).to_string())?;
        Ok(frame)
    }

    fn check_needs(&self, rule: &Rule, notes: &mut Notes) {
        for need in &rule.needs {
            let Need::Column(log, column) = need else { continue };
            let table = self.engine.tables().find(|table| table.name == log);
            if !table.is_some_and(|table| table.columns.iter().any(|known| known.sql_path().join(".") == *column)) {
                notes.errors.push(format!("needs: {log} has no column {column}"));
            }
        }
    }

    /// A chain plans when there are rules for its steps.
    fn check_chain(&self, rule: &Rule, chain: &Chain, notes: &mut Notes) {
        let unknown = |named: &String| {
            let hint = spelling::hint(named, self.known.keys().map(String::as_str));
            format!("there is no rule '{named}'{hint}")
        };
        match rule.tests() {
            Ok(tests) => {
                let beside = tests.iter().flat_map(|test| &test.rules);
                notes.errors.extend(beside.filter(|named| !self.known.contains_key(*named)).map(unknown));
            }
            Err(error) => notes.errors.push(error.to_string()),
        }
        for step in &chain.steps {
            for named in &step.rules {
                match self.known.get(named) {
                    None => notes.errors.push(unknown(named)),
                    Some((_, true)) => notes.errors.push(format!("{named} is a chain, which is no step of another")),
                    Some((severity, _)) if *severity < step.severity => {
                        notes.errors.push(format!("{named} is of {severity} severity, and the step asks for more"));
                    }
                    Some(_) => {}
                }
            }
        }
        notes.path = Some(Path { reads: vec![Read { table: FINDINGS.into(), shared: None }] });
    }

    fn check_plan(&self, rule: &Rule, frame: &DataFrame, notes: &mut Notes) {
        let plan = frame.logical_plan();
        check_columns(rule, frame, events_of(plan).as_deref(), notes);
        let (used, functions) = inspect(plan);
        let listed: BTreeSet<&str> = rule.logs.iter().map(String::as_str).collect();
        let logs: BTreeSet<&str> =
            used.iter().map(String::as_str).filter(|log| samples::logs().any(|known| known == *log)).collect();
        for log in logs.difference(&listed) {
            notes.errors.push(format!("the SQL reads {log}; add \"{log}\" to logs"));
        }
        for log in listed.difference(&logs) {
            notes.errors.push(format!("the SQL does not read {log}; remove it from logs"));
        }
        for function in UNREPEATABLE.iter().filter(|function| functions.contains(**function)) {
            notes
                .errors
                .push(format!("{function}() gives another answer each time; compare with `time` of events instead"));
        }
        let context = self.engine.context();
        match context.state().optimize(plan).and_then(|optimised| Path::of(&optimised, context)) {
            Ok(path) => {
                let looks_at_all =
                    |read: &Read| read.table == "cloudtrail" && read.shared.as_ref().is_none_or(Keys::is_empty);
                if path.reads.iter().any(looks_at_all) {
                    let advice = "no eventName or eventSource to dispatch on, so every event is looked at; add one if the rule allows";
                    notes.warnings.push(advice.into());
                }
                notes.path = Some(path);
            }
            Err(error) => notes.errors.push(sql_error(error).to_string()),
        }
    }
}

/// Checks what the SQL returns.
fn check_columns(rule: &Rule, frame: &DataFrame, events_of: Option<&str>, notes: &mut Notes) {
    let schema = frame.schema();
    let kind = |name: &str| schema.fields().iter().find(|field| field.name() == name).map(|field| field.data_type());
    for name in ["time", "first_seen"] {
        match kind(name) {
            Some(DataType::Timestamp(..)) => {}
            Some(other) => notes.errors.push(format!("`{name}` is {other}, not a timestamp")),
            None if name == "time" => {
                notes.errors.push("the SQL has to return `time`; for aggregates max(time) AS time".into())
            }
            None => {}
        }
    }
    match kind("fresh") {
        Some(DataType::Boolean) => {}
        Some(other) => notes.errors.push(format!("`fresh` is {other}, not a boolean")),
        None => notes.errors.push("the SQL has to return `fresh`; for aggregates bool_or(fresh) AS fresh".into()),
    }
    if kind("event_count").is_some_and(|kind| !kind.is_integer()) {
        notes.errors.push("`event_count` is not a whole number".into());
    }
    for name in rule.entity.iter().filter(|name| kind(name).is_none()) {
        notes.errors.push(format!("the SQL has to return the entity column `{name}`"));
    }
    let Some(table) = events_of else {
        if ["_object", "records"].iter().all(|name| kind(name).is_none()) {
            let advice = "nothing leads back to the log; return sample(_object || '#' || _record) AS records";
            notes.warnings.push(advice.into());
        }
        return;
    };
    let id = match table {
        "cloudtrail" => Some("event_id"),
        "bedrock" => Some("request_id"),
        _ => None,
    };
    for name in ["_object", "_record"].into_iter().chain(id).filter(|name| kind(name).is_none()) {
        notes.errors.push(format!("a rule about single events returns `{name}`; select it"));
    }
}

/// Tables below a plan, through views and subqueries, and functions that the plan calls.
fn inspect(plan: &LogicalPlan) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut tables, mut functions) = (BTreeSet::new(), BTreeSet::new());
    // Visiting cannot fail: the closures return no error.
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            tables.insert(table_name(scan.table_name.table()).to_owned());
        }
        node.apply_expressions(|expression| {
            expression.apply(|inner| {
                if let Expr::ScalarFunction(call) = inner {
                    functions.insert(call.func.name().to_owned());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    (tables, functions)
}
