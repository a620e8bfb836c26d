//! Where a query reads tables, and what rows must meet there to matter at all.

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, TableReference};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan, TableScan};

use super::origin::origins;

/// A place where a query reads a table.
#[derive(Debug)]
pub struct Read {
    /// The table.
    pub table: TableReference,
    /// Conditions on its columns. A row that does not meet all of them might as well not be there.
    pub conditions: Vec<Expr>,
}

/// Every place where `plan`, as SQL was understood, reads a table, below subqueries too; none when it also has rows that no
/// table has.
pub fn reads(plan: &LogicalPlan) -> Result<Option<Vec<Read>>> {
    let mut found = Some(Vec::new());
    below(plan, Vec::new(), &mut found)?;
    Ok(found)
}

fn below(plan: &LogicalPlan, mut conditions: Vec<Expr>, found: &mut Option<Vec<Read>>) -> Result<()> {
    plan.apply_subqueries(|subquery| {
        below(subquery, Vec::new(), found)?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    match plan {
        LogicalPlan::TableScan(TableScan { table_name, filters, .. }) => {
            conditions.extend(filters.iter().cloned());
            if let Some(found) = found {
                found.push(Read { table: table_name.clone(), conditions });
            }
            return Ok(());
        }
        LogicalPlan::Filter(filter) => conditions.extend(split_conjunction(&filter.predicate).into_iter().cloned()),
        LogicalPlan::Projection(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Distinct(Distinct::All(_))
        | LogicalPlan::Join(_) => {}
        // What one row meets says nothing of others of its group, or before and after it.
        _ => conditions.clear(),
    }
    let inputs = plan.inputs();
    if inputs.is_empty() || has_row_of_none(plan) {
        *found = None;
    }
    let origins = origins(plan);
    for input in inputs {
        let passed = origins.iter().find(|(_, own)| std::ptr::eq(own.as_ref(), input));
        let passed =
            passed.map(|(origin, _)| conditions.iter().filter_map(|condition| origin.exact(condition)).collect());
        below(input, passed.unwrap_or_default(), found)?;
    }
    Ok(())
}

/// True for an aggregate that has a row also where there are none to aggregate: `count(*)` of nothing is 0.
fn has_row_of_none(plan: &LogicalPlan) -> bool {
    let LogicalPlan::Aggregate(aggregate) = plan else { return false };
    aggregate.group_expr.iter().all(|key| matches!(key, Expr::GroupingSet(_)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use datafusion::datasource::empty::EmptyTable;
    use datafusion::logical_expr::Expr;

    use super::reads;
    use crate::engine::{Engine, Settings};

    /// Each place with its conditions, in the order of the query's plan; none when it reads more than tables.
    fn told(sql: &str) -> Option<Vec<String>> {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let plan = runtime.block_on(async {
            let engine = Engine::in_memory(Settings::default(), Vec::new()).await.expect("an engine");
            let columns = ["k", "l", "v"].map(|name| Field::new(name, DataType::Int64, true));
            let table = Arc::new(EmptyTable::new(Arc::new(Schema::new(columns.to_vec()))));
            for name in ["r", "s"] {
                engine.context().register_table(name, table.clone()).expect("a table");
            }
            engine.sql(sql).await.expect(sql).into_unoptimized_plan()
        });
        let mut told = Vec::new();
        for read in reads(&plan).expect("places")? {
            let conditions: Vec<String> = read.conditions.iter().map(Expr::to_string).collect();
            told.push(format!("{}: {}", read.table, conditions.join(", ")));
        }
        Some(told)
    }

    #[test]
    fn conditions_reach_the_table_as_far_as_they_speak_of_its_rows() {
        let cases: [(&str, &[&str]); 8] = [
            (
                "SELECT k FROM (SELECT k, l + 1 AS m FROM r WHERE v = 1) AS t WHERE m > 2",
                &["r: r.l + Int64(1) > Int64(2), r.v = Int64(1)"],
            ),
            // Another row of the partition, or of the group, decides what is first, and how many there are.
            (
                "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY l) AS place FROM r WHERE v = 1) AS t WHERE l > 2",
                &["r: r.v = Int64(1)"],
            ),
            ("SELECT k, count(*) FROM r WHERE v = 1 GROUP BY k HAVING k > 2", &["r: r.v = Int64(1)"]),
            // What is asked of one side of a join says nothing of the other, and nothing of rows that a join only adds.
            (
                "SELECT r.k FROM r JOIN s ON r.k = s.k WHERE r.v = 1 AND s.l = 2 AND r.l = s.v",
                &["r: r.v = Int64(1)", "s: s.l = Int64(2)"],
            ),
            ("SELECT r.k FROM r LEFT JOIN s ON r.k = s.k WHERE r.v = 1 AND s.l IS NULL", &["r: r.v = Int64(1)", "s: "]),
            (
                "SELECT k FROM r WHERE v = 1 AND NOT EXISTS (SELECT 1 FROM s WHERE s.k = r.k AND s.v = 3)",
                &["s: s.v = Int64(3)", "r: r.v = Int64(1)"],
            ),
            (
                "SELECT k FROM (SELECT k FROM r WHERE v = 1 UNION ALL SELECT k FROM s) AS t WHERE k = 4",
                &["r: r.v = Int64(1)", "s: "],
            ),
            ("SELECT k FROM r WHERE v = 1 LIMIT 3", &["r: r.v = Int64(1)"]),
        ];
        for (sql, expected) in cases {
            assert_eq!(
                told(sql).as_deref(),
                Some(expected.iter().map(|read| (*read).to_owned()).collect::<Vec<_>>().as_slice()),
                "{sql}"
            );
        }
    }

    #[test]
    fn rows_that_no_table_has_are_told() {
        assert_eq!(told("SELECT k FROM r UNION ALL SELECT column1 FROM (VALUES (1)) AS v"), None);
        assert_eq!(told("SELECT 1 AS k"), None);
        assert_eq!(told("SELECT count(*) AS n FROM r WHERE v = 1"), None);
        assert_eq!(told("SELECT k, count(*) AS n FROM r GROUP BY ROLLUP(k)"), None);
    }
}
