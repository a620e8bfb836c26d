//! Sigma correlations as written: type, rules, grouping, time and limits.

use super::check::Relation;
use super::yaml::Node;

/// Rules that one correlation may combine.
const MOST_RULES: usize = 16;
/// Longest time, in seconds: what a rule may look back.
const LONGEST: u64 = 90 * 86_400;

/// What a correlation measures.
#[derive(Debug, Clone, PartialEq)]
pub enum Measure {
    /// The number of events.
    Events,
    /// The number of different values.
    Values,
    /// How many of the rules matched.
    Rules,
    /// Whether the rules matched one after the other.
    Sequence,
    /// The sum of a field.
    Sum,
    /// The average of a field.
    Average,
    /// The value that this share of values (0 to 1) does not exceed.
    Percentile(f64),
    /// Which percentage of the events has a value.
    Share,
}

/// A correlation.
#[derive(Debug, Clone)]
pub struct Correlation {
    /// What is measured.
    pub measure: Measure,
    /// Ids, names or titles of rules.
    pub rules: Vec<String>,
    /// Fields, or aliases, whose values events have to share.
    pub group_by: Vec<String>,
    /// Length of the time that is looked at, in seconds.
    pub timespan: u64,
    /// What the measure has to be; all of them hold.
    pub limits: Vec<(Relation, f64)>,
    /// Fields that are measured.
    pub fields: Vec<String>,
    /// Alias -> rule -> field.
    pub aliases: Vec<(String, Vec<(String, String)>)>,
    /// True when the rules are wanted on their own as well.
    pub generate: bool,
}

/// Reads a `correlation`; the error is a line and the reason why it cannot be used.
pub fn read(node: &Node) -> Result<Correlation, (usize, String)> {
    let fail = |reason: String| (node.line, reason);
    let word = |key: &str| node.get(key).and_then(Node::text).unwrap_or_default();
    let kind = word("type").to_ascii_lowercase();
    let rules = node.get("rules").map(Node::texts).unwrap_or_default();
    if rules.is_empty() || rules.len() > MOST_RULES {
        return Err(fail(format!("a correlation names 1 to {MOST_RULES} rules")));
    }
    let timespan = seconds(&word("timespan"));
    let timespan = timespan.ok_or_else(|| {
        fail(format!("the timespan '{}' is not a length such as 30s, 15m, 1h or 7d, up to 90d", word("timespan")))
    })?;
    let condition = node.get("condition");
    let (mut limits, mut fields, mut percentile) = (Vec::new(), Vec::new(), None);
    for (key, value) in condition.map(Node::entries).unwrap_or_default() {
        let number =
            || value.number().ok_or((value.line, format!("'{key}' of the correlation's condition is no number")));
        match key.as_str() {
            "field" => fields = value.texts(),
            "percentile" => percentile = Some(number()?),
            _ => match Relation::read(key) {
                Some(relation) => limits.push((relation, number()?)),
                None => return Err((value.line, format!("a correlation's condition has no '{key}'"))),
            },
        }
    }
    let count = rules.len() as f64;
    let measure = match kind.as_str() {
        "event_count" => Measure::Events,
        "value_count" => Measure::Values,
        "temporal" => Measure::Rules,
        "temporal_ordered" => Measure::Sequence,
        "value_sum" => Measure::Sum,
        "value_avg" => Measure::Average,
        "value_percentile" => match percentile {
            Some(percent) if (0.0..=100.0).contains(&percent) => Measure::Percentile(percent / 100.0),
            Some(_) => return Err(fail("the percentile is not between 0 and 100".into())),
            None => Measure::Share,
        },
        other => return Err(fail(format!("the Sigma specification has no correlation type '{other}'"))),
    };
    if matches!(measure, Measure::Rules | Measure::Sequence) {
        if limits.is_empty() {
            limits.push((Relation::AtLeast, count));
        }
        let whole = |(relation, limit): &(Relation, f64)| {
            *limit == count && matches!(relation, Relation::AtLeast | Relation::Equal)
        };
        if measure == Measure::Sequence && !limits.iter().all(whole) {
            return Err(fail("a sequence of which only a part has to happen cannot be told from its beginning".into()));
        }
    } else if limits.is_empty() {
        return Err(fail("the correlation's condition has no limit such as gte".into()));
    } else if measure != Measure::Events && fields.is_empty() {
        return Err(fail(format!("a {kind} correlation needs a field in its condition")));
    } else if measure != Measure::Values && fields.len() > 1 {
        return Err(fail(format!("a {kind} correlation measures one field")));
    }
    let aliases = node.get("aliases").map(Node::entries).unwrap_or_default();
    let alias = |(name, rules): &(String, Node)| {
        let of = rules.entries().iter().filter_map(|(rule, field)| Some((rule.clone(), field.text()?)));
        (name.clone(), of.collect())
    };
    Ok(Correlation {
        measure,
        rules,
        group_by: node.get("group-by").map(Node::texts).unwrap_or_default(),
        timespan,
        limits,
        fields,
        aliases: aliases.iter().map(alias).collect(),
        generate: node.get("generate").and_then(Node::text).is_some_and(|text| text.eq_ignore_ascii_case("true")),
    })
}

impl Correlation {
    /// True when the measure only grows with each event, so that the limit is reached at an event and no later.
    pub fn is_sliding(&self) -> bool {
        let growing = matches!(
            self.measure,
            Measure::Events | Measure::Values | Measure::Rules | Measure::Sequence | Measure::Sum
        );
        let lower = |(relation, limit): &(Relation, f64)| match relation {
            Relation::More | Relation::AtLeast => true,
            // No more rules can match than there are.
            Relation::Equal => {
                matches!(self.measure, Measure::Rules | Measure::Sequence) && *limit == self.rules.len() as f64
            }
            Relation::Unequal | Relation::Less | Relation::AtMost => false,
        };
        growing && self.limits.iter().all(lower)
    }

    /// The field of `rule` (one of whose names is given) that `name` stands for.
    pub fn resolve<'a>(&'a self, name: &'a str, rule: &[&str]) -> &'a str {
        let alias = self.aliases.iter().find(|(alias, _)| alias == name).map(|(_, of)| of);
        let of_rule = alias.and_then(|of| of.iter().find(|(known, _)| rule.contains(&known.as_str())));
        of_rule.map_or(name, |(_, field)| field)
    }
}

/// Seconds of `90s`, `15m`, `1h`, `7d`.
fn seconds(text: &str) -> Option<u64> {
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let number: u64 = text.get(..text.len() - 1)?.parse().ok()?;
    number.checked_mul(unit).filter(|seconds| (1..=LONGEST).contains(seconds))
}
