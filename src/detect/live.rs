//! Rules on rows that just arrived: what those rows find by themselves, and which rules have to look again, and where.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use chrono::Utc;
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;

use super::Rule;
use super::question::{Joins, Question};
use super::runner::all;
use super::scan::{DISPATCH, Keys, SharedScans};
use crate::engine::{Engine, Window, sql_error};
use crate::error::Result;
use crate::findings::Finding;

/// Rules as far as their plans tell how they live with new rows.
#[derive(Debug)]
pub struct Live {
    rules: Vec<Rule>,
    /// Of the same order; filled when a rule is planned for the first time.
    natures: Vec<Option<Nature>>,
}

#[derive(Debug)]
struct Nature {
    row_by_row: bool,
    /// What each place demands of the rows that it reads; none when the rule reads rows in other ways too.
    keys: Option<Vec<Keys>>,
}

/// What new rows do.
#[derive(Debug, Default)]
pub struct Touched {
    /// Findings that the new rows make by themselves, as far as these rows show them.
    pub findings: Vec<Finding>,
    /// Rule (by position) -> minutes (since 1970) of event time in which it has to look again.
    pub minutes: BTreeMap<usize, BTreeSet<i64>>,
    /// Rules that could not be asked, and why.
    pub failed: Vec<(usize, String)>,
}

impl Live {
    /// Rules that were not planned yet.
    pub fn new(rules: Vec<Rule>) -> Live {
        let natures = rules.iter().map(|_| None).collect();
        Live { rules, natures }
    }

    /// The rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// True when each row tells alone whether the rule finds something, as far as that is known by now.
    pub fn is_row_by_row(&self, rule_id: &str) -> bool {
        let index = self.rules.iter().position(|rule| rule.id == rule_id);
        let nature = index.and_then(|index| self.natures.get(index)).and_then(Option::as_ref);
        nature.is_some_and(|nature| nature.row_by_row)
    }

    /// Looks at new rows, which are all that `engine` shows. `minutes`: the minutes (since 1970) in which each log has some.
    pub async fn touch(
        &mut self,
        engine: &Engine,
        minutes: &BTreeMap<&'static str, BTreeSet<i64>>,
        threads: usize,
        run_id: &str,
    ) -> Result<Touched> {
        let kinds = kinds(engine).await?;
        let shared = SharedScans::noting_minutes(engine).await?;
        let fresh = Arc::new(shared.engine().windowed(&Window::default()).await?);
        let mut tasks = Vec::new();
        for (index, rule) in self.rules.iter().enumerate() {
            let concerned = rule.logs.iter().any(|log| minutes.contains_key(log.as_str()));
            let nature = self.natures.get(index).and_then(Option::as_ref);
            if concerned && nature.is_none_or(|nature| nature.may_want(&kinds)) {
                let (fresh, rule) = (fresh.clone(), rule.clone());
                tasks.push((index, async move { Question::plan(&fresh, &rule, Some(1), Joins::Hashed).await }));
            }
        }
        let mut touched = Touched::default();
        let mut questions = Vec::new();
        for (index, planned) in all(tasks.into_iter(), threads).await {
            match planned.and_then(|planned| planned) {
                Ok(question) => questions.push((index, question)),
                Err(reason) => touched.failed.push((index, reason)),
            }
        }
        shared.read().await?;
        let run_id: Arc<str> = run_id.into();
        for (index, question) in questions {
            let Some(rule) = self.rules.get(index) else { continue };
            let looked_at = look(&question, rule, minutes);
            let nature = Nature::of(&question);
            if looked_at.is_empty() {
                self.remember(index, nature);
                continue;
            }
            touched.minutes.insert(index, looked_at);
            if nature.row_by_row {
                match question.ask(rule).await.0 {
                    Ok(rows) => touched.findings.extend(rows.finish(Utc::now(), &run_id)),
                    Err(failure) => touched.failed.push((index, failure.reason)),
                }
            }
            self.remember(index, nature);
        }
        touched.findings.sort_by(Finding::order);
        Ok(touched)
    }

    fn remember(&mut self, index: usize, nature: Nature) {
        if let Some(known) = self.natures.get_mut(index) {
            *known = Some(nature);
        }
    }
}

/// Minutes of the rows that the rule wants. Where a plan does not tell, those of every new row of its logs.
fn look(question: &Question, rule: &Rule, minutes: &BTreeMap<&'static str, BTreeSet<i64>>) -> BTreeSet<i64> {
    let leaves = question.leaves();
    if question.reads_leaves_only() && leaves.iter().all(|leaf| leaf.alone().is_none()) {
        return leaves.iter().flat_map(|leaf| leaf.minutes()).collect();
    }
    rule.logs.iter().filter_map(|log| minutes.get(log.as_str())).flatten().copied().collect()
}

impl Nature {
    fn of(question: &Question) -> Nature {
        let keys = question.leaves().iter().map(|leaf| leaf.keys.clone()).collect();
        Nature { row_by_row: question.is_row_by_row(), keys: question.reads_leaves_only().then_some(keys) }
    }

    /// Whether rows of these kinds may concern the rule.
    fn may_want(&self, kinds: &[Kind]) -> bool {
        let Some(keys) = &self.keys else { return true };
        let wants = |keys: &Keys| {
            keys.is_empty() || kinds.iter().any(|kind| keys.admit(&kind.each_ref().map(|value| value.as_deref())))
        };
        keys.iter().any(wants)
    }
}

/// Values of the dispatch columns.
type Kind = [Option<String>; DISPATCH.len()];

/// The kinds of CloudTrail rows that an engine shows.
async fn kinds(engine: &Engine) -> Result<Vec<Kind>> {
    if !engine.tables().any(|table| table.name == "cloudtrail") {
        return Ok(Vec::new());
    }
    let sql = format!("SELECT DISTINCT {} FROM cloudtrail", DISPATCH.join(", "));
    let mut kinds: HashSet<Kind> = HashSet::new();
    for batch in engine.sql(&sql).await?.collect().await.map_err(sql_error)? {
        let mut columns = Vec::new();
        for column in batch.columns() {
            columns.push(cast(column, &DataType::Utf8).map_err(|error| sql_error(error.into()))?);
        }
        for row in 0..batch.num_rows() {
            let mut values = columns.iter().map(|column| {
                let texts = column.as_string::<i32>();
                texts.is_valid(row).then(|| texts.value(row).to_owned())
            });
            kinds.insert(DISPATCH.map(|_| values.next().flatten()));
        }
    }
    Ok(kinds.into_iter().collect())
}
