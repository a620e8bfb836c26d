//! Tuning: rules that are switched off, what is never a finding, and what is kept and not shown for a time.

mod facts;
mod hours;
mod matcher;
mod pattern;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, Utc};

use super::{Outcome, Rule, Verdict, spelling};
use crate::config::{Config, Exception};
use crate::error::{Error, Result};
use crate::findings::Finding;

use facts::Facts;
use matcher::Matcher;

/// What the configuration takes out of the findings. The same findings come out of the same tuning, in any order.
#[derive(Debug, Default)]
pub struct Tuning {
    entries: Vec<Entry>,
    off: BTreeSet<String>,
}

/// What happens to a finding that an entry fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It is none, and is not stored.
    Allow,
    /// It is stored with the reason, and not shown.
    Silence,
}

#[derive(Debug)]
struct Entry {
    effect: Effect,
    reason: String,
    place: String,
    expires: Option<DateTime<Utc>>,
    /// Ids; all rules when none.
    rules: Option<BTreeSet<String>>,
    matchers: Vec<Matcher>,
}

/// What an entry did in a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// What happened to the findings.
    pub effect: Effect,
    /// Why, as the configuration has it.
    pub reason: String,
    /// File and line of the entry.
    pub place: String,
    /// End of the entry.
    pub expires: Option<DateTime<Utc>>,
    /// How many findings it fitted that no entry before it did.
    pub findings: usize,
    /// Rules of those findings.
    pub rules: BTreeSet<String>,
}

/// How many findings of a rule were taken out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Withheld {
    /// By an `[[allow]]`.
    pub allowed: usize,
    /// By a `[[silence]]`.
    pub silenced: usize,
}

/// Findings after tuning.
#[derive(Debug, Default)]
pub struct Tuned {
    /// Those to show, in the order in which they came.
    pub kept: Vec<Finding>,
    /// Those to store and not to show, each with the reason in [`Finding::silenced`].
    pub silenced: Vec<Finding>,
    /// What entries did; only those that fitted a finding.
    pub applied: Vec<Applied>,
    /// Entries that have ended; they had no effect.
    pub expired: Vec<Applied>,
    /// By rule id.
    pub withheld: BTreeMap<String, Withheld>,
}

impl Tuning {
    /// Reads what the configuration says. `rules` are all that ids and families may mean.
    ///
    /// # Errors
    /// [`Error::Usage`] with file and line for an entry that cannot be meant: without a reason, without anything that a
    /// finding has to fit, a silence without an end, unknown rules.
    pub fn read(config: &Config, rules: &[Rule]) -> Result<Tuning> {
        let mut tuning = Tuning { entries: Vec::new(), off: ids(&config.disabled, rules, "disabled")? };
        let allows = config.allow.iter().map(|entry| (Effect::Allow, entry.get_ref()));
        for (effect, written) in allows.chain(config.silence.iter().map(|entry| (Effect::Silence, entry.get_ref()))) {
            let entry = Entry::read(effect, written, rules);
            tuning.entries.push(entry.map_err(|why| Error::Usage(format!("{}: {why}", written.place)))?);
        }
        Ok(tuning)
    }

    /// True for a rule that the configuration switches off.
    pub fn is_off(&self, rule_id: &str) -> bool {
        self.off.contains(rule_id)
    }

    /// The rules to judge, and the verdicts of those that are switched off.
    pub fn switched_on(&self, rules: Vec<Rule>) -> (Vec<Rule>, Vec<Verdict>) {
        let (off, on): (Vec<Rule>, Vec<Rule>) = rules.into_iter().partition(|rule| self.is_off(&rule.id));
        (on, off.iter().map(|rule| Verdict::new(rule, Outcome::Off)).collect())
    }

    /// Ids of the findings that an entry takes out. `now` decides which entries have ended.
    pub fn taken_out(&self, findings: &[Finding], now: DateTime<Utc>) -> HashSet<String> {
        let live = self.live(now);
        let fitted = findings.iter().filter(|finding| fitting(&live, finding).is_some());
        fitted.map(|finding| finding.finding_id.clone()).collect()
    }

    /// Entries that have not ended.
    fn live(&self, now: DateTime<Utc>) -> Vec<&Entry> {
        self.entries.iter().filter(|entry| !entry.has_ended(now)).collect()
    }

    /// Takes out what an entry fits: the first one of the configuration, allow-lists before silences. `now` decides which
    /// entries have ended.
    pub fn apply(&self, findings: Vec<Finding>, now: DateTime<Utc>) -> Tuned {
        let mut tuned = Tuned::default();
        let live = self.live(now);
        tuned.expired = self.entries.iter().filter(|entry| entry.has_ended(now)).map(Entry::unused).collect();
        let mut applied: Vec<Applied> = live.iter().map(|entry| entry.unused()).collect();
        for mut finding in findings {
            let Some(place) = fitting(&live, &finding) else {
                tuned.kept.push(finding);
                continue;
            };
            let Some(used) = applied.get_mut(place) else { continue };
            used.findings += 1;
            used.rules.insert(finding.rule.rule_id.clone());
            let withheld = tuned.withheld.entry(finding.rule.rule_id.clone()).or_default();
            match used.effect {
                Effect::Allow => withheld.allowed += 1,
                Effect::Silence => {
                    withheld.silenced += 1;
                    finding.silenced = Some(used.reason.clone());
                    tuned.silenced.push(finding);
                }
            }
        }
        applied.retain(|used| used.findings > 0);
        tuned.applied = applied;
        tuned
    }
}

/// Place of the first entry that fits.
fn fitting(entries: &[&Entry], finding: &Finding) -> Option<usize> {
    let concerned = |entry: &Entry| entry.rules.as_ref().is_none_or(|rules| rules.contains(&finding.rule.rule_id));
    // Reading evidence is dear, and most findings are no concern of any entry.
    let mut facts = None;
    entries.iter().position(|entry| {
        let fits = |matcher: &Matcher| matcher.fits(facts.get_or_insert_with(|| Facts::of(finding)));
        concerned(entry) && entry.matchers.iter().all(fits)
    })
}

impl Tuned {
    /// Makes verdicts count what is left.
    pub fn settle(&self, verdicts: &mut [Verdict]) {
        for verdict in verdicts {
            let Some(withheld) = self.withheld.get(&verdict.rule_id) else { continue };
            if let Outcome::Fired(found) = verdict.outcome {
                let left = found.saturating_sub(withheld.allowed + withheld.silenced);
                verdict.outcome = if left == 0 { Outcome::Withheld(found) } else { Outcome::Fired(left) };
            }
        }
    }
}

impl Entry {
    fn read(effect: Effect, written: &Exception, rules: &[Rule]) -> std::result::Result<Entry, String> {
        if written.reason.trim().is_empty() {
            return Err("the reason is empty; say why, because runs repeat it".into());
        }
        let expires = written.expires.as_ref().map(instant).transpose()?;
        if effect == Effect::Silence && expires.is_none() {
            let advice = "add expires = 2026-12-01T00:00:00Z, or use [[allow]] for what never is a finding";
            return Err(format!("a silence needs an end; {advice}"));
        }
        let concerned = match written.rules.as_deref() {
            Some([]) => return Err("rules is empty; name at least one, or leave it out for all rules".into()),
            Some(names) => Some(ids(names, rules, "rules").map_err(|mistake| mistake.to_string())?),
            None => None,
        };
        let matchers = Matcher::read_all(written)?;
        if matchers.is_empty() && concerned.is_none() {
            let keys = "rules, principals, addresses, accounts, models, regions, buckets, resources, keys or between";
            return Err(format!("this would take out every finding; say which with {keys}"));
        }
        let (reason, place) = (written.reason.trim().to_owned(), written.place.clone());
        Ok(Entry { effect, reason, place, expires, rules: concerned, matchers })
    }

    fn has_ended(&self, now: DateTime<Utc>) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }

    /// The entry in a report, before it fitted anything.
    fn unused(&self) -> Applied {
        Applied {
            effect: self.effect,
            reason: self.reason.clone(),
            place: self.place.clone(),
            expires: self.expires,
            findings: 0,
            rules: BTreeSet::new(),
        }
    }
}

/// Ids of the rules that names of rules and families mean.
fn ids(names: &[String], rules: &[Rule], key: &str) -> Result<BTreeSet<String>> {
    let mut ids = BTreeSet::new();
    for name in names {
        let meant = rules.iter().filter(|rule| rule.id == *name || rule.family == *name);
        let meant: Vec<String> = meant.map(|rule| rule.id.clone()).collect();
        if meant.is_empty() {
            let known = rules.iter().flat_map(|rule| [rule.id.as_str(), rule.family.as_str()]);
            let hint = spelling::hint(name, known);
            return Err(Error::Usage(format!(
                "`{key}` of the configuration names an unknown rule or family '{name}'{hint}"
            )));
        }
        ids.extend(meant);
    }
    Ok(ids)
}

/// The instant that a TOML date means.
fn instant(date: &toml::value::Datetime) -> std::result::Result<DateTime<Utc>, String> {
    let text = date.to_string();
    if let Ok(day) = text.parse::<NaiveDate>() {
        return Ok(day.and_time(NaiveTime::MIN).and_utc());
    }
    let wrong = |_| format!("expires = {text} is no instant; write 2026-12-01T00:00:00Z, or 2026-12-01");
    DateTime::parse_from_rfc3339(&text).map(|time| time.to_utc()).map_err(wrong)
}

impl Applied {
    /// The end of the entry as RFC 3339, UTC.
    pub fn end(&self) -> Option<String> {
        self.expires.map(|end| end.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}
