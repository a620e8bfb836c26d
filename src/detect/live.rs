//! Rules on rows that just arrived: what those rows find by themselves, and which rules have to look again, and where.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::Utc;
use datafusion::catalog::TableProvider;

use super::Rule;
use super::question::{Draft, Question};
use super::scan::{HeldScans, Leaf, SharedScans};
use super::tasks::all;
use crate::engine::{Engine, Window};
use crate::error::Result;
use crate::findings::Finding;
use crate::table::Table;

/// Rules that were planned once and are asked again and again, each time over the rows that just arrived.
#[derive(Debug)]
pub struct Live {
    rules: Vec<Rule>,
    scans: HeldScans,
    /// Of the order of the rules; none for chains, and for rules that cannot be planned.
    questions: Vec<Option<Planned>>,
}

/// A rule's question, and what its plan tells.
#[derive(Debug)]
struct Planned {
    question: Question,
    row_by_row: bool,
    /// Where it reads tables; none when it reads some in other ways too.
    leaves: Option<Vec<Arc<Leaf>>>,
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
    /// Plans rules, up to `threads` at a time. `engine` shows the tables in the form in which new rows will be given; its
    /// rows are not looked at. Also says which rules could not be planned, and why.
    pub async fn plan(engine: &Engine, rules: Vec<Rule>, threads: usize) -> Result<(Live, Vec<String>)> {
        let shared = SharedScans::noting_minutes(engine).await?;
        let fresh = Arc::new(shared.engine().windowed(&Window::default()).await?);
        let mut tasks = Vec::new();
        for (index, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.chain.is_none()) {
            let (fresh, rule) = (fresh.clone(), rule.clone());
            tasks.push((index, async move { Draft::of(&fresh, &rule, Some(1)).await?.plan().await }));
        }
        let mut questions: Vec<Option<Planned>> = rules.iter().map(|_| None).collect();
        let mut failed = Vec::new();
        for (index, planned) in all(tasks.into_iter(), threads).await {
            let (Some(place), Some(rule)) = (questions.get_mut(index), rules.get(index)) else { continue };
            match planned.and_then(|planned| planned) {
                Ok(question) => *place = Some(Planned::new(question)),
                Err(reason) => failed.push(format!("{}: {reason}", rule.id)),
            }
        }
        Ok((Live { rules, scans: shared.hold()?, questions }, failed))
    }

    /// The rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// True when each row tells alone whether the rule at `index` finds something.
    pub fn is_row_by_row(&self, index: usize) -> bool {
        self.questions.get(index).and_then(Option::as_ref).is_some_and(|planned| planned.row_by_row)
    }

    /// Looks at new rows: those of `tables`. `minutes`: the minutes (since 1970) in which each log has some.
    pub async fn touch(
        &self,
        tables: &[(&'static Table, Arc<dyn TableProvider>)],
        minutes: &BTreeMap<&'static str, BTreeSet<i64>>,
        run_id: &str,
    ) -> Result<Touched> {
        self.scans.read(tables).await?;
        let run_id: Arc<str> = run_id.into();
        let mut touched = Touched::default();
        for (index, rule) in self.rules.iter().enumerate() {
            let Some(planned) = self.questions.get(index).and_then(Option::as_ref) else { continue };
            let looked_at = planned.look(rule, minutes);
            if looked_at.is_empty() {
                continue;
            }
            touched.minutes.insert(index, looked_at);
            if planned.row_by_row {
                match planned.question.again() {
                    Err(reason) => touched.failed.push((index, reason)),
                    Ok(again) => match again.ask(rule).await.0 {
                        Ok(rows) => touched.findings.extend(rows.finish(Utc::now(), &run_id)),
                        Err(failure) => touched.failed.push((index, failure.reason)),
                    },
                }
            }
        }
        touched.findings.sort_by(Finding::order);
        Ok(touched)
    }
}

impl Planned {
    fn new(question: Question) -> Planned {
        let leaves = question.reads_leaves_only().then(|| question.leaves());
        Planned { row_by_row: question.is_row_by_row(), leaves, question }
    }

    /// Minutes of the rows that the rule wants. Where its plan does not tell, those of every new row of its logs.
    fn look(&self, rule: &Rule, minutes: &BTreeMap<&'static str, BTreeSet<i64>>) -> BTreeSet<i64> {
        match &self.leaves {
            Some(leaves) if leaves.iter().all(|leaf| leaf.alone().is_none()) => {
                leaves.iter().flat_map(|leaf| BTreeSet::clone(&leaf.tally().minutes)).collect()
            }
            _ => rule.logs.iter().filter_map(|log| minutes.get(log.as_str())).flatten().copied().collect(),
        }
    }
}
