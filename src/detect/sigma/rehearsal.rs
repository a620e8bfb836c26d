//! Tests of imported correlations: events that reach the limit together, and one that does not.

use super::check::{Check, Relation, Test};
use super::correlation::{Correlation, Measure};
use super::event::{Event, holds};
use super::fields::{Field, Log};
use super::{Body, Document, related, single};

/// Copies of an event in one entry of a test, and in all of them.
const MOST_COPIES: u32 = 10_000;
const MOST_EVENTS: u32 = 40_000;
const DEEPEST: usize = 6;

/// An event and how often it happens, one after the other.
struct Planned {
    event: Event,
    count: u32,
}

/// The events of the test that fires and of the one that stays quiet; the error is the reason why there are none.
pub fn tests(
    documents: &[Document],
    document: &Document,
    correlation: &Correlation,
) -> Result<[Vec<String>; 2], String> {
    let planned = plan(documents, document, correlation, 0)?;
    let total: u32 = planned.iter().map(|planned| planned.count).sum();
    if total > MOST_EVENTS {
        return Err(format!("it fires from {total} events on; tests of rules have up to {MOST_EVENTS}"));
    }
    // One event per second where that fits into the timespan, else all at once.
    let spread = correlation.is_sliding() && u64::from(total) < correlation.timespan;
    let mut lines = Vec::new();
    let mut second = 0;
    for Planned { event, count } in &planned {
        let mut left = *count;
        while left > 0 {
            let copies = left.min(MOST_COPIES);
            let mut keys = Vec::new();
            if second > 0 && spread {
                keys.push(("at", format!("\"+{second}s\"")));
            }
            if copies > 1 {
                keys.push(("repeat", copies.to_string()));
                if !spread {
                    keys.push(("every", "\"0s\"".into()));
                }
            }
            lines.push(event.toml(&keys));
            second += copies;
            left -= copies;
        }
    }
    Ok([lines, vec![calm(documents, document, correlation, 0)?.toml(&[])]])
}

/// An event that none of the rules matches.
fn calm(documents: &[Document], document: &Document, correlation: &Correlation, depth: usize) -> Result<Event, String> {
    let mut checks = Vec::new();
    rules(documents, document, correlation, depth, &mut checks)?;
    let Some((log, _)) = checks.first() else { return Err("it names no rule".into()) };
    let of_log: Vec<Check> =
        checks.iter().filter(|(other, _)| other == log).map(|(_, check)| (*check).clone()).collect();
    single::quiet(*log, &Check::any(of_log))
}

fn rules<'a>(
    documents: &'a [Document],
    document: &Document,
    correlation: &Correlation,
    depth: usize,
    found: &mut Vec<(Log, &'a Check)>,
) -> Result<(), String> {
    if depth >= DEEPEST {
        return Err("correlations name each other without end".into());
    }
    for reference in &correlation.rules {
        let (inner, body) = related::named(documents, document, reference)?;
        match body {
            Body::Rule(log, check) => found.push((*log, check)),
            Body::Correlation(next) => rules(documents, inner, next, depth + 1, found)?,
        }
    }
    Ok(())
}

/// Events that reach the limits of a correlation.
fn plan(
    documents: &[Document],
    document: &Document,
    correlation: &Correlation,
    depth: usize,
) -> Result<Vec<Planned>, String> {
    if depth >= DEEPEST {
        return Err("correlations name each other without end".into());
    }
    let mut planned = Vec::new();
    // The groups' values, as the first rule's events have them.
    let mut shared: Vec<Option<String>> = Vec::new();
    let steps = matches!(correlation.measure, Measure::Rules | Measure::Sequence);
    for reference in correlation.rules.iter().take(if steps { usize::MAX } else { 1 }) {
        let (found, body) = related::named(documents, document, reference)?;
        match body {
            Body::Correlation(inner) if steps => planned.extend(plan(documents, found, inner, depth + 1)?),
            Body::Correlation(inner) => {
                // Each event behind the inner limit counts for the outer one.
                let count = amount(correlation)?;
                let mut events = plan(documents, found, inner, depth + 1)?;
                if let Some(last) = events.last_mut() {
                    last.count += count;
                }
                planned.extend(events);
            }
            Body::Rule(log, check) => {
                let mut names = found.names();
                names.push(reference);
                let mut event = single::firing(*log, check)?;
                for (place, group) in correlation.group_by.iter().enumerate() {
                    let field = Field::find(*log, correlation.resolve(group, &names))?;
                    match shared.get(place) {
                        None => shared.push(event.texts(&field).into_iter().next()),
                        Some(Some(value)) => {
                            let same = event.with(&field, Some(value));
                            event = same.filter(|event| holds(check, event) == Some(true)).unwrap_or(event);
                        }
                        Some(None) => {}
                    }
                }
                let field =
                    correlation.fields.first().map(|field| Field::find(*log, correlation.resolve(field, &names)));
                planned.extend(measured(correlation, check, event, field.transpose()?.as_ref())?);
            }
        }
    }
    Ok(planned)
}

/// Copies of a rule's event that reach the limits.
fn measured(
    correlation: &Correlation,
    check: &Check,
    event: Event,
    field: Option<&Field>,
) -> Result<Vec<Planned>, String> {
    let once = |event: Event| Planned { event, count: 1 };
    let none = || "no events were found whose values reach its limit".to_owned();
    match (&correlation.measure, field) {
        (Measure::Rules | Measure::Sequence, _) => Ok(vec![once(event)]),
        (Measure::Events, _) | (_, None) => Ok(vec![Planned { count: amount(correlation)?, event }]),
        (Measure::Values, Some(field)) => {
            let count = amount(correlation)? as usize;
            let events = different(check, &event, field, count);
            if events.len() < count { Err(none()) } else { Ok(events.into_iter().map(once).collect()) }
        }
        (Measure::Sum | Measure::Average | Measure::Percentile(_), Some(field)) => {
            let number = reached(correlation).ok_or_else(none)?;
            let valued = event.with(field, Some(&number.to_string())).filter(|event| holds(check, event) == Some(true));
            Ok(vec![once(valued.ok_or_else(none)?)])
        }
        (Measure::Share, Some(field)) => {
            let events = different(check, &event, field, 2);
            let [common, rare]: [Event; 2] = events.try_into().map_err(|_| none())?;
            let percent = correlation.limits.iter().map(|(_, limit)| *limit).fold(100.0, f64::min).max(0.1);
            let count = (100.0 / percent).ceil() as u32 + 1;
            Ok(vec![Planned { event: common, count }, once(rare)])
        }
    }
}

/// A number that all limits admit.
fn reached(correlation: &Correlation) -> Option<f64> {
    let numbers = correlation.limits.iter().map(|(relation, limit)| relation.example(*limit));
    let admitted = |number: &f64| {
        correlation.limits.iter().all(|(relation, limit): &(Relation, f64)| relation.holds(*number, *limit))
    };
    numbers.into_iter().find(admitted)
}

/// A number of events that all limits admit.
fn amount(correlation: &Correlation) -> Result<u32, String> {
    match reached(correlation).map(f64::ceil) {
        Some(number) if (1.0..=f64::from(u32::MAX)).contains(&number) => Ok(number as u32),
        Some(_) => Err("it asks for nothing to happen, which no row can show".into()),
        None => Err("no number is within its limits".into()),
    }
}

/// Events of a rule with different values of a field, up to `count`.
fn different(check: &Check, event: &Event, field: &Field, count: usize) -> Vec<Event> {
    let mut texts: Vec<String> = event.texts(field);
    texts.extend(samples(check, field));
    for number in 1..=count {
        texts.extend(samples(check, field).iter().map(|text| format!("{text}{number}")));
        texts.push(format!("example{number}"));
        texts.push(number.to_string());
    }
    let mut events: Vec<(Vec<String>, Event)> = Vec::new();
    for text in texts {
        if events.len() == count {
            break;
        }
        let Some(changed) = event.with(field, Some(&text)) else { continue };
        let value = changed.texts(field);
        if holds(check, &changed) == Some(true) && !events.iter().any(|(known, _)| *known == value) {
            events.push((value, changed));
        }
    }
    events.into_iter().map(|(_, event)| event).collect()
}

/// Texts that a check compares a field with.
fn samples(check: &Check, field: &Field) -> Vec<String> {
    match check {
        Check::All(checks) | Check::Any(checks) => checks.iter().flat_map(|inner| samples(inner, field)).collect(),
        Check::Leaf(known, Test::Text(pattern, _)) if known.sql == field.sql => vec![pattern.sample()],
        Check::Leaf(..) | Check::Not(_) => Vec::new(),
    }
}
