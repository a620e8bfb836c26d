//! The question of a Sigma rule as a tree: what has to hold for which field.

use super::fields::Field;
use super::pattern::Pattern;

/// Values that one rule may compare; a rule with more is a list of indicators, not a rule.
pub const MOST_LEAVES: usize = 2_000;

/// A condition on an event. It is true or false, never unknown: a field that is missing matches nothing but null.
#[derive(Debug, Clone, PartialEq)]
pub enum Check {
    /// All of them hold.
    All(Vec<Check>),
    /// At least one holds.
    Any(Vec<Check>),
    /// It does not hold.
    Not(Box<Check>),
    /// A field passes a test.
    Leaf(Box<Field>, Test),
}

/// What a field has to pass.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// It matches the pattern; upper and lower case count when the flag is set.
    Text(Pattern, bool),
    /// It is a number in this relation to that one.
    Number(Relation, f64),
    /// It has no value.
    Null,
    /// It is there.
    Exists,
    /// It matches the expression, with these flags; the text after them is one that matches.
    Regex(String, String, String),
    /// It is an address in one of these ranges.
    Range(Vec<String>),
    /// It is, begins with, ends with or contains the other field; upper and lower case count when the flag is set.
    Field(Box<Field>, Part, bool),
    /// A part of the time (as `date_part` names it) is a number in this relation to that one.
    Clock(&'static str, Relation, f64),
}

/// A relation between numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `=`
    Equal,
    /// `<>`
    Unequal,
    /// `>`
    More,
    /// `>=`
    AtLeast,
    /// `<`
    Less,
    /// `<=`
    AtMost,
}

/// Which part of a field is compared with another field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// Its beginning.
    Start,
    /// Its end.
    End,
    /// Anything in it.
    Inside,
}

impl Relation {
    /// The relation that Sigma calls so.
    pub fn read(name: &str) -> Option<Relation> {
        Some(match name {
            "eq" => Relation::Equal,
            "neq" => Relation::Unequal,
            "gt" => Relation::More,
            "gte" => Relation::AtLeast,
            "lt" => Relation::Less,
            "lte" => Relation::AtMost,
            _ => return None,
        })
    }

    /// The operator in SQL.
    pub fn sql(self) -> &'static str {
        match self {
            Relation::Equal => "=",
            Relation::Unequal => "<>",
            Relation::More => ">",
            Relation::AtLeast => ">=",
            Relation::Less => "<",
            Relation::AtMost => "<=",
        }
    }

    /// Whether `left` is in this relation to `right`.
    pub fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Relation::Equal => left == right,
            Relation::Unequal => left != right,
            Relation::More => left > right,
            Relation::AtLeast => left >= right,
            Relation::Less => left < right,
            Relation::AtMost => left <= right,
        }
    }

    /// A number that is in this relation to `limit`.
    pub fn example(self, limit: f64) -> f64 {
        match self {
            Relation::Equal | Relation::AtLeast | Relation::AtMost => limit,
            Relation::Unequal | Relation::More => limit + 1.0,
            Relation::Less => limit - 1.0,
        }
    }
}

impl Check {
    /// All of `checks`, without a level for a single one.
    pub fn all(mut checks: Vec<Check>) -> Check {
        match checks.pop() {
            Some(only) if checks.is_empty() => only,
            Some(last) => {
                checks.push(last);
                Check::All(checks)
            }
            None => Check::All(checks),
        }
    }

    /// Any of `checks`, without a level for a single one.
    pub fn any(mut checks: Vec<Check>) -> Check {
        match checks.pop() {
            Some(only) if checks.is_empty() => only,
            Some(last) => {
                checks.push(last);
                Check::Any(checks)
            }
            None => Check::Any(checks),
        }
    }

    /// The opposite.
    pub fn not(check: Check) -> Check {
        match check {
            Check::Not(inner) => *inner,
            check => Check::Not(Box::new(check)),
        }
    }

    /// A field and its test.
    pub fn leaf(field: &Field, test: Test) -> Check {
        Check::Leaf(Box::new(field.clone()), test)
    }

    /// Fields and values that are compared.
    pub fn size(&self) -> usize {
        match self {
            Check::All(checks) | Check::Any(checks) => checks.iter().map(Check::size).sum(),
            Check::Not(inner) => inner.size(),
            Check::Leaf(_, Test::Range(ranges)) => ranges.len(),
            Check::Leaf(..) => 1,
        }
    }

    /// Every field that is asked about, as often as it is.
    pub fn fields(&self) -> Vec<&Field> {
        match self {
            Check::All(checks) | Check::Any(checks) => checks.iter().flat_map(Check::fields).collect(),
            Check::Not(inner) => inner.fields(),
            Check::Leaf(field, Test::Field(other, ..)) => vec![&**field, &**other],
            Check::Leaf(field, _) => vec![&**field],
        }
    }
}
