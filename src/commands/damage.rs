//! What the model calls of suspected callers cost: one query, said in a few lines and in JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Result as Written, Write};

use serde::{Deserialize, Serialize};

use crate::engine::{Engine, Value, Window, execution_error, queries};
use crate::error::{Error, Result, grouped};
use crate::findings::{Finding, Severity};
use crate::outputs::{self, Format, Page, escape};

/// Findings below this do not name suspects.
const LEAST: Severity = Severity::Medium;
/// Callers and models that are shown.
const SHOWN: usize = 5;
/// The saved query behind the figures.
const QUERY: &str = "damage_bill";

/// What the calls of the callers that findings name cost, in US dollars from a list of prices.
#[derive(Debug, Serialize)]
pub struct Damage {
    /// Day to which the list of prices was checked.
    prices: String,
    /// Figures of all these callers.
    #[serde(flatten)]
    total: Figures,
    /// Callers with calls.
    callers: usize,
    /// Models that answered and have no price, by name.
    unpriced_models: Vec<String>,
    /// The dearest callers, five at most.
    worst: Vec<Caller>,
    /// The caller with the most calls without token counts, whose cost is therefore not known.
    most_uncounted: Option<Caller>,
}

/// A key or principal and its figures.
#[derive(Debug, Clone, Serialize)]
struct Caller {
    access_key_id: Option<String>,
    bearer: bool,
    principal: Option<String>,
    #[serde(flatten)]
    figures: Figures,
}

/// Calls, tokens and dollars. Calls without price and calls without token counts are not in the dollars.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Figures {
    calls: u64,
    failed: u64,
    denied: u64,
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    output_tokens: Option<u64>,
    #[serde(default)]
    cache_read_tokens: Option<u64>,
    #[serde(default)]
    cache_write_tokens: Option<u64>,
    uncounted_calls: u64,
    unpriced_calls: u64,
    #[serde(default)]
    unpriced_tokens: u64,
    #[serde(default)]
    dollars_low: Option<f64>,
    #[serde(default)]
    dollars_high: Option<f64>,
}

/// A row of the query.
#[derive(Debug, Deserialize)]
struct Row {
    #[serde(default)]
    access_key_id: Option<String>,
    #[serde(default)]
    bearer: Option<bool>,
    #[serde(default)]
    principal: Option<String>,
    #[serde(default)]
    model_id: Option<String>,
    #[serde(flatten)]
    figures: Figures,
}

/// What the callers named by findings of medium severity and above spent on models inside `window`. `None` when these name
/// nobody or got no answer from a model: then there is no query, or nothing to say.
pub async fn estimate(engine: &Engine, findings: &[Finding], window: &Window) -> Result<Option<Damage>> {
    let named: Vec<&Finding> = findings.iter().filter(|finding| finding.rule.severity >= LEAST).collect();
    let keys: BTreeSet<&String> = named.iter().filter_map(|finding| finding.access_key_id.as_ref()).collect();
    let principals: BTreeSet<&String> = named.iter().filter_map(|finding| finding.principal.as_ref()).collect();
    if keys.is_empty() && principals.is_empty() {
        return Ok(None);
    }
    let query = queries::built_in(QUERY)?;
    let mut values = query.values(&[])?;
    let texts = |set: BTreeSet<&String>| Value::Texts(set.into_iter().cloned().collect());
    values.insert("key".into(), texts(keys));
    values.insert("principal".into(), texts(principals));
    for (name, instant) in [("since", window.start), ("until", window.end)] {
        if let Some(instant) = instant {
            values.insert(name.into(), Value::Text(instant.to_rfc3339()));
        }
    }
    let frame = engine.sql_with(&per_caller(&query.sql), &values).await?;
    let schema = frame.schema().inner().clone();
    let batches = frame.collect().await.map_err(execution_error)?;
    let mut text = Vec::new();
    outputs::write(&batches, schema, Format::Json, &mut text, &Page::default())?;
    let rows: Vec<Row> =
        serde_json::from_slice(&text).map_err(|e| Error::Output(format!("{QUERY} has an unexpected row: {e}")))?;
    Ok(fold(rows, engine.prices().date().to_string()))
}

/// The saved query without its hours and Regions.
fn per_caller(bill: &str) -> String {
    format!(
        "SELECT access_key_id, bearer, principal, model_id, sum(calls) AS calls, sum(failed) AS failed, sum(denied) AS denied,
                sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
                sum(cache_read_tokens) AS cache_read_tokens, sum(cache_write_tokens) AS cache_write_tokens,
                sum(uncounted_calls) AS uncounted_calls, sum(unpriced_calls) AS unpriced_calls,
                sum(dollars_low) AS dollars_low, sum(dollars_high) AS dollars_high
         FROM ({bill}) AS bill
         GROUP BY access_key_id, bearer, principal, model_id"
    )
}

fn fold(rows: Vec<Row>, prices: String) -> Option<Damage> {
    let mut total = Figures::default();
    let mut models = BTreeSet::new();
    let mut callers: BTreeMap<(Option<String>, Option<String>), Caller> = BTreeMap::new();
    for mut row in rows {
        if row.figures.unpriced_calls > 0 {
            let figures = &row.figures;
            let tokens =
                [figures.input_tokens, figures.output_tokens, figures.cache_read_tokens, figures.cache_write_tokens];
            row.figures.unpriced_tokens = tokens.into_iter().flatten().fold(0, u64::saturating_add);
            models.insert(row.model_id.unwrap_or_else(|| "a model that the logs do not name".into()));
        }
        total.add(&row.figures);
        let caller = callers.entry((row.access_key_id.clone(), row.principal.clone())).or_insert_with(|| Caller {
            access_key_id: row.access_key_id,
            bearer: false,
            principal: row.principal,
            figures: Figures::default(),
        });
        caller.bearer |= row.bearer.unwrap_or_default();
        caller.figures.add(&row.figures);
    }
    if total.calls == total.failed {
        return None;
    }
    let mut worst: Vec<Caller> = callers.into_values().collect();
    let callers = worst.len();
    let uncounted = worst.iter().filter(|caller| caller.figures.uncounted_calls > 0);
    let most_uncounted = uncounted.max_by_key(|caller| caller.figures.uncounted_calls).cloned();
    let dollars = |caller: &Caller| caller.figures.dollars_high.unwrap_or_default();
    worst.sort_by(|a, b| dollars(b).total_cmp(&dollars(a)).then(b.figures.calls.cmp(&a.figures.calls)));
    worst.truncate(SHOWN);
    Some(Damage { prices, total, callers, unpriced_models: models.into_iter().collect(), worst, most_uncounted })
}

impl Figures {
    fn add(&mut self, other: &Figures) {
        let sum = |a: &mut Option<u64>, b: Option<u64>| {
            if let Some(b) = b {
                *a = Some(a.unwrap_or_default().saturating_add(b));
            }
        };
        self.calls = self.calls.saturating_add(other.calls);
        self.failed = self.failed.saturating_add(other.failed);
        self.denied = self.denied.saturating_add(other.denied);
        self.uncounted_calls = self.uncounted_calls.saturating_add(other.uncounted_calls);
        self.unpriced_calls = self.unpriced_calls.saturating_add(other.unpriced_calls);
        self.unpriced_tokens = self.unpriced_tokens.saturating_add(other.unpriced_tokens);
        sum(&mut self.input_tokens, other.input_tokens);
        sum(&mut self.output_tokens, other.output_tokens);
        sum(&mut self.cache_read_tokens, other.cache_read_tokens);
        sum(&mut self.cache_write_tokens, other.cache_write_tokens);
        for (mine, theirs) in [(&mut self.dollars_low, other.dollars_low), (&mut self.dollars_high, other.dollars_high)]
        {
            if let Some(theirs) = theirs {
                *mine = Some(mine.unwrap_or_default() + theirs);
            }
        }
    }

    /// `$1.50 to $2.00`, `$1.50`, or that it is not known.
    fn dollars(&self) -> String {
        match (self.dollars_low, self.dollars_high) {
            (Some(low), Some(high)) if money(low) == money(high) => money(high),
            (Some(low), Some(high)) => format!("{} to {}", money(low), money(high)),
            _ => "unknown dollars".into(),
        }
    }

    fn calls(&self) -> String {
        match self.failed {
            0 => format!("{} model calls", grouped(self.calls)),
            failed => format!("{} model calls ({} failed)", grouped(self.calls), grouped(failed)),
        }
    }

    fn tokens(&self) -> String {
        let (input, output) = (self.input_tokens.unwrap_or_default(), self.output_tokens.unwrap_or_default());
        let mut text = format!("{} input and {} output tokens", grouped(input), grouped(output));
        for (what, tokens) in [("read from", self.cache_read_tokens), ("written to", self.cache_write_tokens)] {
            if let Some(tokens) = tokens.filter(|tokens| *tokens > 0) {
                text.push_str(&format!(", {} {what} the prompt cache", grouped(tokens)));
            }
        }
        text
    }
}

/// Writes the range, the dearest callers, and what is not in it.
pub fn write(damage: &Damage, to: &mut dyn Write) -> Written<()> {
    let total = &damage.total;
    writeln!(
        to,
        "Damage    about {} for {} by {} caller{} that findings name; list prices of {}",
        total.dollars(),
        total.calls(),
        grouped(damage.callers as u64),
        if damage.callers == 1 { "" } else { "s" },
        damage.prices
    )?;
    for caller in &damage.worst {
        let figures = &caller.figures;
        writeln!(to, "          {}: {}, {}, {}", who(caller), figures.dollars(), figures.calls(), figures.tokens())?;
    }
    if let Some(caller) = &damage.most_uncounted {
        let (calls, most) = (grouped(total.uncounted_calls), grouped(caller.figures.uncounted_calls));
        let who = who(caller);
        writeln!(
            to,
            "          not in it: {calls} answered calls without token counts ({most} by {who}), so it was more"
        )?;
    }
    if total.unpriced_calls > 0 {
        let mut models: Vec<String> =
            damage.unpriced_models.iter().take(SHOWN).map(|model| escape::terminal(model).into_owned()).collect();
        if let Some(more) = damage.unpriced_models.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            models.push(format!("{more} more"));
        }
        let (calls, tokens) = (grouped(total.unpriced_calls), grouped(total.unpriced_tokens));
        writeln!(
            to,
            "          not in it: {calls} calls with {tokens} tokens that have no price: {}",
            models.join(", ")
        )?;
    }
    writeln!(to, "          by hour, Region and model: trailhound query {QUERY}")
}

/// The key and the principal without the part of its ARN that says the service.
fn who(caller: &Caller) -> String {
    let short = |arn: &str| match arn.splitn(6, ':').nth(5) {
        Some(rest) if arn.starts_with("arn:") => escape::terminal(rest).into_owned(),
        _ => escape::terminal(arn).into_owned(),
    };
    let key = caller.access_key_id.as_deref().map(|key| escape::terminal(key).into_owned());
    let key = key.or_else(|| caller.bearer.then(|| "Bedrock API key".to_owned()));
    match (key, caller.principal.as_deref().map(short)) {
        (Some(key), Some(principal)) => format!("{principal} with {key}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => "a caller that the logs do not name".into(),
    }
}

/// Dollars with cents, and more digits for less than a dollar.
fn money(dollars: f64) -> String {
    if dollars > 0.0 && dollars < 0.995 {
        return format!("${dollars:.4}");
    }
    let cents = (dollars * 100.0).round() as u64;
    format!("${}.{:02}", grouped(cents / 100), cents % 100)
}
