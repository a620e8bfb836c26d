//! What rules answered, and what that took, for people and programs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Result, Write};
use std::time::Duration;

use serde_json::json;

use crate::detect::{Applied, Blind, Effect, Outcome, Report, Tuned, Verdict};
use crate::error::grouped;
use crate::outputs::escape;

/// Places that a line names.
const MOST_PLACES: usize = 4;

/// Writes how many rules fired, were quiet or could not be judged and why, and which failed.
pub fn write(report: &Report, to: &mut dyn Write) -> Result<()> {
    let count = |wanted: fn(&Outcome) -> bool| report.verdicts.iter().filter(|v| wanted(&v.outcome)).count();
    let named = |count: usize, what: &str| if count == 0 { String::new() } else { format!(", {count} {what}") };
    writeln!(
        to,
        "Judged    {} rules in {:.1} s: {} fired, {} quiet, {} not evaluated{}{}",
        report.verdicts.len(),
        report.seconds,
        count(|o| matches!(o, Outcome::Fired(_))),
        count(|o| matches!(o, Outcome::Quiet)),
        count(|o| matches!(o, Outcome::NotEvaluated(_))),
        named(count(|o| matches!(o, Outcome::Withheld(_))), "allowed or silenced"),
        named(count(|o| matches!(o, Outcome::Off)), "off")
    )?;
    let mut blind: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut off: Vec<&str> = Vec::new();
    for verdict in &report.verdicts {
        match &verdict.outcome {
            Outcome::NotEvaluated(reason) => blind.entry(reason).or_default().push(&verdict.rule_id),
            Outcome::Failed(reason) => {
                writeln!(to, "warning: rule {} failed: {}", verdict.rule_id, escape::terminal(reason))?;
            }
            Outcome::Off => off.push(&verdict.rule_id),
            _ => {}
        }
    }
    if !off.is_empty() {
        writeln!(to, "          switched off: {}", off.join(", "))?;
    }
    for (reason, rules) in blind {
        writeln!(to, "          not evaluated, because {}: {}", escape::terminal(reason), rules.join(", "))?;
    }
    write_blind(report, to)
}

/// Writes in which places rules were not judged that were judged elsewhere: a line for rules that are blind in the same
/// places for the same reason.
fn write_blind(report: &Report, to: &mut dyn Write) -> Result<()> {
    let mut groups: BTreeMap<Vec<&Blind>, Vec<&str>> = BTreeMap::new();
    for verdict in report.verdicts.iter().filter(|v| matches!(v.outcome, Outcome::Fired(_) | Outcome::Quiet)) {
        let mut reasons: BTreeMap<&str, Vec<&Blind>> = BTreeMap::new();
        for place in &verdict.sight.blind {
            reasons.entry(&place.because).or_default().push(place);
        }
        for (_, places) in reasons {
            groups.entry(places).or_default().push(&verdict.rule_id);
        }
    }
    for (places, rules) in groups {
        let accounts: BTreeSet<&str> = places.iter().map(|place| place.account_id.as_str()).collect();
        let because = places.first().map(|place| place.because.as_ref()).unwrap_or_default();
        let named: Vec<String> = places
            .iter()
            .map(|place| match &place.region {
                Some(region) => format!("{} {region}", place.account_id),
                None => place.account_id.clone(),
            })
            .collect();
        writeln!(
            to,
            "          not judged in {} of {} accounts: {} in {}: {}",
            accounts.len(),
            report.accounts,
            escape::terminal(because),
            escape::terminal(&listed(&named)),
            rules.join(", ")
        )?;
    }
    Ok(())
}

/// The first of many, and how many more there are.
fn listed(all: &[String]) -> String {
    let shown = all.iter().take(MOST_PLACES).cloned().collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(MOST_PLACES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Writes which entries of the configuration took findings out, and which have ended.
pub fn write_tuning(tuned: &Tuned, to: &mut dyn Write) -> Result<()> {
    for used in &tuned.applied {
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        let (findings, rules) = (used.findings, used.rules.len());
        let what = match used.effect {
            Effect::Allow => "allowed",
            Effect::Silence => "silenced",
        };
        let until = used.end().map(|end| format!(" until {end}")).unwrap_or_default();
        writeln!(
            to,
            "          {what} by '{}'{until}: {findings} finding{} of {rules} rule{}",
            escape::terminal(&used.reason),
            plural(findings),
            plural(rules)
        )?;
    }
    for ended in &tuned.expired {
        let (reason, place) = (escape::terminal(&ended.reason), escape::terminal(&ended.place));
        let end = ended.end().unwrap_or_default();
        writeln!(to, "note: '{reason}' ({place}) ended {end} and has no effect; take it out or give it a later end")?;
    }
    Ok(())
}

/// Writes what each judged rule took, the dearest first.
pub fn write_costs(report: &Report, to: &mut dyn Write) -> Result<()> {
    writeln!(
        to,
        "Cost      planning and coverage {:.0} ms, shared scans {:.0} ms, rest of the rules {:.0} ms",
        1e3 * (report.seconds - report.scanning - report.answering),
        1e3 * report.scanning,
        1e3 * report.answering
    )?;
    let (plan, scan, answer) = ("plan ms", "scan ms", "rest ms");
    writeln!(
        to,
        "          {:<48} {:<7} {:>13} {:>11} {:>11} {plan:>8} {scan:>8} {answer:>8}",
        "rule", "scan", "rows examined", "matched", "returned"
    )?;
    let mut judged: Vec<&Verdict> = report.verdicts.iter().filter(|v| v.cost.time() > Duration::ZERO).collect();
    judged.sort_by_key(|verdict| std::cmp::Reverse(verdict.cost.time()));
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    for verdict in judged {
        let cost = &verdict.cost;
        writeln!(
            to,
            "          {:<48} {:<7} {:>13} {:>11} {:>11} {:>8.1} {:>8.1} {:>8.1}",
            verdict.rule_id,
            cost.way(),
            grouped(cost.examined),
            grouped(cost.matched),
            grouped(verdict.rows),
            milliseconds(cost.planning),
            milliseconds(cost.scanning),
            milliseconds(cost.answering)
        )?;
    }
    Ok(())
}

/// A verdict as JSON.
pub fn as_json(verdict: &Verdict) -> serde_json::Value {
    let findings = if let Outcome::Fired(findings) = verdict.outcome { findings } else { 0 };
    json!({
        "rule_id": verdict.rule_id,
        "outcome": verdict.outcome.as_str(),
        "findings": findings,
        "because": verdict.outcome.reason(),
        "places": {
            "judged": verdict.sight.judged,
            "nothing_to_see": verdict.sight.nothing_to_see,
            "blind": verdict.sight.blind_places,
        },
        "blind": verdict.sight.blind.iter().map(|place| json!({
            "account_id": place.account_id,
            "region": place.region,
            "because": place.because.as_ref(),
        })).collect::<Vec<_>>(),
        "seconds": verdict.cost.time().as_secs_f64(),
        "scan": verdict.cost.way(),
        "rows_examined": verdict.cost.examined,
        "rows_matched": verdict.cost.matched,
        "rows": verdict.rows,
    })
}

/// What the configuration took out of the findings, as JSON.
pub fn tuning_as_json(tuned: &Tuned) -> serde_json::Value {
    let entry = |used: &Applied| {
        json!({"reason": used.reason, "place": used.place, "expires": used.end(),
               "findings": used.findings, "rules": used.rules})
    };
    let of = |effect: Effect| -> serde_json::Value {
        tuned.applied.iter().filter(|used| used.effect == effect).map(entry).collect()
    };
    json!({"allowed": of(Effect::Allow), "silenced": of(Effect::Silence),
           "expired": tuned.expired.iter().map(entry).collect::<Vec<_>>()})
}
