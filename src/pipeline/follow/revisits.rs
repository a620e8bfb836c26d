//! Where rules have to look again: spans of event time that new rows touched, rule by rule, in whole slots.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, Utc};

use crate::detect::{MICROS_PER_MINUTE, Rule};
use crate::engine::Window;

/// Rows earlier than a new one may belong to the same group of a rule as it does, up to this far back.
const LONGEST_GROUP: Duration = Duration::hours(24);

/// First and last minute (since 1970) that was touched.
type Minutes = (i64, i64);

/// What each rule has to look at again.
#[derive(Debug, Clone, Default)]
pub struct Revisits {
    /// Rule id -> slot -> minutes in it.
    touched: BTreeMap<String, BTreeMap<i64, Minutes>>,
}

/// A span that a rule looks at again.
#[derive(Debug, Clone, PartialEq)]
pub struct Revisit {
    /// What the rule sees.
    pub window: Window,
    /// First microsecond of the span that is judged, and the first after it.
    pub span: (i64, i64),
}

impl Revisits {
    /// Notes that rows in these minutes (since 1970) concern a rule.
    pub fn touch(&mut self, rule: &Rule, minutes: &BTreeSet<i64>) {
        if minutes.is_empty() {
            return;
        }
        let slots = self.touched.entry(rule.id.clone()).or_default();
        for &minute in minutes {
            let slot = minute.saturating_mul(MICROS_PER_MINUTE).div_euclid(rule.slot());
            let known = slots.entry(slot).or_insert((minute, minute));
            *known = (known.0.min(minute), known.1.max(minute));
        }
    }

    /// Rule id -> minutes, for keeping.
    pub fn minutes(&self) -> BTreeMap<String, Vec<Minutes>> {
        self.touched.iter().map(|(rule, slots)| (rule.clone(), slots.values().copied().collect())).collect()
    }

    /// The spans that `rule` can look at, because everything before `complete` has arrived.
    ///
    /// A row touches what rules say about its own time, about rows up to `lookback` later, and about the group that it
    /// belongs to, which may have begun before it. Spans are whole slots, because a slot has one finding, cut at `complete`.
    pub fn ready(&self, rule: &Rule, complete: Option<DateTime<Utc>>) -> Vec<Revisit> {
        let horizon = complete.map_or(i64::MAX, |time| floor(time.timestamp_micros(), MICROS_PER_MINUTE));
        let lookback = rule.lookback.num_microseconds().unwrap_or(i64::MAX);
        let back = rule.lookback.min(LONGEST_GROUP).num_microseconds().unwrap_or_default();
        let slot = rule.slot();
        let mut spans: Vec<(i64, i64)> = Vec::new();
        for &(first, last) in self.touched.get(&rule.id).into_iter().flat_map(BTreeMap::values) {
            let first = first.saturating_mul(MICROS_PER_MINUTE);
            if first >= horizon {
                continue;
            }
            let after = last.saturating_add(1).saturating_mul(MICROS_PER_MINUTE).saturating_add(lookback);
            let start = floor(first.saturating_sub(back), slot);
            let end = floor(after.saturating_sub(1), slot).saturating_add(slot).min(horizon);
            match spans.last_mut() {
                Some(before) if start <= before.1 => before.1 = before.1.max(end),
                _ => spans.push((start, end)),
            }
        }
        let instant = DateTime::from_timestamp_micros;
        let revisit = |(start, end)| Revisit {
            window: Window { start: instant(start), end: instant(end), lookback: rule.lookback },
            span: (start, end),
        };
        spans.into_iter().map(revisit).collect()
    }

    /// `rule` is about to look at what is [`Revisits::ready`]: only what lies after `complete` stays noted. Returns the
    /// minutes that it looks at, for the case that it cannot.
    pub fn take(&mut self, rule: &Rule, complete: Option<DateTime<Utc>>) -> BTreeSet<i64> {
        let mut taken = BTreeSet::new();
        let Some(slots) = self.touched.get_mut(&rule.id) else { return taken };
        let horizon = complete.map_or(i64::MAX, |time| time.timestamp_micros().div_euclid(MICROS_PER_MINUTE));
        for minutes in slots.values_mut().filter(|minutes| minutes.0 < horizon) {
            taken.extend([minutes.0, minutes.1.min(horizon - 1)]);
            minutes.0 = horizon;
        }
        slots.retain(|_, minutes| minutes.0 <= minutes.1);
        if slots.is_empty() {
            self.touched.remove(&rule.id);
        }
        taken
    }
}

fn floor(time: i64, step: i64) -> i64 {
    time.div_euclid(step).saturating_mul(step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::Shelf;

    /// A built-in rule with this lookback and slot.
    fn rule(lookback: Duration, quiet: Duration) -> Rule {
        let mut rule = Shelf::built_in().unwrap().select(&[]).unwrap().remove(0);
        (rule.lookback, rule.quiet) = (lookback, quiet);
        rule
    }

    fn minute(time: &str) -> i64 {
        at(time).timestamp() / 60
    }

    fn at(time: &str) -> DateTime<Utc> {
        format!("2026-10-01T{time}:00Z").parse().unwrap()
    }

    fn spans(revisits: &Revisits, rule: &Rule, complete: &str) -> Vec<(String, String)> {
        let text = |time: Option<DateTime<Utc>>| time.unwrap().format("%dT%H:%M").to_string();
        let ready = revisits.ready(rule, Some(at(complete)));
        ready.iter().map(|revisit| (text(revisit.window.start), text(revisit.window.end))).collect()
    }

    fn pair(start: &str, end: &str) -> (String, String) {
        (start.to_owned(), end.to_owned())
    }

    #[test]
    fn spans_are_whole_slots_before_the_watermark() {
        let rule = rule(Duration::minutes(10), Duration::hours(1));
        let mut revisits = Revisits::default();
        revisits.touch(&rule, &BTreeSet::from([minute("12:05"), minute("12:55"), minute("18:30")]));
        assert_eq!(spans(&revisits, &rule, "12:05"), [], "nothing is complete yet");
        assert_eq!(spans(&revisits, &rule, "12:30"), [pair("01T11:00", "01T12:30")]);
        assert_eq!(spans(&revisits, &rule, "17:00"), [pair("01T11:00", "01T14:00")]);
        let taken = revisits.take(&rule, Some(at("12:30")));
        assert_eq!(taken, BTreeSet::from([minute("12:05"), minute("12:29")]));
        assert_eq!(spans(&revisits, &rule, "17:00"), [pair("01T12:00", "01T14:00")]);
        revisits.take(&rule, Some(at("17:00")));
        assert_eq!(spans(&revisits, &rule, "19:00"), [pair("01T18:00", "01T19:00")]);
        revisits.take(&rule, None);
        assert!(revisits.minutes().is_empty());
    }

    #[test]
    fn a_late_row_reopens_what_it_may_change_and_no_more() {
        let rule = rule(Duration::hours(2), Duration::hours(1));
        let mut revisits = Revisits::default();
        revisits.touch(&rule, &BTreeSet::from([minute("06:30")]));
        assert_eq!(spans(&revisits, &rule, "23:00"), [pair("01T04:00", "01T09:00")]);
    }

    #[test]
    fn minutes_survive_being_kept() {
        let rule = rule(Duration::zero(), Duration::hours(24));
        let mut revisits = Revisits::default();
        revisits.touch(&rule, &BTreeSet::from([minute("06:30"), minute("07:10")]));
        assert_eq!(revisits.minutes(), BTreeMap::from([(rule.id.clone(), vec![(minute("06:30"), minute("07:10"))])]));
    }
}
