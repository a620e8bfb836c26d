//! What a run says: findings, and for every rule an answer, or why there is none, and what that took.

use super::Rule;
use super::cost::Cost;
use super::sight::Sight;
use crate::findings::Finding;

/// What a run says.
#[derive(Debug, Default)]
pub struct Report {
    /// Findings of all rules, in the order of [`Finding::order`].
    pub findings: Vec<Finding>,
    /// One verdict per rule, in the order in which the rules were given.
    pub verdicts: Vec<Verdict>,
    /// Accounts that the logs of the window name.
    pub accounts: usize,
    /// Seconds that the run took.
    pub seconds: f64,
    /// Seconds of it in which tables were read once for all rules.
    pub scanning: f64,
    /// Seconds of it after those, in which rules went on with their rows.
    pub answering: f64,
}

/// What a run says about one rule.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// The rule.
    pub rule_id: String,
    /// True for rules that a user added: when they fail, the rule has to change (exit code 2).
    pub added: bool,
    /// The answer.
    pub outcome: Outcome,
    /// In which accounts and Regions the answer holds, and in which there is none.
    pub sight: Sight,
    /// Fresh rows that its SQL returned.
    pub rows: u64,
    /// What that took.
    pub cost: Cost,
}

/// The answer of a rule. Only `Quiet` says that there was nothing to find.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// This many findings.
    Fired(usize),
    /// This many findings, all of which the configuration allows or silences.
    Withheld(usize),
    /// Nothing, and the evidence was there.
    Quiet,
    /// The evidence is not there, because.
    NotEvaluated(String),
    /// The SQL failed, because.
    Failed(String),
    /// The configuration switches the rule off.
    Off,
}

impl Verdict {
    /// The verdict of a rule before it is asked.
    pub(super) fn new(rule: &Rule, outcome: Outcome) -> Verdict {
        let sight = Sight::default();
        Verdict { rule_id: rule.id.clone(), added: rule.added, outcome, sight, rows: 0, cost: Cost::default() }
    }
}

impl Outcome {
    /// `fired`, `withheld`, `quiet`, `not evaluated`, `failed` or `off`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Outcome::Fired(_) => "fired",
            Outcome::Withheld(_) => "withheld",
            Outcome::Quiet => "quiet",
            Outcome::NotEvaluated(_) => "not evaluated",
            Outcome::Failed(_) => "failed",
            Outcome::Off => "off",
        }
    }

    /// Why there is no answer.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Outcome::NotEvaluated(reason) | Outcome::Failed(reason) => Some(reason),
            Outcome::Off => Some("the configuration switches it off"),
            Outcome::Fired(_) | Outcome::Withheld(_) | Outcome::Quiet => None,
        }
    }
}

impl Report {
    /// What the rule at `index` found. Without a finding, a rule that was blind wherever it looked has no answer: that what it
    /// needs is there, but nowhere together, is known only by place.
    pub(super) fn answer(&mut self, index: usize, rows: u64, findings: Vec<Finding>, cost: Cost) {
        let Some(verdict) = self.verdicts.get_mut(index) else { return };
        (verdict.rows, verdict.cost) = (rows, cost);
        verdict.outcome = match verdict.sight.blind.first() {
            _ if !findings.is_empty() => Outcome::Fired(findings.len()),
            Some(blind) if verdict.sight.judged == 0 => Outcome::NotEvaluated(blind.because.to_string()),
            _ => Outcome::Quiet,
        };
        self.findings.extend(findings);
    }

    /// The rule at `index` has no answer because its SQL failed.
    pub(super) fn fail(&mut self, index: usize, reason: String) {
        if let Some(verdict) = self.verdicts.get_mut(index) {
            verdict.outcome = Outcome::Failed(reason);
        }
    }

    /// Exit code that failed rules ask for: 2 when one of the user's failed, 4 when one of ours did, else 0.
    pub fn exit_code(&self) -> u8 {
        let failed = |added: bool| {
            self.verdicts.iter().any(|verdict| verdict.added == added && matches!(verdict.outcome, Outcome::Failed(_)))
        };
        match (failed(true), failed(false)) {
            (true, _) => 2,
            (false, true) => 4,
            (false, false) => 0,
        }
    }
}
