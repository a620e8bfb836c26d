//! SQL as people type it: one read-only statement, AWS spelling, JSON operators without brackets.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::Column;
use datafusion::execution::context::{SQLOptions, SessionContext};
use datafusion::logical_expr::sqlparser::ast::{
    Expr as SqlExpr, Query, Select, SelectItem, SetExpr, Statement as SqlStatement, TableFactor, Visit, VisitMut,
    Visitor,
};
use datafusion::logical_expr::sqlparser::dialect::GenericDialect;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::parser::{DFParserBuilder, Statement};

use super::spelling::{Names, Spelling};
use super::tokens::{self, Values};
use super::{leaves, suggest};
use crate::error::{Error, Result};
use crate::table::Table;

/// Plans one read-only statement over the tables, views and functions of a session.
pub async fn plan(
    context: &SessionContext,
    tables: &[&'static Table],
    names: &Names,
    sql: &str,
    values: &Values,
) -> Result<LogicalPlan> {
    let mut statement = parse(sql, values)?;
    refuse_writes(&statement)?;
    respell(&mut statement, names);
    let plan = context.state().statement_to_plan(statement).await;
    let plan = plan.map_err(|error| suggest::explain(context, tables, error))?;
    let read_only = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    read_only.verify_plan(&plan).map_err(|error| suggest::explain(context, tables, error))?;
    json_as_text(plan).and_then(leaves::flatten).map_err(|error| suggest::explain(context, tables, error))
}

/// Results of `->` can hold any type of JSON value; at the end of a query they become JSON text, which every output can show.
fn json_as_text(plan: LogicalPlan) -> datafusion::error::Result<LogicalPlan> {
    let is_json = |field: &Field| matches!(field.data_type(), DataType::Union(..));
    if !plan.schema().fields().iter().any(|field| is_json(field)) {
        return Ok(plan);
    }
    let columns: Vec<Expr> = plan
        .schema()
        .iter()
        .map(|(table, field)| {
            let column = Expr::Column(Column::new(table.cloned(), field.name()));
            match is_json(field) {
                true => datafusion_functions_json::functions::json_union_to_text(column).alias(field.name()),
                false => column,
            }
        })
        .collect();
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

/// The one statement of the text; comments and a closing semicolon are fine.
fn parse(sql: &str, values: &Values) -> Result<Statement> {
    let unreadable = |error: String| Error::Sql(format!("the SQL cannot be read: {error}"));
    let tokens = tokens::of(sql, values).map_err(unreadable)?;
    let mut statements = DFParserBuilder::new(tokens)
        .with_dialect(&GenericDialect)
        .build()
        .and_then(|mut parser| parser.parse_statements())
        .map_err(|error| unreadable(suggest::message(&error)))?;
    match (statements.pop_front(), statements.is_empty()) {
        (Some(statement), true) => Ok(statement),
        (Some(_), false) => {
            Err(Error::Sql("one statement at a time, please: there is more after the first `;`".into()))
        }
        (None, _) => Err(Error::Sql("there is no statement to run".into())),
    }
}

/// Expressions may stand in each other so deep: planning takes a piece of the stack for each level.
const DEEPEST: usize = 500;

fn refuse_writes(statement: &Statement) -> Result<()> {
    let refused = match statement {
        Statement::Statement(sql) => match sql.as_ref() {
            SqlStatement::Query(_)
            | SqlStatement::ShowTables { .. }
            | SqlStatement::ShowColumns { .. }
            | SqlStatement::ShowFunctions { .. }
            | SqlStatement::ShowVariable { .. }
            | SqlStatement::ExplainTable { .. } => Visit::visit(sql.as_ref(), &mut Gate::default()).break_value(),
            SqlStatement::Explain { statement, .. } => {
                return refuse_writes(&Statement::Statement(statement.clone()));
            }
            other => Some(only_reading(&first_word(&other.to_string()))),
        },
        Statement::Explain(explain) => return refuse_writes(&explain.statement),
        other => Some(only_reading(&first_word(&other.to_string()))),
    };
    refused.map_or(Ok(()), |text| Err(Error::Sql(text)))
}

fn only_reading(refused: &str) -> String {
    format!(
        "queries only read: {refused} is refused; SELECT, WITH, VALUES, EXPLAIN, SHOW and DESCRIBE are possible, \
         and -o FILE writes a result"
    )
}

fn first_word(statement: &str) -> String {
    statement.split_whitespace().next().unwrap_or_default().to_ascii_uppercase()
}

/// Finds what writes inside a query (a common table expression can hold an INSERT, a SELECT can go INTO a table), and
/// what is nested too deep. Breaks with the reason.
#[derive(Default)]
struct Gate {
    depth: usize,
}

impl Visitor for Gate {
    type Break = String;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        writes(&query.body).map_or(ControlFlow::Continue(()), |word| ControlFlow::Break(only_reading(word)))
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<String> {
        match select.into {
            Some(_) => ControlFlow::Break(only_reading("SELECT INTO")),
            None => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_expr(&mut self, _: &SqlExpr) -> ControlFlow<String> {
        self.depth += 1;
        match self.depth > DEEPEST {
            true => ControlFlow::Break(format!(
                "conditions are nested more than {DEEPEST} deep; write long chains of OR as column IN (...)"
            )),
            false => ControlFlow::Continue(()),
        }
    }

    fn post_visit_expr(&mut self, _: &SqlExpr) -> ControlFlow<String> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}

fn writes(body: &SetExpr) -> Option<&'static str> {
    match body {
        SetExpr::Insert(_) => Some("INSERT"),
        SetExpr::Update(_) => Some("UPDATE"),
        SetExpr::Delete(_) => Some("DELETE"),
        SetExpr::Merge(_) => Some("MERGE"),
        SetExpr::SetOperation { left, right, .. } => writes(left).or_else(|| writes(right)),
        SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) | SetExpr::Table(_) => None,
    }
}

fn respell(statement: &mut Statement, names: &Names) {
    match statement {
        Statement::Statement(sql) => {
            let mut aliases = AliasFinder::default();
            let _ = Visit::visit(sql.as_ref(), &mut aliases);
            let _ = VisitMut::visit(sql, &mut Spelling { names, aliases: aliases.found });
        }
        Statement::Explain(explain) => respell(&mut explain.statement, names),
        _ => {}
    }
}

/// Names that the statement gives itself: they mean what they say, whatever the tables call their columns.
#[derive(Default)]
struct AliasFinder {
    found: HashSet<String>,
}

impl Visitor for AliasFinder {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let tables = query.with.iter().flat_map(|with| &with.cte_tables);
        self.found.extend(tables.map(|table| table.alias.name.value.clone()));
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        for item in &select.projection {
            if let SelectItem::ExprWithAlias { alias, .. } = item {
                self.found.insert(alias.value.clone());
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        let alias = match factor {
            TableFactor::Table { alias, .. }
            | TableFactor::Derived { alias, .. }
            | TableFactor::TableFunction { alias, .. }
            | TableFactor::UNNEST { alias, .. }
            | TableFactor::NestedJoin { alias, .. } => alias,
            _ => return ControlFlow::Continue(()),
        };
        self.found.extend(alias.iter().map(|alias| alias.name.value.clone()));
        ControlFlow::Continue(())
    }
}
