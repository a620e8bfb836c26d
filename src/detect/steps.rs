//! The steps of a chain as its rule file writes them, and as people read them.

use std::fmt;

use chrono::Duration;
use serde::Deserialize;

use super::chain::{Chain, Link, Step};
use super::duration;
use super::incidents::ENTITIES;
use super::page::Page;
use crate::findings::Severity;

/// Keys of a `[[step]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepPage {
    what: String,
    #[serde(default)]
    rules: Vec<String>,
    #[serde(default)]
    severity: Option<Severity>,
    #[serde(default)]
    optional: bool,
    #[serde(default)]
    links: Option<Vec<Link>>,
}

/// The name under which chains list what they read.
pub const FINDINGS: &str = "findings";

/// Reads the chain of a rule file; none when it has no steps. A mistake is the key and what to do about it.
pub fn read(page: &Page, id: &str, lookback: Duration) -> Result<Option<Chain>, (&'static str, String)> {
    if page.step.is_empty() {
        return match (&page.span, page.links.is_empty()) {
            (None, true) => Ok(None),
            _ => Err(("span", "span and links belong to a chain; add its steps as [[step]]".into())),
        };
    }
    let Some(span) = page.span.as_deref().and_then(duration::parse).filter(|span| !span.is_zero()) else {
        let advice = "span is the longest time from one step to the next; write 1h, 24h or 7d";
        return Err(("span", advice.into()));
    };
    if !page.sql.is_empty() || !page.needs.is_empty() || page.logs != [FINDINGS] {
        let advice = "a chain reads findings: logs = [\"findings\"], and neither sql nor needs";
        return Err(("logs", advice.into()));
    }
    let step = |step: &StepPage| Step {
        what: step.what.trim().to_owned(),
        rules: step.rules.clone(),
        severity: step.severity.unwrap_or(Severity::Informational),
        optional: step.optional,
        links: step.links.clone().unwrap_or_else(|| page.links.clone()),
    };
    let chain = Chain { steps: page.step.iter().map(step).collect(), span };
    if chain.steps.len() < 2
        || [chain.steps.first(), chain.steps.last()].into_iter().flatten().any(|step| step.optional)
    {
        return Err(("span", "a chain has at least two steps, and its first and last have to happen".into()));
    }
    if let Some(wrong) = chain.steps.iter().position(|step| step.what.is_empty()) {
        return Err(("span", format!("step {} says nothing in `what`", wrong + 1)));
    }
    if let Some(wrong) = chain.steps.iter().skip(1).position(|step| step.links.is_empty()) {
        let advice = "add links = [\"account\"] to the chain or to the step";
        return Err(("links", format!("nothing ties step {} to the one before it; {advice}", wrong + 2)));
    }
    if chain.rules().any(|rule| rule == id) {
        return Err(("span", "a chain is no step of itself".into()));
    }
    if let Some(wrong) = page.entity.iter().find(|name| !ENTITIES.contains(&name.as_str())) {
        return Err(("entity", format!("'{wrong}' is not one of {}", ENTITIES.join(", "))));
    }
    let longest = span * (chain.steps.len() as i32 - 1);
    if lookback < longest {
        let needed = duration::show(longest);
        return Err(("lookback", format!("the steps may take {needed}; lookback has to be at least that")));
    }
    Ok(Some(chain))
}

impl Link {
    /// In words.
    fn as_str(self) -> &'static str {
        match self {
            Link::AccessKey => "access key",
            Link::Principal => "principal",
            Link::Address => "address",
            Link::AddressInAccount => "address in one account",
            Link::Resource => "resource",
            Link::Account => "account",
        }
    }
}

impl fmt::Display for Chain {
    /// A line for each step.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.steps.iter().enumerate() {
            let optional = if step.optional { " (may be missing)" } else { "" };
            write!(f, "{}. {}{optional}: ", number + 1, step.what)?;
            match step.rules.is_empty() {
                true => write!(f, "any other rule of {} severity or worse", step.severity)?,
                false => f.write_str(&step.rules.join(", "))?,
            }
            if !step.rules.is_empty() && step.severity > Severity::Informational {
                write!(f, " of {} severity or worse", step.severity)?;
            }
            if number > 0 {
                let links: Vec<&str> = step.links.iter().map(|link| link.as_str()).collect();
                write!(f, "; within {} by the same {}", duration::show(self.span), links.join(" or "))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
