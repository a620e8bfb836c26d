//! One scan of a table for a group of catches.

use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::catalog::TableProvider;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::{DFSchema, DataFusionError, Result as PlanResult};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::{SessionContext, SessionState};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_expr::expressions::col as column_of;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::filter_pushdown::FilterPushdown;
use datafusion::physical_optimizer::projection_pushdown::ProjectionPushdown;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::StreamExt;

use super::bands::{Wish, bands};
use super::catch::Catch;
use super::condition::read_by;
use super::dispatch::Dispatcher;
use super::keys::DISPATCH;
use super::kinds::{Kinds, windows};
use super::leaf::Leaf;
use super::memory::Budget;
use super::router::Memory;
use super::table::{SharedTable, is_selective, is_sure};
use super::wanted::wanted;
use crate::engine::Engine;
use crate::engine::among::{asked, is_empty};
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
    close(engine, table, &hopeless).await?;
    if catches.is_empty() {
        return Ok(());
    }
    let state = state(engine);
    let mut parts = Vec::new();
    for band in bands(&catches) {
        let (conditions, counts) = prefilter(&band.wishes(), shared, &state)?;
        let conditions = band.days().into_iter().chain(conditions).collect();
        let group = Group::new(&state, &table.schema(), band.catches, budget, !counts)?;
        let plan = scan(&state, table, conditions, &group.columns).await?;
        group.add_parts(&plan, &state, &mut parts)?;
    }
    examine(parts, engine.settings().threads).await?;
    close(engine, table, &catches).await
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
        state: &Arc<SessionState>,
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
        let plan = table.scan(state.as_ref(), Some(&self.columns), &[], None).await?;
        let mut parts = Vec::new();
        self.add_parts(&plan, &state, &mut parts)?;
        examine(parts, engine.settings().threads).await?;
        close(engine, table, &self.catches).await
    }

    /// Adds the partitions of a scan.
    fn add_parts(&self, plan: &Arc<dyn ExecutionPlan>, state: &SessionState, parts: &mut Vec<Part>) -> PlanResult<()> {
        for partition in 0..plan.output_partitioning().partition_count() {
            let (place, batches) = (parts.len(), plan.execute(partition, state.task_ctx())?);
            parts.push(Part { place, batches, dispatcher: self.dispatcher.clone() });
        }
        Ok(())
    }
}

/// A part of a scan, with the catches that want its rows.
struct Part {
    /// Position among all parts: the order in which catches have their rows.
    place: usize,
    batches: SendableRecordBatchStream,
    dispatcher: Arc<Dispatcher>,
}

/// Brings all rows to the catches, of up to `threads` parts at a time.
async fn examine(parts: Vec<Part>, threads: usize) -> PlanResult<()> {
    let tasks = parts.into_iter().map(|Part { place, mut batches, dispatcher }| {
        SpawnedTask::spawn(async move {
            let mut memory = Memory::default();
            while let Some(batch) = batches.next().await {
                dispatcher.examine(place, &batch?, &mut memory)?;
            }
            Ok::<(), DataFusionError>(())
        })
    });
    let mut running = futures::stream::iter(tasks).map(SpawnedTask::join).buffer_unordered(threads.max(1));
    while let Some(done) = running.next().await {
        done.map_err(|error| DataFusionError::External(Box::new(error)))??;
    }
    Ok(())
}

/// Every catch has all its rows.
async fn close(engine: &Engine, table: &Arc<dyn TableProvider>, catches: &[Arc<Catch>]) -> PlanResult<()> {
    for catch in catches {
        catch.close(async |leaf| alone(engine.context(), table, leaf).await).await?;
    }
    Ok(())
}

/// The state that scans run in.
pub fn state(engine: &Engine) -> Arc<SessionState> {
    let mut state = engine.context().state();
    *state.config_mut() = state.config().clone().with_batch_size(BATCH);
    let parquet = &mut state.config_mut().options_mut().execution.parquet;
    // Row filters come in the order of what they take, and what they let through lies scattered: kept columns of theirs would
    // be decoded for all rows of a batch that has one.
    parquet.reorder_filters = false;
    parquet.max_predicate_cache_size = Some(0);
    // The table's log tells which files have rows of these days, and their pages tell which rows may be wanted. What row groups
    // and bloom filters tell beside that is nothing where hundreds of rules are asked.
    parquet.pruning = false;
    parquet.bloom_filter_on_read = false;
    // Nothing is planned by them, and opening a file with many costs more than they tell of it.
    state.config_mut().options_mut().execution.collect_statistics = false;
    // Each partition reads its own files in their order, so that the rows of a catch come in the same order each time.
    state.config_mut().options_mut().execution.enable_file_stream_work_stealing = false;
    Arc::new(state)
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

/// Conditions that every row meets that some catch wants, and few others: with them, other columns of other rows are not even
/// decoded. What is asked of most rows comes first, and takes least. True when one of them counts the rows that catches look at.
fn prefilter(wishes: &[Wish], table: &SharedTable, state: &Arc<SessionState>) -> PlanResult<(Vec<Expr>, bool)> {
    // Who has no conditions left wants all rows of these days.
    if wishes.iter().any(|wish| wish.filters.is_empty()) {
        return Ok((Vec::new(), false));
    }
    let schema = table.inner().schema();
    let is_narrow = |filter: &Expr| table.is_narrow(filter);
    let mut conditions = Kinds::of(wishes).conditions(&schema, state)?;
    if conditions.is_empty() {
        // One column at a time: by what is known of its values, pages of it are passed over.
        conditions = shared_by(wishes, |filter| {
            is_narrow(filter) && is_selective(filter) && is_sure(filter) && asked(filter).is_none()
        });
    }
    let mut windows = windows(wishes);
    // By these, files and pages are passed over. Rows are asked for them first where nothing else tells more for less.
    conditions.extend(windows.take_if(|_| conditions.is_empty()));
    let is_first = |filter: &Expr| is_narrow(filter) && (!is_selective(filter) || asked(filter).is_some());
    // Known keys leave so few rows that JSON and lists are better decoded twice than other columns of rows that nobody wants.
    let has_keys = wishes.iter().flat_map(|wish| &wish.filters).any(|filter| asked(filter).is_some());
    let is_last = |filter: &Expr| is_narrow(filter) || has_keys;
    let steps: [&dyn Fn(&Expr) -> bool; 2] = [&is_first, &is_last];
    let (mut told, mut counts) = (0, false);
    for step in steps {
        let more = wishes.iter().flat_map(|wish| &wish.filters).filter(|filter| step(filter)).count();
        if more > told
            && let Some(condition) = wanted(wishes, &schema, state, !counts, step)?
        {
            conditions.push(condition);
            (told, counts) = (more, true);
        }
    }
    conditions.extend(windows);
    Ok((conditions, counts))
}

/// Those of the conditions that each of `wishes` has and that `are` so.
fn shared_by(wishes: &[Wish], are: impl Fn(&Expr) -> bool) -> Vec<Expr> {
    let Some((first, others)) = wishes.split_first() else { return Vec::new() };
    let is_shared = |filter: &Expr| others.iter().all(|other| other.filters.contains(filter));
    first.filters.iter().filter(|filter| are(filter) && is_shared(filter)).cloned().collect()
}

/// The plan that reads `columns` of the rows that meet `conditions`, which are asked in their order.
async fn scan(
    state: &SessionState,
    table: &Arc<dyn TableProvider>,
    conditions: Vec<Expr>,
    columns: &[usize],
) -> PlanResult<Arc<dyn ExecutionPlan>> {
    let schema = table.schema();
    let mut read = read_by(&conditions, &schema)?;
    read.extend(columns);
    let read = Vec::from_iter(read);
    let mut plan = table.scan(state, Some(&read), &conditions, None).await?;
    if let Some(condition) = conjunction(conditions) {
        let known = DFSchema::try_from(schema.project(&read)?)?;
        plan = Arc::new(FilterExec::try_new(state.create_physical_expr(condition, &known)?, plan)?);
    }
    let mut wanted: Vec<ProjectionExpr> = Vec::with_capacity(columns.len());
    for column in columns {
        let name = schema.field(*column).name();
        wanted.push((column_of(name, &plan.schema())?, name.clone()).into());
    }
    plan = Arc::new(ProjectionExec::try_new(wanted, plan)?);
    // The logical optimizer would put conditions in an order of its own.
    let rules: [&dyn PhysicalOptimizerRule; 2] = [&FilterPushdown::new(), &ProjectionPushdown::new()];
    for rule in rules {
        plan = rule.optimize(plan, state.config_options())?;
    }
    Ok(plan)
}

/// The plan of a leaf that reads its table by itself, in one partition.
async fn alone(
    context: &SessionContext,
    table: &Arc<dyn TableProvider>,
    leaf: &Leaf,
) -> PlanResult<Arc<dyn ExecutionPlan>> {
    let plan = scan(&context.state(), table, leaf.filters.clone(), &leaf.projection).await?;
    Ok(Arc::new(CoalescePartitionsExec::new(plan)))
}
