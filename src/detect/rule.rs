//! A rule: what it looks for, why, over which evidence, and the tests that prove it.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::Duration;
use sha2::{Digest, Sha256};

use super::chain::Chain;
pub use super::need::Need;
pub use super::page::{Layer, Phase};
use super::params::{self, Param};
use super::samples::{self, Event};
use super::{duration, page, spelling, steps};
use crate::engine::Values;
use crate::error::{Error, Result};
use crate::findings::{Confidence, Purpose, Severity, hex};

/// A rule that was read from its file and makes sense on its own; whether its SQL fits the tables is [`super::lint`]'s question.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Name: the stem of its file.
    pub id: String,
    /// Folder of its file.
    pub family: String,
    /// Where it was read: `detections/...` for those that are built in, else a path.
    pub source: String,
    /// True for rules that a user added.
    pub added: bool,
    /// What happened, as a sentence without a full stop.
    pub title: String,
    /// How bad it is when true.
    pub severity: Severity,
    /// How likely it is that it is true.
    pub confidence: Confidence,
    /// What the rule is for.
    pub kind: Purpose,
    /// Tables that its SQL reads.
    pub logs: Vec<String>,
    /// Evidence without which the answer is "not evaluated".
    pub needs: Vec<Need>,
    /// Ids of the threat catalogue.
    pub threats: Vec<String>,
    /// MITRE ATLAS technique ids.
    pub atlas: Vec<String>,
    /// MITRE ATT&CK technique ids.
    pub attack: Vec<String>,
    /// OWASP ids with edition.
    pub owasp: Vec<String>,
    /// Layer of the AI security framework.
    pub layer: Layer,
    /// Phase of the AI security framework.
    pub phase: Phase,
    /// Control ids of the framework.
    pub controls: Vec<String>,
    /// What it means and why it matters.
    pub why: String,
    /// What it does not see.
    pub gaps: String,
    /// Who does this legitimately.
    pub false_positives: Vec<String>,
    /// What to look at next.
    pub triage: Vec<String>,
    /// What to do about it.
    pub respond: Vec<String>,
    /// Public pages about it.
    pub references: Vec<String>,
    /// Tunable values, which the SQL uses as `$name`.
    pub params: BTreeMap<String, Param>,
    /// Output columns that name who or what.
    pub entity: Vec<String>,
    /// History before the window that the SQL needs.
    pub lookback: Duration,
    /// One finding per entity and slot of this length.
    pub quiet: Duration,
    /// The question, with `$name` for parameters; empty for a chain.
    pub sql: String,
    /// The steps of a chain, which takes its answer from the findings of other rules.
    pub chain: Option<Chain>,
    /// The file.
    text: Arc<str>,
}

/// A test of a rule.
#[derive(Debug, Clone)]
pub struct Test {
    /// What happens, in words.
    pub name: String,
    /// Whether the rule has to find something.
    pub fires: bool,
    /// Start of the judged window, from the base time; everything is fresh when none.
    pub fresh_from: Option<Duration>,
    /// Rules that a chain's test judges beside those that the chain names.
    pub rules: Vec<String>,
    /// What happens.
    pub events: Vec<Event>,
}

impl Rule {
    /// Reads a rule from the text of `source`, a path of the form `.../<family>/<id>.toml`. A user's rule is checked. Of ours it
    /// is known that they are sound, and their tests are read when they are asked for.
    pub fn read(source: &str, text: &str, added: bool) -> Result<Rule> {
        let page = page::read(source, if added { text } else { page::without_tests(text) })?;
        let at = |key: &str, message: String| page::mistake(source, page::line_of(text, key), &message);
        let mut parts = source.rsplit(['/', '\\']);
        let file = parts.next().unwrap_or_default();
        let family = parts.next().unwrap_or_default().to_owned();
        let id = file.strip_suffix(".toml").unwrap_or(file).to_owned();
        if !is_snake_case(&id) {
            let message =
                format!("the file name is the rule's id: '{id}' has to be snake_case, such as stopped_trail.toml");
            return Err(page::mistake(source, 1, &message));
        }
        let length = |key: &str, written: &str| {
            let wrong = || at(key, format!("{key} = \"{written}\" is not a length of time; write 0s, 15m, 24h or 30d"));
            duration::parse(written).ok_or_else(wrong)
        };
        let lookback = length("lookback", &page.lookback)?;
        let quiet = length("quiet", &page.quiet)?;
        if quiet.is_zero() {
            return Err(at("quiet", "quiet is the length of a slot: at least 1s".into()));
        }
        let needs: std::result::Result<Vec<Need>, String> = page.needs.iter().map(|text| Need::read(text)).collect();
        let needs = needs.map_err(|message| at("needs", message))?;
        let tests = tests(source, text, &page.test)?;
        let chain = steps::read(&page, &id, lookback).map_err(|(key, message)| at(key, message))?;
        let rule = Rule {
            id,
            family,
            source: source.to_owned(),
            added,
            title: page.title,
            severity: page.severity,
            confidence: page.confidence,
            kind: page.kind,
            logs: page.logs,
            needs,
            threats: page.threats,
            atlas: page.atlas,
            attack: page.attack,
            owasp: page.owasp,
            layer: page.layer,
            phase: page.phase,
            controls: page.controls,
            why: page.why.trim().to_owned(),
            gaps: page.gaps.trim().to_owned(),
            false_positives: page.false_positives,
            triage: page.triage,
            respond: page.respond,
            references: page.references,
            params: page.params,
            entity: page.entity,
            lookback,
            quiet,
            sql: page.sql,
            chain,
            text: text.into(),
        };
        if added {
            rule.check(&tests).map_err(|(key, message)| at(key, message))?;
        }
        Ok(rule)
    }

    /// What a single file can get wrong: the key, and what to do about it.
    fn check(&self, tests: &[Test]) -> std::result::Result<(), (&'static str, String)> {
        let texts = [("title", &self.title), ("why", &self.why), ("gaps", &self.gaps), ("sql", &self.sql)];
        let is_written = |key: &str, text: &str| !text.trim().is_empty() || key == "sql" && self.chain.is_some();
        if let Some((key, _)) = texts.into_iter().find(|(key, text)| !is_written(key, text)) {
            return Err((key, format!("{key} is empty; a reader needs it")));
        }
        let lists = [
            ("logs", &self.logs),
            ("entity", &self.entity),
            ("false_positives", &self.false_positives),
            ("triage", &self.triage),
        ];
        for (key, list) in lists {
            if list.is_empty() || list.iter().any(|item| item.trim().is_empty()) {
                return Err((key, format!("{key} needs at least one entry, and no empty one")));
            }
        }
        if self.needs.is_empty() && self.chain.is_none() {
            return Err((
                "needs",
                "needs says which evidence the rule cannot be judged without; name at least a log".into(),
            ));
        }
        for log in self.logs.iter().filter(|_| self.chain.is_none()) {
            if !samples::logs().any(|known| known == log) {
                return Err(("logs", format!("unknown log '{log}'{}", spelling::hint(log, samples::logs()))));
            }
        }
        if let Some(need) = self.needs.iter().find(|need| !self.logs.iter().any(|log| log == need.log())) {
            return Err((
                "needs",
                format!("'{need}' is of a log that logs does not list; add \"{}\" to logs", need.log()),
            ));
        }
        let ids: [(&'static str, &Vec<String>, &[&str]); 4] = [
            ("atlas", &self.atlas, &["AML.T####", "AML.T####.###"]),
            ("attack", &self.attack, &["T####", "T####.###"]),
            ("owasp", &self.owasp, &["LLM##:2025", "ASI##:2026"]),
            ("threats", &self.threats, &["@@-##"]),
        ];
        for (key, list, shapes) in ids {
            if let Some(wrong) = list.iter().find(|id| !shapes.iter().any(|shape| has_shape(id, shape))) {
                return Err((key, format!("'{wrong}' does not look like {}", shapes.join(" or "))));
            }
        }
        if let Some(wrong) = self.references.iter().find(|url| !url.starts_with("https://")) {
            return Err(("references", format!("'{wrong}' is not an https address")));
        }
        let used = params::placeholders(&self.sql).map_err(|message| ("sql", message))?;
        for name in &used {
            if !self.params.contains_key(name) {
                let hint = spelling::hint(name, self.params.keys().map(String::as_str));
                return Err(("sql", format!("the SQL uses ${name}, which params does not declare{hint}")));
            }
        }
        if let Some(unused) = self.params.keys().find(|name| !used.contains(*name)) {
            return Err(("params", format!("the SQL does not use ${unused}; use it or remove it")));
        }
        if !tests.iter().any(|test| test.fires) || tests.iter().all(|test| test.fires) {
            return Err((
                "sql",
                "a rule has at least one [[test]] with fires = true and one with fires = false".into(),
            ));
        }
        Ok(())
    }

    /// Hash of what decides the rule's findings: findings of different versions may differ for the same events.
    pub fn version(&self) -> String {
        let times = (self.lookback.num_seconds(), self.quiet.num_seconds());
        let question = self.chain.as_ref().map_or_else(|| self.sql.clone(), Chain::to_string);
        let text = serde_json::json!([question, self.params, self.entity, times]).to_string();
        hex(&Sha256::digest(text.as_bytes())[..6])
    }

    /// Length of a slot of event time, within which an entity has one finding: microseconds, at least 1.
    pub fn slot(&self) -> i64 {
        self.quiet.num_microseconds().unwrap_or(i64::MAX).max(1)
    }

    /// How far the last event of a finding may be from that of the same finding at another time: both begin in one slot.
    pub fn reach(&self) -> Duration {
        self.quiet + self.chain.as_ref().map_or(Duration::zero(), |chain| chain.span)
    }

    /// Values of its parameters, for its SQL.
    pub fn values(&self) -> Values {
        self.params.iter().map(|(name, param)| (name.clone(), param.into())).collect()
    }

    /// Takes a value for a parameter from the configuration.
    pub fn set_param(&mut self, name: &str, value: &Param) -> Result<()> {
        let Some(param) = self.params.get_mut(name) else {
            let hint = spelling::hint(name, self.params.keys().map(String::as_str));
            return Err(Error::Usage(format!("the rule {} has no parameter '{name}'{hint}", self.id)));
        };
        let Some(accepted) = param.accept(value) else {
            let (wanted, given) = (param.type_name(), value.type_name());
            return Err(Error::Usage(format!(
                "{}.{name} is {wanted}, not {given}; change it in the configuration",
                self.id
            )));
        };
        *param = accepted;
        Ok(())
    }

    /// Its tests.
    pub fn tests(&self) -> Result<Vec<Test>> {
        tests(&self.source, &self.text, &page::read(&self.source, &self.text)?.test)
    }
}

fn tests(source: &str, text: &str, pages: &[page::TestPage]) -> Result<Vec<Test>> {
    let mut tests: Vec<Test> = Vec::new();
    for page in pages {
        let mut events = Vec::new();
        let first = page.events.first().map_or(0, |event| event.span().start);
        // Lines are counted for mistakes only: each count goes through the file from its start.
        let wrong = |byte: usize, message: String| {
            page::mistake(source, page::line(text, byte), &format!("test \"{}\": {message}", page.name))
        };
        for event in &page.events {
            let read = Event::read(event.get_ref(), text);
            events.push(read.map_err(|message| wrong(event.span().start, message))?);
        }
        if events.is_empty() || page.name.trim().is_empty() {
            return Err(wrong(first, "a test has a name and at least one event".into()));
        }
        if tests.iter().any(|test| test.name == page.name) {
            return Err(wrong(first, "another test has this name".into()));
        }
        let fresh_from = match &page.fresh_from {
            None => None,
            Some(text) => match duration::parse_signed(text) {
                Some(offset) => Some(offset),
                None => return Err(wrong(first, format!("fresh_from = \"{text}\" is not an offset such as \"-1h\""))),
            },
        };
        let (name, rules) = (page.name.clone(), page.rules.clone());
        tests.push(Test { name, fires: page.fires, fresh_from, rules, events });
    }
    Ok(tests)
}

/// Lower-case words joined by single underscores, starting with a letter.
pub fn is_snake_case(id: &str) -> bool {
    let words_ok = id.split('_').all(|word| !word.is_empty());
    let letters_ok = id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    words_ok && letters_ok && id.starts_with(|c: char| c.is_ascii_lowercase())
}

/// True when `id` is `shape` with a digit for each `#` and a capital for each `@`.
fn has_shape(id: &str, shape: &str) -> bool {
    let fits = |(letter, wanted): (char, char)| match wanted {
        '#' => letter.is_ascii_digit(),
        '@' => letter.is_ascii_uppercase(),
        _ => letter == wanted,
    };
    id.chars().count() == shape.chars().count() && id.chars().zip(shape.chars()).all(fits)
}
