//! One scan of a table for a group of catches.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::catalog::TableProvider;
use datafusion::common::{Column, DataFusionError, Result as PlanResult};
use datafusion::execution::context::{SessionContext, SessionState};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::{conjunction, disjunction};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use datafusion::prelude::{col, lit};
use futures::StreamExt;
use tokio::task::JoinSet;

use super::catch::Catch;
use super::condition::read_by;
use super::dispatch::Dispatcher;
use super::keys::DISPATCH;
use super::leaf::Leaf;
use super::memory::Budget;
use super::router::Memory;
use super::table::{SharedTable, is_selective};
use super::wanted::wanted;
use crate::engine::Engine;
use crate::engine::among::{asked, is_empty};
use crate::engine::repeats::once_per_value;
use crate::table::TIME;

/// Rows of a batch: with fewer, the cost of a call per catch and batch shows.
const BATCH: usize = 65_536;

/// Reads the table once and gives each catch its rows.
pub async fn read(
    engine: &Engine,
    shared: &SharedTable,
    catches: Vec<Arc<Catch>>,
    budget: &Arc<Budget>,
) -> PlanResult<()> {
    let table = shared.inner();
    let (hopeless, catches): (Vec<_>, Vec<_>) =
        catches.into_iter().partition(|catch| catch.filters.iter().any(is_empty));
    for catch in hopeless {
        catch.close(async |leaf| alone(engine.context(), table, leaf).await).await?;
    }
    if catches.is_empty() {
        return Ok(());
    }
    let state = state(engine);
    let Prefilter { condition, counts } = prefilter(&catches, shared, &state)?;
    let group = Group::new(&state, &table.schema(), catches, budget, !counts)?;
    let plan = scan(&state, table, condition, &group.columns).await?;
    group.fill(engine, table, &state, plan).await
}

/// Catches of one table, ready for scans of it.
#[derive(Debug)]
pub struct Group {
    catches: Vec<Arc<Catch>>,
    columns: Vec<usize>,
    dispatcher: Arc<Dispatcher>,
}

impl Group {
    /// Catches of a table with this schema. `counts` when nothing else counts the rows that they look at.
    pub fn new(
        state: &SessionState,
        schema: &Schema,
        catches: Vec<Arc<Catch>>,
        budget: &Arc<Budget>,
        counts: bool,
    ) -> PlanResult<Group> {
        let columns = columns(&catches, schema)?;
        let dispatcher = Arc::new(Dispatcher::new(state, schema, &columns, &catches, budget.clone(), counts)?);
        Ok(Group { catches, columns, dispatcher })
    }

    /// Gives the catches the rows of `table` in place of those that they have. Every row is looked at: for tables of few rows.
    pub async fn read_all(&self, engine: &Engine, table: &Arc<dyn TableProvider>) -> PlanResult<()> {
        self.catches.iter().for_each(|catch| catch.reopen());
        let state = state(engine);
        let plan = table.scan(&state, Some(&self.columns), &[], None).await?;
        self.fill(engine, table, &state, plan).await
    }

    async fn fill(
        &self,
        engine: &Engine,
        table: &Arc<dyn TableProvider>,
        state: &SessionState,
        plan: Arc<dyn ExecutionPlan>,
    ) -> PlanResult<()> {
        let mut tasks = JoinSet::new();
        for partition in 0..plan.output_partitioning().partition_count() {
            let mut batches = plan.execute(partition, state.task_ctx())?;
            let dispatcher = self.dispatcher.clone();
            tasks.spawn(async move {
                let mut memory = Memory::default();
                while let Some(batch) = batches.next().await {
                    dispatcher.examine(partition, &batch?, &mut memory)?;
                }
                Ok::<(), DataFusionError>(())
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.map_err(|error| DataFusionError::External(Box::new(error)))??;
        }
        for catch in &self.catches {
            catch.close(async |leaf| alone(engine.context(), table, leaf).await).await?;
        }
        Ok(())
    }
}

/// The state that scans run in.
pub fn state(engine: &Engine) -> SessionState {
    let mut state = engine.context().state();
    *state.config_mut() = state.config().clone().with_batch_size(BATCH);
    let parquet = &mut state.config_mut().options_mut().execution.parquet;
    // Row filters come in the order of what they take, and what they let through lies scattered: kept columns of theirs would
    // be decoded for all rows of a batch that has one.
    parquet.reorder_filters = false;
    parquet.max_predicate_cache_size = Some(0);
    // Each partition reads its own files in their order, so that the rows of a catch come in the same order each time.
    state.config_mut().options_mut().execution.enable_file_stream_work_stealing = false;
    state
}

/// Columns of the table that some catch reads or wants, by position.
fn columns(catches: &[Arc<Catch>], schema: &Schema) -> PlanResult<Vec<usize>> {
    let mut columns = read_by(catches.iter().flat_map(|catch| &catch.filters), schema)?;
    columns.extend(catches.iter().flat_map(|catch| catch.projection.iter().copied()));
    if catches.iter().any(|catch| catch.notes_minutes) {
        columns.extend(schema.index_of(TIME.name).ok());
    }
    columns.extend(DISPATCH.iter().filter_map(|column| schema.index_of(column).ok()));
    Ok(columns.into_iter().collect())
}

/// What catches want of the dispatch columns, as a condition that all their rows meet.
#[derive(Debug, Default)]
struct Kinds {
    /// None sees all times.
    window: Option<Expr>,
    /// Values of the dispatch columns.
    values: [BTreeSet<String>; DISPATCH.len()],
    /// Conditions of catches without such values.
    others: Vec<Expr>,
}

impl Kinds {
    fn add(&mut self, catch: &Catch) {
        let keyed = DISPATCH
            .iter()
            .zip(&mut self.values)
            .find_map(|(column, values)| Some((catch.keys.values(column)?, values)));
        match keyed {
            Some((wanted, values)) => values.extend(wanted.iter().cloned()),
            None => self.others.extend(conjunction(catch.filters.iter().cloned())),
        }
    }

    /// None when any row may be wanted.
    fn condition(self) -> Option<Expr> {
        let listed = DISPATCH.iter().zip(self.values).filter(|(_, values)| !values.is_empty());
        let listed = listed.map(|(column, values)| col(*column).in_list(values.into_iter().map(lit).collect(), false));
        conjunction(self.window.into_iter().chain(disjunction(listed.chain(self.others))))
    }
}

/// What catches want, by their window.
#[derive(Debug, Default)]
struct Windows(Vec<Kinds>);

impl Windows {
    fn add(&mut self, catch: &Catch) {
        let window = conjunction(catch.filters.iter().filter(|filter| !is_selective(filter)).cloned());
        match self.0.iter_mut().find(|kinds| kinds.window == window) {
            Some(kinds) => kinds.add(catch),
            None => {
                let mut kinds = Kinds { window, ..Kinds::default() };
                kinds.add(catch);
                self.0.push(kinds);
            }
        }
    }

    /// One for each window; none when any row may be wanted.
    fn conditions(self) -> Option<Vec<Expr>> {
        self.0.into_iter().map(Kinds::condition).collect()
    }
}

/// A condition that every row meets that some catch wants, and few others: with it, other columns of other rows are not even
/// decoded.
struct Prefilter {
    /// None when nothing is known.
    condition: Option<Expr>,
    /// True when it counts the rows that catches look at.
    counts: bool,
}

/// What is asked of most rows comes first, and takes least.
fn prefilter(catches: &[Arc<Catch>], table: &SharedTable, state: &SessionState) -> PlanResult<Prefilter> {
    let (mut kinds, mut windows) = (Kinds::default(), Windows::default());
    for catch in catches {
        kinds.add(catch);
        windows.add(catch);
    }
    let schema = table.inner().schema();
    let mut conditions = Vec::new();
    let is_keyed = kinds.others.is_empty();
    // By windows, files and pages are passed over too.
    let mut windows = windows.conditions().and_then(disjunction);
    if is_keyed {
        conditions.extend(kinds.condition().map(|kinds| once_per_value(kinds, &schema, state)).transpose()?);
        conditions.extend(windows.take());
    }
    let is_narrow = |filter: &Expr| table.is_narrow(filter);
    let is_first = |filter: &Expr| is_narrow(filter) && (!is_selective(filter) || asked(filter).is_some());
    let steps: [&dyn Fn(&Expr) -> bool; 2] = [&is_first, &is_narrow];
    let (mut told, mut counts) = (0, false);
    for step in steps {
        let more = catches.iter().flat_map(|catch| &catch.filters).filter(|filter| step(filter)).count();
        if more > told
            && let Some(condition) = wanted(catches, &schema, state, !counts, step)?
        {
            conditions.push(condition);
            (told, counts) = (more, true);
        }
    }
    // With all that such catches ask for, JSON too.
    conditions.extend(windows);
    Ok(Prefilter { condition: conjunction(conditions), counts })
}

/// The plan that reads `columns` of the rows that meet `condition`.
async fn scan(
    state: &SessionState,
    table: &Arc<dyn TableProvider>,
    condition: Option<Expr>,
    columns: &[usize],
) -> PlanResult<Arc<dyn ExecutionPlan>> {
    let context = SessionContext::new_with_state(state.clone());
    let schema = table.schema();
    let names: Vec<Expr> = columns
        .iter()
        .filter_map(|column| schema.fields().get(*column))
        .map(|field| Expr::Column(Column::from_name(field.name())))
        .collect();
    let mut frame = context.read_table(table.clone())?;
    if let Some(condition) = condition {
        frame = frame.filter(condition)?;
    }
    frame.select(names)?.create_physical_plan().await
}

/// The plan of a leaf that reads its table by itself, in one partition.
async fn alone(
    context: &SessionContext,
    table: &Arc<dyn TableProvider>,
    leaf: &Leaf,
) -> PlanResult<Arc<dyn ExecutionPlan>> {
    let plan = scan(&context.state(), table, conjunction(leaf.filters.iter().cloned()), &leaf.projection).await?;
    Ok(Arc::new(CoalescePartitionsExec::new(plan)))
}
