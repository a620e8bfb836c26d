//! A rule's SQL, planned on an engine and ready to be asked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::common::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::execution::context::SessionState;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{DataFrame, col};
use futures::StreamExt;

use super::Rule;
use super::collect::Collector;
use super::cost::Cost;
use super::scan::{LEAF, Leaf, leaves};
use crate::engine::among::Known;
use crate::engine::reduction::{self, Read, reads, reduce};
use crate::engine::views::KEPT;
use crate::engine::{Engine, spilling, sql_error};

/// Nodes of a plan that look at one row at a time.
const ROW_BY_ROW: [&str; 9] = [
    LEAF,
    "FilterExec",
    "ProjectionExec",
    "CoalesceBatchesExec",
    "CoalescePartitionsExec",
    "CooperativeExec",
    "RepartitionExec",
    "UnionExec",
    "UnnestExec",
];

/// Groups with a fresh row up to which a reduced question asks for them by their keys, which stay in memory. With more, there is
/// not much to leave out.
const MOST_KEYS: usize = 100_000;

/// Why there is no answer.
#[derive(Debug)]
pub struct Failure {
    /// What happened.
    pub reason: String,
    /// True when memory ended: the same question in a way that spills to disk may work.
    pub out_of_memory: bool,
}

/// A rule's SQL, limited to fresh rows: understood, and not planned yet.
#[derive(Debug, Clone)]
pub struct Draft {
    state: SessionState,
    logical: LogicalPlan,
    took: Duration,
}

/// The plan of a rule, limited to fresh rows.
#[derive(Debug)]
pub struct Question {
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    cost: Cost,
}

/// A question on groups with a fresh row alone, whose keys have to be found before it is planned.
#[derive(Debug)]
pub struct Reduced {
    draft: Draft,
    /// Empty when the question does not ask for groups: it reads what it would read anyway.
    searches: Vec<Search>,
}

/// What is known of a question when its keys are found.
#[derive(Debug)]
pub enum Found {
    /// It is to be asked.
    Question(Box<Question>),
    /// There is nothing to be found, as the keys tell.
    Nothing(Cost),
}

/// A query for keys, and where they have to be put.
#[derive(Debug)]
struct Search {
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    known: Vec<(Arc<Known>, Vec<usize>)>,
    /// True when there is nothing to be found where there are no keys.
    decides: bool,
}

impl Draft {
    /// Reads a rule's SQL on an engine that shows its window. `partitions` limits the threads that the question takes.
    pub async fn of(engine: &Engine, rule: &Rule, partitions: Option<usize>) -> Result<Draft, String> {
        let began = Instant::now();
        let frame = engine.sql_with(&rule.sql, &rule.values()).await.map_err(|error| error.to_string())?;
        if frame.schema().fields().iter().all(|field| field.name() != "fresh") {
            return Err("the SQL has to return `fresh`; select it, or bool_or(fresh) AS fresh".into());
        }
        let frame = frame.filter(col("fresh")).map_err(|error| sql_error(error).to_string())?;
        let (mut state, logical) = frame.into_parts();
        if let Some(count) = partitions {
            *state.config_mut() = state.config().clone().with_target_partitions(count);
        }
        Ok(Draft { state, logical, took: began.elapsed() })
    }

    /// The same with joins that sort both sides, and go to disk when `memory` bytes are not enough.
    pub fn spilling(mut self, memory: usize) -> Draft {
        *self.state.config_mut() = spilling(self.state.config().clone(), memory);
        self
    }

    /// Where it reads tables, and on what conditions; none when that is not all that it reads.
    pub fn reads(&self) -> Option<Vec<Read>> {
        reads(&self.logical).ok().flatten()
    }

    /// What it took so far, for an answer that is known without a plan: `shared` of its places would be read with others.
    pub fn unasked(&self, shared: usize) -> Cost {
        Cost { planning: self.took, shared, ..Cost::default() }
    }

    /// Plans it.
    pub async fn plan(self) -> Result<Question, String> {
        let began = Instant::now();
        let context = self.state.task_ctx();
        let plan = physical(self.state, self.logical).await?;
        Ok(Question { plan, context, cost: Cost { planning: self.took + began.elapsed(), ..Cost::default() } })
    }

    /// The question on groups with a fresh row alone: plans how their keys are found.
    pub async fn reduced(self) -> Result<Reduced, String> {
        let began = Instant::now();
        let reduced = reduce(&self.logical).map_err(|error| sql_error(error).to_string())?;
        let context = self.state.task_ctx();
        let mut searches = Vec::with_capacity(reduced.searches.len());
        for reduction::Search { plan, known, decides } in reduced.searches {
            let plan = physical(self.state.clone(), plan).await?;
            searches.push(Search { plan, context: context.clone(), known, decides });
        }
        let logical = if searches.is_empty() { self.logical } else { reduced.plan };
        Ok(Reduced { draft: Draft { state: self.state, logical, took: self.took + began.elapsed() }, searches })
    }
}

impl Question {
    /// Places where it reads a table with conditions, behind shared scans.
    pub fn leaves(&self) -> Vec<Arc<Leaf>> {
        leaves(&self.plan)
    }

    /// True when each row of its answer comes from one row of a table alone, whatever other rows there are.
    pub fn is_row_by_row(&self) -> bool {
        let mut waiting = vec![&self.plan];
        while let Some(node) = waiting.pop() {
            if !ROW_BY_ROW.contains(&node.name()) {
                return false;
            }
            waiting.extend(node.children());
        }
        true
    }

    /// True when it reads nothing but its leaves, and views that say what the log is like. A table without rows is no leaf:
    /// when rows come, it is read.
    pub fn reads_leaves_only(&self) -> bool {
        let mut waiting = vec![&self.plan];
        while let Some(node) = waiting.pop() {
            let children = node.children();
            if children.is_empty() && node.name() != LEAF && node.name() != KEPT {
                return false;
            }
            waiting.extend(children);
        }
        true
    }

    /// The same question for other rows of its leaves.
    pub fn again(&self) -> Result<Question, String> {
        let plan = reset_plan_states(self.plan.clone()).map_err(|error| sql_error(error).to_string())?;
        Ok(Question { plan, context: self.context.clone(), cost: Cost::default() })
    }

    /// Gathers the fresh rows of `rule`, for which this was planned.
    pub async fn ask(self, rule: &Rule) -> (Result<Collector<'_>, Failure>, Cost) {
        let Question { plan, context, mut cost } = self;
        let began = Instant::now();
        let answer = gather(plan.clone(), context, rule).await;
        cost.answering = began.elapsed();
        cost.add_reads(&plan);
        (answer, cost)
    }
}

impl Reduced {
    /// Places where the queries for keys read a table with conditions, behind shared scans.
    pub fn searched(&self) -> Vec<Arc<Leaf>> {
        self.searches.iter().flat_map(|search| leaves(&search.plan)).collect()
    }

    /// Finds the keys, and plans the question. Where there are more than [`MOST_KEYS`], the question is to be asked as it was
    /// before it was reduced.
    pub async fn found(self) -> Result<Found, Failure> {
        let mut cost = Cost { planning: self.draft.took, ..Cost::default() };
        for search in self.searches {
            let count = search.run().await?;
            cost.add_reads(&search.plan);
            if search.decides && count == 0 {
                return Ok(Found::Nothing(cost));
            }
        }
        Ok(Found::Question(Box::new(self.draft.plan().await?)))
    }
}

impl From<Draft> for Reduced {
    fn from(draft: Draft) -> Reduced {
        Reduced { draft, searches: Vec::new() }
    }
}

impl Search {
    /// How many rows it has.
    async fn run(&self) -> Result<usize, Failure> {
        let mut batches = execute_stream(self.plan.clone(), self.context.clone())?;
        let held = MemoryConsumer::new("keys of groups").register(self.context.memory_pool());
        let (mut rows, mut count) = (Vec::new(), 0);
        while let Some(batch) = batches.next().await.transpose()? {
            count += batch.num_rows();
            if count > MOST_KEYS {
                return Err(format!("more than {MOST_KEYS} groups").into());
            }
            held.try_grow(batch.get_array_memory_size())?;
            rows.push(batch);
        }
        for (known, columns) in &self.known {
            known.fill(&self.plan.schema(), &rows, columns, held.new_empty())?;
        }
        Ok(count)
    }
}

async fn physical(state: SessionState, logical: LogicalPlan) -> Result<Arc<dyn ExecutionPlan>, String> {
    let plan = DataFrame::new(state, logical).create_physical_plan().await;
    plan.map_err(|error| sql_error(error).to_string())
}

async fn gather(
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    rule: &Rule,
) -> Result<Collector<'_>, Failure> {
    let mut batches = execute_stream(plan, context)?;
    let mut collector = Collector::new(rule);
    while let Some(batch) = batches.next().await {
        collector.add(&batch?)?;
    }
    Ok(collector)
}

impl From<String> for Failure {
    fn from(reason: String) -> Failure {
        Failure { reason, out_of_memory: false }
    }
}

impl From<DataFusionError> for Failure {
    fn from(error: DataFusionError) -> Failure {
        let out_of_memory = matches!(error.find_root(), DataFusionError::ResourcesExhausted(_));
        Failure { reason: sql_error(error).to_string(), out_of_memory }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use chrono::{DateTime, Duration};

    use super::*;
    use crate::detect::scan::SharedScans;
    use crate::detect::{Shelf, selftest};
    use crate::engine::{Settings, Window};

    /// Built-in rules whose SQL has rows of its own, not of a table, or counts without groups: what these do, only a plan tells.
    const UNKNOWN: [&str; 3] = ["exposed_canary", "called_models_without_log", "called_models_off_hours"];

    /// Built-in rules that are no chains, with what they want where they read tables; none where only a plan tells.
    pub fn wanted_by_built_in() -> Vec<(Rule, Option<Vec<Arc<Leaf>>>)> {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let tables = selftest::tables().map(|table| (table, Vec::new())).collect();
            let engine = Engine::in_memory(Settings::default(), tables).await.expect("an engine");
            let shared = SharedScans::over(&engine).await.expect("shared scans");
            let places = shared.places();
            let window = Window { start: DateTime::from_timestamp(0, 0), end: None, lookback: Duration::days(30) };
            let windowed = shared.engine().windowed(&window).await.expect("a window");
            let mut wanted = Vec::new();
            for rule in Shelf::built_in().expect("rules").rules().iter().filter(|rule| rule.chain.is_none()) {
                let reads = Draft::of(&windowed, rule, Some(1)).await.expect("a draft").reads();
                wanted.push((rule.clone(), reads.and_then(|reads| places.wanting(&reads))));
            }
            wanted
        })
    }

    #[test]
    fn built_in_rules_tell_what_they_read_before_they_are_planned() {
        let unknown = wanted_by_built_in().into_iter().filter(|(_, wanted)| wanted.is_none());
        assert_eq!(unknown.map(|(rule, _)| rule.id).collect::<Vec<_>>(), UNKNOWN);
    }
}
