//! Of a history, only groups that have a fresh row: a query for fresh rows reads no others.
//!
//! A rule that looks back asks for groups (by principal, by hour) and keeps those with a fresh row. Here the keys of fresh rows
//! become queries of their own, which read fresh rows alone, and conditions on what is grouped. Databases know this as
//! semi-join reduction (Bernstein and Chiu 1981) and magic sets (Beeri and Ramakrishnan 1987). Of those keys, some are left out
//! by what is near: groups that were there or as busy the day before are not new, and what a slot of five minutes has to count is
//! known from its own rows. It changes no answer: what is left out belongs to groups that the query itself removes in the end.

mod begin;
mod novelty;
mod origin;
mod pace;
mod pairs;
mod reads;
mod screen;
mod sieve;
mod slot;
mod source;

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{Aggregate, Distinct, Expr, Filter, Join, LogicalPlan, Projection, Union, lit};

use super::among::Known;
use begin::begin;
use origin::{Origin, asks_for_fresh, kept_sides, origins, plain};
use pairs::pairs;
pub use reads::{Read, reads};
use slot::binned;
use source::Source;

/// A query that reads less, and what has to be found before it is asked.
#[derive(Debug)]
pub struct Reduced {
    /// The query.
    pub plan: LogicalPlan,
    /// Keys that it asks for.
    pub searches: Vec<Search>,
}

/// A query for keys.
#[derive(Debug)]
pub struct Search {
    /// Its rows: a column for each key.
    pub plan: LogicalPlan,
    /// Where they have to be put: the columns of each.
    pub known: Vec<(Arc<Known>, Vec<usize>)>,
    /// True when the query has no rows where there are no keys.
    pub decides: bool,
}

/// A search as it comes together: its source of rows, and the rest of it.
#[derive(Debug)]
struct Sought {
    source: Source,
    known: Vec<(Arc<Known>, Vec<usize>)>,
    decides: bool,
}

/// One search for each source of rows.
type Searches = Vec<Sought>;

/// What is asked of the rows of a node.
#[derive(Debug, Default)]
struct Wanted {
    /// What rows meet that matter.
    rows: Vec<Expr>,
    /// Keys, one of which rows have that matter.
    keys: Option<Keys>,
    /// True when the query has no rows where the node has none that matter.
    needed: bool,
}

/// Expressions over the rows of a node, and where their values come from.
#[derive(Debug, Clone)]
struct Keys {
    here: Vec<Expr>,
    source: Source,
    /// True when a condition above asks for them, which the optimizer can bring down to here.
    asked: bool,
    /// True when the query has no rows where there are none of them.
    decide: bool,
}

/// The same query on less, when it asks for fresh rows of groups; without searches when there is nothing to leave out.
pub fn reduce(plan: &LogicalPlan) -> Result<Reduced> {
    let mut found = Searches::new();
    let plan = node(plan, Wanted { needed: true, ..Wanted::default() }, &mut found)?;
    let mut searches = Vec::with_capacity(found.len());
    for Sought { source, known, decides } in found {
        searches.push(Search { plan: source.query()?, known, decides });
    }
    Ok(Reduced { plan, searches })
}

fn node(plan: &LogicalPlan, mut wanted: Wanted, searches: &mut Searches) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Filter(filter) => {
            wanted.rows.extend(split_conjunction(&filter.predicate).into_iter().cloned());
            passed_on(plan, wanted, searches)
        }
        LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) | LogicalPlan::Distinct(Distinct::All(_)) => {
            passed_on(plan, wanted, searches)
        }
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => passed_on(plan, wanted, searches),
        LogicalPlan::Window(_) => windows(plan, wanted, searches),
        LogicalPlan::Aggregate(aggregate) => {
            let count = aggregate.group_expr.len();
            let groups: Vec<Expr> = aggregate.schema.columns().into_iter().take(count).map(Expr::Column).collect();
            let origins = origins(plan);
            let Some((origin, input)) = origins.first() else { return Ok(plan.clone()) };
            // Without keys to group by, there is a row also where there is none below.
            wanted.needed &= aggregate.group_expr.iter().any(|key| !matches!(key, Expr::GroupingSet(_)));
            let keys = wanted.groups(plan, &groups)?.and_then(|keys| keys.only(|key| origin.exact(key)));
            let wanted = wanted.below(origin, input);
            let slot = wanted.first_slot(aggregate);
            let input = limited(input, Wanted { rows: Vec::new(), ..wanted }, keys, searches)?;
            let input = match slot {
                Some(near) => LogicalPlan::Filter(Filter::try_new(near, input.into())?),
                None => input,
            };
            plan.with_new_exprs(plan.expressions(), vec![input])
        }
        LogicalPlan::Join(join) if !join.null_aware => joined(join, wanted, searches),
        _ => Ok(plan.clone()),
    }
}

/// A node whose rows are rows of its input.
fn passed_on(plan: &LogicalPlan, wanted: Wanted, searches: &mut Searches) -> Result<LogicalPlan> {
    let origins = origins(plan);
    let Some((origin, input)) = origins.first() else { return Ok(plan.clone()) };
    let input = node(input, wanted.below(origin, input), searches)?;
    plan.with_new_exprs(plan.expressions(), vec![input])
}

/// Windows that stand on each other: they stay together, since they see the same rows.
fn windows(plan: &LogicalPlan, wanted: Wanted, searches: &mut Searches) -> Result<LogicalPlan> {
    let mut stack = Vec::new();
    let mut input = plan;
    let mut groups: Option<Vec<Expr>> = None;
    let mut is_ordered = false;
    let mut read: Vec<&Column> = Vec::new();
    while let LogicalPlan::Window(window) = input {
        for function in &window.window_expr {
            read.extend(function.column_refs());
            let Expr::WindowFunction(function) = plain(function) else { return Ok(plan.clone()) };
            is_ordered |= !function.params.order_by.is_empty();
            let keys = &function.params.partition_by;
            groups = Some(match groups {
                None => keys.clone(),
                Some(groups) => groups.into_iter().filter(|key| keys.contains(key)).collect(),
            });
        }
        stack.push(input);
        input = &window.input;
    }
    let groups = groups.unwrap_or_default();
    // The optimizer brings conditions below windows only when they are on plain columns.
    let keys = wanted.groups(plan, &groups)?.map(|keys| Keys { asked: false, ..keys });
    let wanted = wanted.below(&Origin::same(input.schema()), input);
    let fresh = conjunction(wanted.rows.iter().filter(|condition| asks_for_fresh(input, condition)).cloned());
    let below = keys.clone().map(|keys| Keys { asked: true, ..keys });
    let mut plan = node(input, Wanted { rows: Vec::new(), keys: below, needed: wanted.needed }, searches)?;
    let read: Option<HashSet<usize>> =
        read.into_iter().map(|column| input.schema().maybe_index_of_column(column)).collect();
    // Without an order, rows stream past their groups.
    if let (Some(fresh), Some(read), true) = (fresh, read, is_ordered && !groups.is_empty()) {
        let rows = LogicalPlan::Filter(Filter::try_new(fresh.clone(), Arc::new(input.clone()))?);
        plan = whole_when_fresh(plan, node(&rows, Wanted::default(), searches)?, fresh, &read)?;
    }
    plan = with(plan, keys, searches)?;
    for window in stack.into_iter().rev() {
        plan = window.with_new_exprs(window.expressions(), vec![plan])?;
    }
    Ok(plan)
}

/// Those of `all` rows that are not fresh with the columns at `read` alone, the others null, and the `fresh` rows: when only
/// fresh rows are shown, nothing else of a history is looked at.
fn whole_when_fresh(
    all: LogicalPlan,
    fresh: LogicalPlan,
    is_fresh: Expr,
    read: &HashSet<usize>,
) -> Result<LogicalPlan> {
    let history = LogicalPlan::Filter(Filter::try_new(is_fresh.is_not_true(), Arc::new(all))?);
    let schema = fresh.schema().clone();
    let (mut of_history, mut of_fresh, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for (place, (table, field)) in schema.iter().enumerate() {
        let column = Expr::Column(Column::new(table.cloned(), field.name()));
        let name = format!("column{place}");
        let past = match read.contains(&place) {
            true => column.clone(),
            false => lit(ScalarValue::try_from(field.data_type())?),
        };
        of_history.push(past.alias(&name));
        of_fresh.push(column.alias(&name));
        names.push(Expr::Column(Column::from_name(name)).alias_qualified(table.cloned(), field.name()));
    }
    let of_history = LogicalPlan::Projection(Projection::try_new(of_history, Arc::new(history))?);
    let of_fresh = LogicalPlan::Projection(Projection::try_new(of_fresh, Arc::new(fresh))?);
    let both = LogicalPlan::Union(Union::try_new(vec![Arc::new(of_history), Arc::new(of_fresh)])?);
    Ok(LogicalPlan::Projection(Projection::try_new(names, Arc::new(both))?))
}

/// Sides of a join: fresh rows of one tell which rows of the other may have a match that matters.
fn joined(join: &Join, wanted: Wanted, searches: &mut Searches) -> Result<LogicalPlan> {
    let (left_kept, right_kept) = kept_sides(join.join_type);
    let pairs = pairs(join, &wanted.rows);
    let swapped: Vec<(Expr, Expr)> = pairs.iter().cloned().map(|(left, right)| (right, left)).collect();
    let side = |side: &LogicalPlan, kept: bool| match kept {
        true => wanted.below(&Origin::same(side.schema()), side),
        false => Wanted::default(),
    };
    let (mut left, mut right) = (side(&join.left, left_kept), side(&join.right, right_kept));
    if left.asks_for_fresh(&join.left) {
        right.keys = left.partners(&join.left, &pairs)?.or(right.keys);
    } else if right.asks_for_fresh(&join.right) {
        left.keys = right.partners(&join.right, &swapped)?.or(left.keys);
    } else if left_kept {
        right.keys = left.keys.as_ref().and_then(|keys| keys.across(&pairs)).or(right.keys);
    } else if right_kept {
        left.keys = right.keys.as_ref().and_then(|keys| keys.across(&swapped)).or(left.keys);
    }
    let keys = (left.keys.take(), right.keys.take());
    let left = limited(&join.left, left, keys.0, searches)?;
    let right = limited(&join.right, right, keys.1, searches)?;
    let plan = LogicalPlan::Join(join.clone());
    plan.with_new_exprs(plan.expressions(), vec![left, right])
}

/// Rows of `input` that have one of `keys`, where no others are `wanted`.
fn limited(input: &LogicalPlan, wanted: Wanted, keys: Option<Keys>, searches: &mut Searches) -> Result<LogicalPlan> {
    let below = keys.clone().map(|keys| Keys { asked: true, ..keys });
    let plan = node(input, Wanted { keys: below, ..wanted }, searches)?;
    with(plan, keys, searches)
}

/// Those rows of `plan` that have one of `keys`.
fn with(plan: LogicalPlan, keys: Option<Keys>, searches: &mut Searches) -> Result<LogicalPlan> {
    let Some(keys) = keys.filter(|keys| !keys.asked) else { return Ok(plan) };
    let known = Arc::new(Known::default());
    let same = searches.iter_mut().find_map(|sought| Some((sought.source.add(&keys.source)?, sought)));
    match same {
        Some((places, sought)) => {
            sought.known.push((known.clone(), places));
            sought.decides |= keys.decide;
        }
        None => {
            let places = (0..keys.source.keys.len()).collect();
            searches.push(Sought { source: keys.source, known: vec![(known.clone(), places)], decides: keys.decide });
        }
    }
    Ok(LogicalPlan::Filter(Filter::try_new(known.condition(keys.here), Arc::new(plan))?))
}

impl Wanted {
    /// The same of the rows of an input.
    fn below(&self, origin: &Origin, input: &LogicalPlan) -> Wanted {
        let keys = self.keys.as_ref().and_then(|keys| keys.only(|key| origin.exact(key)));
        Wanted { rows: origin.implied(&self.rows, input), keys, needed: self.needed }
    }

    fn asks_for_fresh(&self, node: &LogicalPlan) -> bool {
        self.rows.iter().any(|condition| asks_for_fresh(node, condition))
    }

    /// What rows meet that are of groups with a fresh row, where groups are of slots of time. `self` is what is asked of the rows
    /// that are grouped.
    fn first_slot(&self, aggregate: &Aggregate) -> Option<Expr> {
        if !self.asks_for_fresh(&aggregate.input) {
            return None;
        }
        let slot = aggregate.group_expr.iter().find_map(|key| binned(plain(key)))?;
        Some(slot.reached_from(begin(&aggregate.input, slot.time, &self.rows)?))
    }

    /// Keys of the groups of `node` that matter; none when that may be any of them.
    fn groups(&self, node: &LogicalPlan, groups: &[Expr]) -> Result<Option<Keys>> {
        if groups.is_empty() {
            return Ok(None);
        }
        if self.asks_for_fresh(node) {
            let found = Source::below(node, self.rows.clone(), groups.to_vec())?;
            return Ok(found.map(|(source, places)| Keys::told(source, &places, groups, self.needed)));
        }
        let same = |keys: &Keys| keys.only(|key| is_made_of(key, groups).then(|| key.clone()));
        Ok(self.keys.as_ref().and_then(same))
    }

    /// Keys of the other side of a join, as the rows of this side, `node`, have them.
    fn partners(&self, node: &LogicalPlan, pairs: &[(Expr, Expr)]) -> Result<Option<Keys>> {
        let (own, others): (Vec<Expr>, Vec<Expr>) = pairs.iter().cloned().unzip();
        if others.is_empty() {
            return Ok(None);
        }
        let found = Source::below(node, self.rows.clone(), own)?;
        Ok(found.map(|(source, places)| Keys::told(source, &places, &others, self.needed)))
    }
}

impl Keys {
    /// Those at `places` of `all`, which `source` tells.
    fn told(source: Source, places: &[usize], all: &[Expr], decide: bool) -> Keys {
        let here = places.iter().filter_map(|place| all.get(*place).cloned()).collect();
        Keys { here, source, asked: false, decide }
    }

    /// Those for which `place` says what they are, there.
    fn only(&self, place: impl Fn(&Expr) -> Option<Expr>) -> Option<Keys> {
        let found =
            self.here.iter().zip(&self.source.keys).filter_map(|(key, origin)| Some((place(key)?, origin.clone())));
        let (here, origins): (Vec<Expr>, Vec<Expr>) = found.unzip();
        let asked = self.asked && here.len() == self.here.len();
        (!here.is_empty()).then(|| Keys { here, source: self.source.with(origins), asked, decide: self.decide })
    }

    /// Those that the other side of a join has too.
    fn across(&self, pairs: &[(Expr, Expr)]) -> Option<Keys> {
        let partner = |key: &Expr| pairs.iter().find(|(own, _)| own == key).map(|(_, other)| other.clone());
        self.only(partner).map(|keys| Keys { asked: false, ..keys })
    }
}

/// True when all rows of a group have the same value of `expression`.
fn is_made_of(expression: &Expr, groups: &[Expr]) -> bool {
    let mut known = true;
    // Nothing in it fails.
    let _ = expression.apply(|inner| {
        if groups.contains(inner) {
            return Ok(TreeNodeRecursion::Jump);
        }
        known &= !matches!(inner, Expr::Column(_));
        Ok(TreeNodeRecursion::Continue)
    });
    known
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::RecordBatch;
    use datafusion::arrow::util::pretty::pretty_format_batches;
    use datafusion::datasource::MemTable;
    use datafusion::execution::memory_pool::MemoryConsumer;
    use datafusion::prelude::{DataFrame, col};
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::{Reduced, reduce};
    use crate::engine::{Engine, Settings};

    /// Questions over `r(id, k, l, v, time, fresh)`, each with the number of conditions on keys that it leads to.
    const QUESTIONS: [(&str, usize); 28] = [
        // Windows.
        (
            "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY id) AS place, min(v) OVER (PARTITION BY k, l) AS first FROM r) WHERE place = 1 OR (v > 1 AND first < 3)",
            1,
        ),
        (
            "SELECT * FROM (SELECT *, count(*) OVER (PARTITION BY k) AS a, count(*) OVER (PARTITION BY l) AS b FROM r)",
            0,
        ),
        (
            "SELECT * FROM (SELECT *, max(id) OVER (PARTITION BY coalesce(l, 7), k) AS last FROM r WHERE v IS NOT NULL) AS seen WHERE last > 2",
            1,
        ),
        // First rows of groups, and rows soon after them.
        (
            "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY k, l ORDER BY time, id) AS place, min(time) OVER (PARTITION BY k) AS began FROM r) WHERE place = 1 AND time >= began + INTERVAL '2 hours'",
            1,
        ),
        (
            "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY k, l ORDER BY time, id) AS place, row_number() OVER (PARTITION BY l ORDER BY time, id) AS other FROM r) WHERE place = 1 AND other = 1",
            1,
        ),
        (
            "SELECT l, bool_or(fresh) AS fresh, count(*) AS n, min(v) AS v FROM (SELECT *, min(time) OVER (PARTITION BY k, l) AS began FROM r) WHERE time < began + INTERVAL '5 hours' GROUP BY l",
            2,
        ),
        (
            "SELECT h.*, r.v AS other FROM (SELECT *, min(time) OVER (PARTITION BY k) AS began FROM r WHERE v IS NOT NULL) AS h LEFT JOIN r ON r.l = h.l WHERE h.time < h.began + INTERVAL '1 hour'",
            2,
        ),
        (
            "WITH slots AS (SELECT k, l, date_bin(INTERVAL '4 hours', time) AS slot, bool_or(fresh) AS fresh, count(*) AS n FROM r GROUP BY k, l, date_bin(INTERVAL '4 hours', time)) \
          SELECT * FROM (SELECT *, min(slot) OVER (PARTITION BY k, l) AS first, count(*) OVER (PARTITION BY k) AS ns FROM slots) WHERE slot < first + INTERVAL '3 hours' AND ns > 1",
            1,
        ),
        // Groups.
        (
            "SELECT k, l, bool_or(fresh) AS fresh, count(*) AS n, sum(v) AS v FROM r GROUP BY k, l HAVING count(*) > 1",
            1,
        ),
        ("SELECT k, bool_or(fresh) AS fresh, bool_or(v > 2) AS high FROM r GROUP BY k HAVING bool_or(v > 2)", 1),
        (
            "SELECT k, bool_and(fresh) AS fresh, min(id) AS id FROM r GROUP BY k HAVING bool_or(v > 2 AND l = 1) OR k = 'x'",
            1,
        ),
        ("SELECT bool_or(fresh) AS fresh, count(*) AS n FROM r", 0),
        // Groups of rows with windows.
        (
            "WITH seen AS (SELECT *, min(id) OVER (PARTITION BY k, l) AS first FROM r) SELECT k, v, bool_or(fresh) AS fresh, min(first) AS first, count(*) AS n FROM seen GROUP BY k, v",
            2,
        ),
        // Groups by slots of time that have to be large enough.
        (
            "SELECT k, bool_or(fresh) AS fresh, count(*) AS n FROM r GROUP BY k, date_bin(INTERVAL '7 hours', time) HAVING count(*) > 1",
            1,
        ),
        (
            "WITH slots AS (SELECT k, l, date_bin(INTERVAL '4 hours', time) AS slot, bool_or(fresh) AS fresh, count(DISTINCT v) AS n, max(v) AS v FROM r WHERE id <> 3 GROUP BY k, l, date_bin(INTERVAL '4 hours', time)), \
          paced AS (SELECT *, max(n) OVER (PARTITION BY k ORDER BY slot RANGE BETWEEN INTERVAL '7 days' PRECEDING AND INTERVAL '1 hour' PRECEDING) AS peak FROM slots) \
          SELECT * FROM paced WHERE n + coalesce(v, 0) >= 2 AND v IS NOT NULL AND n >= coalesce(peak, 0)",
            2,
        ),
        (
            "SELECT * FROM (SELECT *, max(v) OVER (PARTITION BY k ORDER BY time RANGE BETWEEN INTERVAL '20 hours' PRECEDING AND INTERVAL '2 hours' PRECEDING) AS peak, \
          count(*) OVER (PARTITION BY k, l) AS n FROM (SELECT k, l, time, fresh, max(v) AS v FROM r GROUP BY k, l, time, fresh)) WHERE v > 0.5 * peak AND n > 1",
            2,
        ),
        (
            "SELECT k, bool_or(fresh) AS fresh, count(DISTINCT l) AS n FROM (SELECT *, min(time) OVER (PARTITION BY k, l) AS began FROM r WHERE v IS NOT NULL) WHERE k <> 'y' \
          GROUP BY k, date_bin(INTERVAL '7 hours', time), l + 1 HAVING count(*) >= 2 AND bool_or(v > 0 AND time < began + INTERVAL '9 hours')",
            2,
        ),
        (
            "SELECT k, l, bool_or(fresh) AS fresh, count(*) AS n FROM (SELECT *, min(time) OVER (PARTITION BY k, l) AS began FROM r) WHERE time < began + INTERVAL '9 hours' AND v IS NOT NULL \
          GROUP BY k, l, date_bin(INTERVAL '7 hours', time) HAVING bool_or(v = 3) AND (count(*) > 1 OR bool_or(v = 5))",
            2,
        ),
        (
            "SELECT r.k, bool_or(fresh) AS fresh, sum(v) AS v, count(o) AS n FROM r LEFT JOIN (SELECT DISTINCT l AS o FROM r WHERE v = 3) AS h ON o = l \
          GROUP BY r.k, date_bin(INTERVAL '7 hours', time) HAVING count(*) > 1 OR count(o) > 0",
            1,
        ),
        (
            "SELECT k, bool_or(fresh) AS fresh, count(*) AS n FROM (SELECT *, count(*) OVER (PARTITION BY k) AS of_k FROM r) WHERE of_k < 5 \
          GROUP BY k, date_bin(INTERVAL '7 hours', time) HAVING count(*) < 3",
            2,
        ),
        (
            "SELECT s.k, h.l, s.fresh, s.n FROM (SELECT k, bool_or(fresh) AS fresh, sum(v) AS n FROM (SELECT DISTINCT k, v, time, fresh FROM r) GROUP BY k, date_bin(INTERVAL '6 hours', time)) AS s JOIN r AS h ON h.k = s.k WHERE s.n > 3",
            2,
        ),
        // Windows over groups, joined with groups of the same.
        (
            "WITH hours AS (SELECT k, l, v AS hour, bool_or(fresh) AS fresh, count(*) AS n FROM r GROUP BY k, l, v), \
          near AS (SELECT k AS nk, hour + shift AS near_hour, min(l) AS first FROM hours CROSS JOIN (VALUES (-1), (0), (1)) AS s(shift) GROUP BY k, hour + shift), \
          ranked AS (SELECT *, dense_rank() OVER (PARTITION BY k ORDER BY hour) AS place FROM hours) \
          SELECT * FROM ranked JOIN near ON nk = k AND near_hour = hour WHERE place > 1",
            4,
        ),
        // Joins with a history.
        (
            "SELECT r.*, h.n FROM r JOIN (SELECT k, l, count(*) AS n FROM r WHERE NOT fresh GROUP BY k, l) AS h ON h.k = r.k AND h.l = r.l",
            1,
        ),
        (
            "SELECT r.*, h.n FROM r LEFT JOIN (SELECT k, count(*) AS n FROM r WHERE NOT fresh GROUP BY k) AS h ON h.k = r.k WHERE h.n IS NULL OR h.n > 1",
            1,
        ),
        (
            "SELECT r.id, h.* FROM r RIGHT JOIN (SELECT k, max(id) AS last, bool_or(fresh) AS fresh FROM r GROUP BY k) AS h ON h.k = r.k AND r.id < h.last",
            2,
        ),
        (
            "SELECT a.id, b.id AS other, a.fresh OR b.fresh AS fresh FROM r AS a JOIN r AS b ON a.k = b.k AND a.id < b.id",
            0,
        ),
        ("SELECT a.id, b.id AS other, a.fresh FROM r AS a FULL JOIN r AS b ON a.k = b.k AND a.id < b.id", 0),
        // What more than the rows of a group decides.
        (
            "SELECT * FROM (SELECT *, count(*) OVER (PARTITION BY k) AS n FROM (SELECT * FROM r ORDER BY id LIMIT 5)) WHERE n > 1 AND NOT EXISTS (SELECT 1 FROM r AS o WHERE o.v > n)",
            1,
        ),
    ];

    async fn lines(frame: DataFrame) -> Vec<String> {
        let batches = frame.collect().await.expect("rows");
        let table = pretty_format_batches(&batches).expect("a table").to_string();
        let mut lines: Vec<String> = table.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// An engine with the table `r` of these rows: `time` is in hours since fresh rows begin, which is in the middle of slots.
    async fn engine(rows: &str) -> Engine {
        let engine = Engine::in_memory(Settings::default(), Vec::new()).await.expect("an engine");
        let sql = format!(
            "SELECT id, k, l, v, arrow_cast((hours + 25) * 3600000000, 'Timestamp(Microsecond, Some(\"UTC\"))') AS time \
             FROM (VALUES {rows}) AS r(id, k, l, v, hours)"
        );
        let rows = engine.sql(&sql).await.expect("rows");
        let (schema, rows) = (rows.schema().as_arrow().clone(), rows.collect().await.expect("rows"));
        let table = MemTable::try_new(schema.into(), vec![rows]).expect("a table");
        engine.context().register_table("stored", Arc::new(table)).expect("a table");
        let sql = "SELECT *, time >= '1970-01-02T01:00:00Z' AS fresh FROM stored";
        let view = engine.sql(sql).await.expect("a view").into_view();
        engine.context().register_table("r", view).expect("a view");
        engine
    }

    /// Fresh rows of a question as it is, and reduced; the conditions on keys that this took, and the keys.
    async fn answers(engine: &Engine, question: &str) -> (Vec<String>, Vec<String>, usize, usize) {
        let frame = engine.sql(question).await.expect(question).filter(col("fresh")).expect(question);
        let Reduced { plan, searches } = reduce(frame.logical_plan()).expect(question);
        let count = searches.iter().map(|search| search.known.len()).sum();
        let state = engine.context().state();
        let (mut keys, mut is_decided) = (0, false);
        for search in searches {
            let found = DataFrame::new(state.clone(), search.plan).create_physical_plan().await.expect(question);
            let rows = datafusion::physical_plan::collect(found.clone(), state.task_ctx()).await.expect(question);
            let count: usize = rows.iter().map(RecordBatch::num_rows).sum();
            is_decided |= search.decides && count == 0;
            keys += count;
            for (known, columns) in &search.known {
                let held = MemoryConsumer::new("keys").register(state.task_ctx().memory_pool());
                known.fill(&found.schema(), &rows, columns, held).expect(question);
            }
        }
        assert!(!is_decided || frame.clone().count().await.expect(question) == 0, "{question} has rows without keys");
        (lines(frame).await, lines(DataFrame::new(state, plan)).await, count, keys)
    }

    #[tokio::test]
    async fn groups_that_were_there_the_day_before_have_no_keys() {
        let rows = "(1, 'x', 1, 0, -3), (2, 'x', 1, 0, 0), (3, 'x', 2, 0, 1), (4, 'y', 1, 0, -3), (5, 'y', 1, 0, 2), (6, 'z', 1, 0, -30), (7, 'z', 1, 0, 3)";
        let engine = engine(rows).await;
        let first = "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY time, id) AS place FROM r) WHERE place = 1";
        let soon = "SELECT k, bool_or(fresh) AS fresh FROM (SELECT *, min(time) OVER (PARTITION BY k, l) AS began FROM r) \
                    WHERE time < began + INTERVAL '4 hours' GROUP BY k";
        let last = "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY time DESC) AS place FROM r) WHERE place = 1";
        let mut keys = Vec::new();
        let ages = soon.replace("4 hours", "100000 days");
        let slots = "SELECT * FROM (SELECT *, min(slot) OVER (PARTITION BY k) AS began FROM (SELECT k, date_bin(INTERVAL '1 hour', time) AS slot, \
                     bool_or(fresh) AS fresh FROM r GROUP BY k, date_bin(INTERVAL '1 hour', time))) WHERE slot < began + INTERVAL '1 hour'";
        let wide = slots.replace("INTERVAL '1 hour', time", "INTERVAL '3 hours', time");
        for question in [first, &first.replace("= 1", "<= 1"), soon, &soon.replace('4', "2"), last, &ages, slots, &wide]
        {
            let (plain, reduced, _, count) = answers(&engine, question).await;
            assert_eq!(plain, reduced, "{question}");
            keys.push(count);
        }
        // x and y were there the day before, but less than four hours before; 2 is new for x.
        // Of slots of three hours, the first that is fresh may have begun three hours before.
        assert_eq!(keys, [1, 3, 3, 2, 3, 3, 1, 3]);
    }

    #[tokio::test]
    async fn groups_of_a_slot_that_is_too_small_have_no_keys() {
        // The slots of x and y, of seven hours, began four hours before fresh rows.
        let rows = "(1, 'x', 1, 0, -4), (2, 'x', 1, 0, 0), (3, 'y', 2, 0, -5), (4, 'y', 1, 0, 1), (5, 'z', 1, 0, 1), (6, 'z', 2, 0, 2)";
        let engine = engine(rows).await;
        let slots = "SELECT k, bool_or(fresh) AS fresh, count(*) AS n, count(DISTINCT l) AS ls FROM r WHERE id < 6 OR v = 0 \
                     GROUP BY k, date_bin(INTERVAL '7 hours', time)";
        let paced = |condition: &str| {
            format!(
                "SELECT * FROM (SELECT *, max(n) OVER (PARTITION BY k) AS peak FROM ({slots})) WHERE {condition} AND n >= peak"
            )
        };
        let mut keys = Vec::new();
        for condition in ["true", "n > 1", "n > 1 AND ls > 1", "n > 2", "n > 1 OR k = 'y'", "peak > 1"] {
            let (plain, reduced, _, count) = answers(&engine, &paced(condition)).await;
            assert_eq!(plain, reduced, "{condition}");
            keys.push(count);
        }
        // What is also asked of a key, or of other slots, is not asked beforehand.
        assert_eq!(keys, [3, 2, 1, 0, 3, 3]);
        // Rows that other windows leave out: at most, a slot has all.
        let left_out = |having: &str| {
            format!(
                "SELECT k, bool_or(fresh) AS fresh FROM (SELECT *, min(id) OVER (PARTITION BY k) AS first FROM r) WHERE id < first + 5 \
                     GROUP BY k, date_bin(INTERVAL '7 hours', time) HAVING {having}"
            )
        };
        keys.clear();
        for having in ["count(*) > 2", "count(*) > 1 AND bool_or(l = 2)", "count(*) < 2"] {
            let (plain, reduced, _, count) = answers(&engine, &left_out(having)).await;
            assert_eq!(plain, reduced, "{having}");
            keys.push(count);
        }
        assert_eq!(keys, [0, 1, 3]);
    }

    #[tokio::test]
    async fn what_is_new_by_another_time_than_that_of_slots_is_found() {
        // Of the session of x that began at 14:00, the first row is new and old, and the fresh one, eleven hours later, is not new.
        let rows = "(1, 'x', 1, 0, -20), (2, 'x', 2, 1, -10), (3, 'x', 1, 12, 1)";
        let engine = engine(rows).await;
        let sessions = "SELECT k, bool_or(fresh) AS fresh FROM (SELECT *, time - arrow_cast(v * 3600000000, 'Duration(Microsecond)') AS created, \
                        min(time) OVER (PARTITION BY k, l) AS began FROM r) WHERE created >= '1970-01-01T12:00:00Z' \
                        GROUP BY k, date_bin(INTERVAL '1 hour', created) HAVING bool_or(time < began + INTERVAL '1 hour')";
        let (plain, reduced, ..) = answers(&engine, sessions).await;
        assert_eq!(plain, reduced);
        assert!(plain.iter().any(|line| line.contains('x')), "{plain:?}");
    }

    #[tokio::test]
    async fn times_of_other_zones_and_kinds_are_not_taken_for_utc() {
        let engine = engine("(1, 'x', 1, 0, -4), (2, 'x', 1, 0, -3), (3, 'y', 1, 0, 1), (4, 'y', 1, 0, 2)").await;
        let local = "SELECT *, arrow_cast(time, 'Timestamp(Microsecond, Some(\"+09:00\"))') AS local, CAST(time AS VARCHAR) AS text, CAST(id AS BIGINT) AS seq FROM r";
        let binned = |conditions: &str| {
            format!(
                "SELECT k, bool_or(fresh) AS fresh, count(*) AS n FROM ({local}) WHERE {conditions} GROUP BY k, date_bin(INTERVAL '1 hour', local) HAVING count(*) > 0"
            )
        };
        let first = |time: &str, condition: &str| {
            format!(
                "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY {time}, id) AS place FROM ({local}) WHERE {condition}) WHERE place = 1"
            )
        };
        for question in [
            binned("local >= '1970-01-02T04:00:00'"),
            binned("local >= DATE '1970-01-02'"),
            first("local", "local >= '1970-01-02T04:00:00'"),
            first("text", "text >= '1970-01-01T05:00:00Z'"),
            first("seq", "seq >= 1"),
        ] {
            let (plain, reduced, ..) = answers(&engine, &question).await;
            assert_eq!(plain, reduced, "{question}");
        }
    }

    #[tokio::test]
    async fn zeros_of_both_signs_are_one_key() {
        let engine = engine("(1, 'x', 1, 1, -30), (2, 'x', 1, 0, -2), (3, 'x', 1, 1, 1)").await;
        let signed = "SELECT *, CASE v WHEN 1 THEN -0e0 ELSE 0e0 END AS zero FROM r";
        for question in [
            format!(
                "SELECT k, round(zero) AS zero, bool_or(fresh) AS fresh, count(*) AS n FROM ({signed}) GROUP BY k, round(zero)"
            ),
            format!(
                "SELECT id, k, fresh FROM (SELECT *, row_number() OVER (PARTITION BY k, zero ORDER BY time, id) AS place FROM ({signed})) WHERE place = 1"
            ),
        ] {
            let (plain, reduced, ..) = answers(&engine, &question).await;
            assert_eq!(plain, reduced, "{question}");
        }
    }

    #[tokio::test]
    async fn what_is_another_value_each_time_is_no_key() {
        let engine = engine("(1, 'x', 1, 0, -4), (2, 'x', 1, 0, 1)").await;
        let (plain, reduced, ..) =
            answers(&engine, "SELECT bool_or(fresh) AS fresh, count(*) AS n FROM r GROUP BY uuid()").await;
        assert_eq!(plain, reduced);
    }

    #[tokio::test]
    async fn what_was_as_busy_the_day_before_has_no_keys() {
        // x had as many five hours before, w in the slot in which a day before began, y two days before, and z never.
        let rows = "(1, 'x', 1, 0, -5), (2, 'x', 1, 0, -5), (3, 'x', 1, 0, 1), (4, 'x', 1, 0, 1), (5, 'y', 1, 0, -48), (6, 'y', 1, 0, -48), \
                    (7, 'y', 1, 0, 1), (8, 'z', 1, 0, 1), (9, 'w', 1, 0, -26), (10, 'w', 1, 0, -25), (11, 'w', 1, 0, 1)";
        let engine = engine(rows).await;
        let slots = "SELECT k, bool_or(fresh) AS fresh, date_bin(INTERVAL '2 hours', time) AS slot, count(*) AS n FROM r GROUP BY k, date_bin(INTERVAL '2 hours', time)";
        let paced = |condition: &str| {
            format!(
                "SELECT * FROM (SELECT *, max(n) OVER (PARTITION BY k ORDER BY slot RANGE BETWEEN INTERVAL '7 days' PRECEDING AND INTERVAL '1 hour' PRECEDING) AS peak \
                 FROM ({slots}) AS s) AS p WHERE {condition}"
            )
        };
        let conditions = [
            "n > coalesce(peak, 0)",
            "2 * coalesce(peak, 0) <= n",
            "n > peak * 1 OR peak IS NULL",
            "n > coalesce(peak, -1) AND k <> 'z'",
            "n > peak * -1",
            "n <= peak",
            "n > 0 - coalesce(peak, 0)",
            "CAST(n AS VARCHAR) >= peak",
        ];
        let mut keys = Vec::new();
        for condition in conditions {
            let (plain, reduced, _, count) = answers(&engine, &paced(condition)).await;
            assert_eq!(plain, reduced, "{condition}");
            keys.push(count);
        }
        // Where nothing is known, keys of all four are looked for, once for the groups and for their fresh rows, which are read in any
        // case. A condition that rises with the greatest value, or compares text, is not asked beforehand.
        assert_eq!(keys, [4 + 2, 4 + 2, 4 + 2, 3 + 2, 4, 4, 4, 4]);
    }

    #[tokio::test]
    async fn of_slots_no_rows_are_read_before_the_first_with_a_fresh_row() {
        let engine = engine("(1, 'x', 1, 0, -4), (2, 'x', 1, 0, 0)").await;
        let slots = "SELECT r.k, bool_or(fresh) AS fresh, count(o) AS n FROM r LEFT JOIN (SELECT DISTINCT l AS o FROM r) AS h ON o = l \
                     GROUP BY r.k, date_bin(INTERVAL '7 hours', time)";
        let frame = engine.sql(slots).await.expect(slots).filter(col("fresh")).expect(slots);
        let plan = reduce(frame.logical_plan()).expect(slots).plan;
        let plan = engine.context().state().optimize(&plan).expect(slots).display_indent().to_string();
        // 21:00 of the first day: fresh rows begin four hours later. The other side of the join is read whole.
        assert_eq!(plan.matches("time >= TimestampMicrosecond(75600000000").count(), 1, "{plan}");
        assert_eq!(plan.matches("TableScan: stored").count(), 2, "{plan}");
    }

    #[tokio::test]
    async fn groups_of_a_slot_without_a_row_that_is_new_have_no_keys() {
        // x uses 2 for the first time in the slot of its fresh row, before it; y uses nothing new; z is new.
        let rows = "(1, 'x', 1, 0, -20), (2, 'x', 2, 0, -3), (3, 'x', 1, 0, 1), (4, 'y', 1, 0, -20), (5, 'y', 1, 0, 1), (6, 'z', 2, 0, 2)";
        let engine = engine(rows).await;
        let new = "SELECT k, bool_or(fresh) AS fresh, sum(v) AS n FROM (SELECT *, min(time) OVER (PARTITION BY k, l) AS began FROM r) \
                   GROUP BY k, date_bin(INTERVAL '7 hours', time) HAVING bool_or(time < began + INTERVAL '2 hours')";
        let mut keys = Vec::new();
        for question in [new.to_owned(), format!("{new} AND count(*) > 1"), new.replace("2 hours", "20 hours")] {
            let (plain, reduced, _, count) = answers(&engine, &question).await;
            assert_eq!(plain, reduced, "{question}");
            keys.push(count);
        }
        assert_eq!(keys, [2, 1, 3]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn answers_are_the_same(
            rows in prop::collection::vec(
                (select(&["NULL", "'x'", "'y'", "'z'"]), select(&["NULL", "1", "2"]), select(&["NULL", "0", "3", "5"]), -30i32..30),
                1..14,
            ),
        ) {
            let mut values: Vec<String> = vec!["(99, 'w', 3, 1, -1)".into()];
            values.extend(rows.iter().enumerate().map(|(id, (k, l, v, hours))| format!("({id}, {k}, {l}, {v}, {hours})")));
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            let engine = runtime.block_on(engine(&values.join(", ")));
            let mut counts = Vec::new();
            for (question, _) in QUESTIONS {
                let (plain, reduced, count, _) = runtime.block_on(answers(&engine, question));
                prop_assert_eq!(plain, reduced, "{}", question);
                counts.push(count);
            }
            prop_assert_eq!(counts, QUESTIONS.map(|(_, searches)| searches));
        }
    }
}
