//! A rule's SQL, planned on an engine and ready to be asked.

use std::sync::Arc;
use std::time::Instant;

use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{DataFrame, col};
use futures::StreamExt;

use super::Rule;
use super::collect::Collector;
use super::cost::Cost;
use crate::engine::{Engine, sql_error};

/// The plan of a rule, limited to fresh rows.
#[derive(Debug)]
pub struct Question {
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    cost: Cost,
}

impl Question {
    /// Plans a rule on an engine that shows its window. `partitions` limits the threads that it takes.
    pub async fn plan(engine: &Engine, rule: &Rule, partitions: Option<usize>) -> Result<Question, String> {
        let began = Instant::now();
        let sql = rule.bound_sql().map_err(|error| error.to_string())?;
        let frame = engine.sql(&sql).await.map_err(|error| error.to_string())?;
        if frame.schema().fields().iter().all(|field| field.name() != "fresh") {
            return Err("the SQL has to return `fresh`; select it, or bool_or(fresh) AS fresh".into());
        }
        let frame = frame.filter(col("fresh")).map_err(|error| sql_error(error).to_string())?;
        let (mut state, logical) = frame.into_parts();
        if let Some(count) = partitions {
            state.config_mut().options_mut().execution.target_partitions = count;
        }
        let context = state.task_ctx();
        let plan = DataFrame::new(state, logical).create_physical_plan().await;
        let plan = plan.map_err(|error| sql_error(error).to_string())?;
        Ok(Question { plan, context, cost: Cost { planning: began.elapsed(), ..Cost::default() } })
    }

    /// Gathers the fresh rows of `rule`, for which this was planned.
    pub async fn ask(self, rule: &Rule) -> (Result<Collector<'_>, String>, Cost) {
        let Question { plan, context, mut cost } = self;
        let began = Instant::now();
        let answer = gather(plan.clone(), context, rule).await;
        cost.answering = began.elapsed();
        cost.add_reads(&plan);
        (answer, cost)
    }
}

async fn gather(plan: Arc<dyn ExecutionPlan>, context: Arc<TaskContext>, rule: &Rule) -> Result<Collector<'_>, String> {
    let mut batches = execute_stream(plan, context).map_err(|error| sql_error(error).to_string())?;
    let mut collector = Collector::new(rule);
    while let Some(batch) = batches.next().await {
        collector.add(&batch.map_err(|error| sql_error(error).to_string())?)?;
    }
    Ok(collector)
}
