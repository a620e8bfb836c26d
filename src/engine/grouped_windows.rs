//! Windows without an order: one value for each group, joined to its rows, where a window would sort and hold them all.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::utils::take_function_args;
use datafusion::common::{Column, FunctionalDependencies, JoinType, NullEquality, Result};
use datafusion::logical_expr::expr::{AggregateFunction, WindowFunction, WindowFunctionParams};
use datafusion::logical_expr::{
    Aggregate, ColumnarValue, Expr, Join, JoinConstraint, LogicalPlan, Projection, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, SubqueryAlias, Volatility, Window, WindowFunctionDefinition,
};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// Makes a join with the aggregated groups of what can be had that way: `min(time) OVER (PARTITION BY principal)`, when
/// somebody was first seen.
///
/// The input is read twice, but groups are few and the rows of its other side stream past them: conditions on them, above
/// all that they are fresh, are met before the join, so that of a history only what groups need is read.
///
/// Each row has its group, so an outer join finds what an inner one would. DataFusion puts inner joins in an order of its
/// own, in which rows may be held and groups stream, and takes one join's word for what nulls equal in all of them.
#[derive(Debug)]
pub struct GroupedWindows;

/// The value itself. What is compared with it seems to be possible without a group, so that the join stays an outer one.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OfGroup(Signature);

/// Windows over the same rows: by what they are partitioned, and what is asked of each partition.
struct Groups {
    keys: Vec<Expr>,
    /// Column of the window, and what it holds.
    values: Vec<(Column, Expr)>,
}

impl OptimizerRule for GroupedWindows {
    fn name(&self) -> &str {
        "GroupedWindows"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let mut groups: Vec<Groups> = Vec::new();
        let mut others = Vec::new();
        let mut input = &plan;
        // Windows of one SELECT stand on each other, and see only what is below them all.
        while let LogicalPlan::Window(window) = input {
            let rest = take_groups(window, &mut groups);
            if !rest.is_empty() {
                others.push(rest);
            }
            input = &window.input;
        }
        // What is known of the keys of groups below went into the plan above, and a join tells less of them.
        let keyed = *input.schema().functional_dependencies() != FunctionalDependencies::empty();
        if groups.is_empty() || keyed {
            return Ok(Transformed::no(plan));
        }
        let base = Arc::new(input.clone());
        let mut joined = base.clone();
        for functions in others.into_iter().rev() {
            joined = Arc::new(LogicalPlan::Window(Window::try_new(functions, joined)?));
        }
        let mut places = Vec::new();
        for group in groups {
            let alias = config.alias_generator().next("__groups");
            let side = SubqueryAlias::try_new(Arc::new(group.aggregate(&base)?), alias.as_str())?;
            let names = side.schema.columns();
            let on = names.iter().cloned().map(Expr::Column).zip(group.keys.iter().cloned()).collect();
            places.extend(
                group.values.into_iter().map(|(column, _)| column).zip(names.into_iter().skip(group.keys.len())),
            );
            let (side, nulls) = (Arc::new(LogicalPlan::SubqueryAlias(side)), NullEquality::NullEqualsNull);
            let join = Join::try_new(side, joined, on, None, JoinType::Right, JoinConstraint::On, nulls, false)?;
            joined = Arc::new(LogicalPlan::Join(join));
        }
        let of_group = ScalarUDF::new_from_impl(OfGroup(Signature::any(1, Volatility::Immutable)));
        let columns = plan.schema().columns().into_iter().map(|column| {
            match places.iter().find(|(window, _)| *window == column) {
                Some((_, place)) => {
                    of_group.call(vec![Expr::Column(place.clone())]).alias_qualified(column.relation, column.name)
                }
                None => Expr::Column(column),
            }
        });
        Ok(Transformed::yes(LogicalPlan::Projection(Projection::try_new(columns.collect(), joined)?)))
    }
}

impl ScalarUDFImpl for OfGroup {
    fn name(&self) -> &str {
        "of_group"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [value] = take_function_args(self.name(), types)?;
        Ok(value.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = take_function_args(self.name(), args.args)?;
        Ok(value)
    }
}

/// Moves the functions of `window` that need no order to `groups`; returns the others.
fn take_groups(window: &Window, groups: &mut Vec<Groups>) -> Vec<Expr> {
    let mut others = Vec::new();
    let columns = window.schema.columns().into_iter().skip(window.input.schema().fields().len());
    for (function, column) in window.window_expr.iter().zip(columns) {
        let Some((keys, value)) = grouped(function) else {
            others.push(function.clone());
            continue;
        };
        match groups.iter_mut().find(|known| known.keys == keys) {
            Some(known) => known.values.push((column, value)),
            None => groups.push(Groups { keys, values: vec![(column, value)] }),
        }
    }
    others
}

/// Partition and aggregate of a window function that says the same of each row of a partition.
fn grouped(function: &Expr) -> Option<(Vec<Expr>, Expr)> {
    let function = match function {
        // Where an argument got another name, the window keeps its own.
        Expr::Alias(alias) => alias.expr.as_ref(),
        function => function,
    };
    let Expr::WindowFunction(function) = function else { return None };
    let WindowFunction { fun: WindowFunctionDefinition::AggregateUDF(aggregate), params } = function.as_ref() else {
        return None;
    };
    let WindowFunctionParams { args, partition_by, order_by, window_frame, filter, null_treatment, distinct } = params;
    let whole = window_frame.start_bound.is_unbounded() && window_frame.end_bound.is_unbounded();
    if partition_by.is_empty() || !order_by.is_empty() || !whole {
        return None;
    }
    let (args, filter) = (args.clone(), filter.clone());
    let value = AggregateFunction::new_udf(aggregate.clone(), args, *distinct, filter, Vec::new(), *null_treatment);
    Some((partition_by.clone(), Expr::AggregateFunction(value)))
}

impl Groups {
    /// Keys and values of each group of `base`, under names that stand for nothing else.
    fn aggregate(&self, base: &Arc<LogicalPlan>) -> Result<LogicalPlan> {
        let values = self.values.iter().map(|(_, value)| value.clone()).collect();
        let groups = LogicalPlan::Aggregate(Aggregate::try_new(base.clone(), self.keys.clone(), values)?);
        let columns = groups.schema().columns().into_iter().enumerate();
        let named = columns.map(|(position, column)| Expr::Column(column).alias(format!("column{position}"))).collect();
        Ok(LogicalPlan::Projection(Projection::try_new(named, Arc::new(groups))?))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::util::pretty::pretty_format_batches;
    use datafusion::physical_plan::displayable;
    use proptest::prelude::*;
    use proptest::sample::select;

    use crate::engine::{Engine, Settings};
    use crate::logs::cloudtrail;

    /// A frame that says the same, and needs an order: what the engine does not change.
    const WHOLE: &str = "ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING";

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Runtime::new().expect("a runtime").block_on(future)
    }

    async fn engine() -> Engine {
        Engine::in_memory(Settings::default(), Vec::new()).await.expect("an engine")
    }

    /// Lines of the answer, sorted.
    fn answer(sql: &str) -> Vec<String> {
        let batches = run(async { engine().await.sql(sql).await.expect(sql).collect().await.expect(sql) });
        let table = pretty_format_batches(&batches).expect("a table").to_string();
        let mut lines: Vec<String> = table.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    fn windows(rows: &str, frame: &str) -> String {
        format!(
            "WITH r AS (SELECT * FROM (VALUES {rows}) AS r(id, k, l, v)), seen AS (\
             SELECT *, min(v) OVER (PARTITION BY k {frame}) AS a, count(*) OVER (PARTITION BY k, l {frame}) AS b, \
             max(CASE WHEN v > 1 THEN v END) OVER (PARTITION BY coalesce(l, 7) {frame}) AS c, \
             count(v) FILTER (WHERE v > 2) OVER (PARTITION BY k {frame}) AS d, \
             row_number() OVER (PARTITION BY k ORDER BY id) AS place FROM r) \
             SELECT *, sum(a + b) OVER (PARTITION BY l {frame}) AS e FROM seen WHERE b < 9 OR place > 2"
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn rows_get_what_a_window_gives_them(
            rows in prop::collection::vec((select(&["NULL", "'x'", "'y'"]), select(&["NULL", "1", "2"]), select(&["NULL", "0", "3", "5"])), 1..12),
        ) {
            let rows: Vec<String> =
                rows.iter().enumerate().map(|(id, (k, l, v))| format!("({id}, {k}, {l}, {v})")).collect();
            // Columns of nulls alone have no type.
            let rows = format!("{}, (99, 'z', 3, 1)", rows.join(", "));
            prop_assert_eq!(answer(&windows(&rows, "")), answer(&windows(&rows, WHOLE)));
        }
    }

    #[test]
    fn nothing_is_sorted() {
        let plan = |frame: &str| {
            let sql = format!(
                "SELECT *, min(v) OVER (PARTITION BY k {frame}) AS first FROM (VALUES (1, 'x', 3), (2, 'x', 4)) AS r(id, k, v)"
            );
            run(async move {
                let plan = engine().await.sql(&sql).await.expect("a query").create_physical_plan().await;
                displayable(plan.expect("a plan").as_ref()).indent(false).to_string()
            })
        };
        assert!(plan(WHOLE).contains("SortExec"), "{}", plan(WHOLE));
        assert!(plan("").contains("HashJoinExec") && !plan("").contains("SortExec"), "{}", plan(""));
    }

    #[test]
    fn a_field_of_a_column_is_a_key_like_any_other() {
        let sql = "SELECT eventName, min(time) OVER (PARTITION BY userIdentity.arn) AS first FROM cloudtrail";
        let plan = run(async {
            let tables = vec![(cloudtrail::CLOUDTRAIL.table, Vec::new())];
            let engine = Engine::in_memory(Settings::default(), tables).await.expect("an engine");
            engine.sql(sql).await.expect("a query").into_optimized_plan().expect("a plan").to_string()
        });
        assert!(plan.contains("Join") && !plan.contains("WindowAggr"), "{plan}");
    }

    #[test]
    fn groups_of_groups_stay_together() {
        let sql = |frame: &str| {
            format!(
                "WITH asked AS (SELECT * FROM (VALUES ('a', 'x', 1), ('a', 'x', 2), ('a', 'y', 1), ('b', 'x', 5)) AS r(k, tool, slot)), \
                 slots AS (SELECT k, slot, count(*) AS calls FROM asked GROUP BY k, slot), \
                 counts AS (SELECT k AS ck, slot AS cs, tool, count(*) AS times FROM asked GROUP BY k, slot, tool), \
                 mixes AS (SELECT k, slot, tool AS id, sum(times) AS now FROM slots JOIN counts ON ck = k AND cs <= slot GROUP BY k, slot, tool), \
                 shares AS (SELECT *, now * 1.0 / sum(now) OVER (PARTITION BY k, slot {frame}) AS p FROM mixes) \
                 SELECT k, slot, sum(p) AS whole, count(*) AS tools FROM shares GROUP BY k, slot"
            )
        };
        assert_eq!(answer(&sql("")), answer(&sql(WHOLE)));
    }
}
