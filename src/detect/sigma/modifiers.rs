//! Value modifiers: `field|contains|all: [..]` and the others, as checks.

use super::check::{Check, MOST_LEAVES, Part, Relation, Test};
use super::encoding;
use super::fields::{Field, Form};
use super::pattern::Pattern;
use super::regex;
use super::yaml::{Node, Value};

/// Bytes of a value.
const LONGEST_VALUE: usize = 8 << 10;
/// Wildcards of a value.
const MOST_WILDCARDS: usize = 50;

/// What the modifiers of a field ask for.
#[derive(Debug, Default)]
struct Wish {
    all: bool,
    cased: bool,
    negated: bool,
    part: Option<Part>,
    encodings: Vec<&'static str>,
    kind: Option<Kind>,
}

/// How values are compared when not as text.
#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Regex(String),
    Range,
    Exists,
    Field,
    Compare(Relation),
    Clock(&'static str, Relation),
}

/// The check of `field` with these modifiers and values; the error is the reason why there is none.
pub fn check(field: &Field, modifiers: &[&str], values: &Node) -> Result<Check, String> {
    let wish = wish(&field.name, modifiers)?;
    let items = values.items();
    if items.is_empty() {
        return Err(format!("'{}' has an empty list of values", field.name));
    }
    let mut checks = Vec::new();
    if wish.kind == Some(Kind::Range) {
        checks.push(ranges(field, items, wish.all)?);
    } else {
        let mut leaves = 0;
        for item in items {
            let check = one(field, &wish, item)?;
            leaves += check.size();
            if leaves > MOST_LEAVES {
                return Err(format!("'{}' is compared with more than {MOST_LEAVES} values", field.name));
            }
            checks.push(check);
        }
    }
    let joined = if wish.all { Check::all(checks) } else { Check::any(checks) };
    Ok(if wish.negated { Check::not(joined) } else { joined })
}

fn wish(name: &str, modifiers: &[&str]) -> Result<Wish, String> {
    let mut wish = Wish::default();
    for modifier in modifiers {
        match *modifier {
            "all" => wish.all = true,
            "cased" => wish.cased = true,
            "neq" => wish.negated = true,
            "contains" => wish.part = Some(Part::Inside),
            "startswith" => wish.part = Some(Part::Start),
            "endswith" => wish.part = Some(Part::End),
            "base64" => wish.encodings.push("base64"),
            "base64offset" => wish.encodings.push("base64offset"),
            "wide" | "utf16le" => wish.encodings.push("utf16le"),
            "utf16be" => wish.encodings.push("utf16be"),
            "utf16" => wish.encodings.push("utf16"),
            "windash" => wish.encodings.push("windash"),
            "re" => wish.kind = Some(Kind::Regex(String::new())),
            "i" | "m" | "s" | "ignorecase" | "multiline" | "dotall" => match &mut wish.kind {
                Some(Kind::Regex(flags)) => flags.extend(match *modifier {
                    "ignorecase" => Some('i'),
                    "multiline" => Some('m'),
                    "dotall" => Some('s'),
                    other => other.chars().next(),
                }),
                _ => return Err(format!("'{name}|{modifier}': {modifier} belongs behind re")),
            },
            "cidr" => wish.kind = Some(Kind::Range),
            "exists" => wish.kind = Some(Kind::Exists),
            "fieldref" => wish.kind = Some(Kind::Field),
            "gt" | "gte" | "lt" | "lte" => {
                let relation = Relation::read(modifier).unwrap_or(Relation::Equal);
                wish.kind = Some(match wish.kind.take() {
                    Some(Kind::Clock(part, _)) => Kind::Clock(part, relation),
                    _ => Kind::Compare(relation),
                });
            }
            "minute" | "hour" | "day" | "week" | "month" | "year" => {
                let part = ["minute", "hour", "day", "week", "month", "year"].into_iter().find(|p| p == modifier);
                wish.kind = Some(Kind::Clock(part.unwrap_or("hour"), Relation::Equal));
            }
            "expand" => {
                let advice = "write the values of the placeholder into the rule";
                return Err(format!("'{name}|expand' needs values that only its author's environment has; {advice}"));
            }
            "" => return Err(format!("'{name}|' names no modifier")),
            other => return Err(format!("'{name}|{other}': the Sigma specification has no modifier '{other}'")),
        }
    }
    if wish.kind.is_some() && !wish.encodings.is_empty() {
        return Err(format!("'{name}|{}': encoded values are compared as text only", modifiers.join("|")));
    }
    let text_only = !matches!(wish.kind, None | Some(Kind::Field) | Some(Kind::Regex(_)));
    if text_only && wish.part.is_some() {
        return Err(format!("'{name}|{}': these modifiers do not go together", modifiers.join("|")));
    }
    Ok(wish)
}

fn one(field: &Field, wish: &Wish, item: &Node) -> Result<Check, String> {
    let name = &field.name;
    let text = || item.text().ok_or_else(|| format!("'{name}' is compared with something that is no text"));
    let number = || match (item.number(), item.text()) {
        (Some(number), _) => Ok(number),
        (None, shown) => Err(format!("'{name}' is compared with '{}', which is no number", shown.unwrap_or_default())),
    };
    Ok(match &wish.kind {
        Some(Kind::Exists) => match item.value {
            Value::Bool(true) => Check::leaf(field, Test::Exists),
            Value::Bool(false) => Check::not(Check::leaf(field, Test::Exists)),
            _ => return Err(format!("'{name}|exists' is true or false")),
        },
        Some(Kind::Compare(relation)) => Check::leaf(field, Test::Number(*relation, number()?)),
        Some(Kind::Clock(part, relation)) => {
            if !matches!(field.form, Form::Time | Form::Text | Form::Number | Form::Below(..)) {
                return Err(format!("'{name}|{part}': the field is no time"));
            }
            Check::leaf(field, Test::Clock(part, *relation, number()?))
        }
        Some(Kind::Field) => {
            let other = Field::find(field.log, &text()?)?;
            Check::leaf(field, Test::Field(Box::new(other), wish.part.unwrap_or(Part::Whole), wish.cased))
        }
        Some(Kind::Regex(flags)) => {
            let expression = text()?;
            let sample = regex::read(&expression, flags)?;
            Check::leaf(field, Test::Regex(expression, flags.clone(), sample))
        }
        Some(Kind::Range) | None => plain(field, wish, item)?,
    })
}

/// A value that is compared as it stands: null, number, boolean or text.
fn plain(field: &Field, wish: &Wish, item: &Node) -> Result<Check, String> {
    let name = &field.name;
    match &item.value {
        Value::Null if wish.part.is_none() && wish.encodings.is_empty() => Ok(Check::leaf(field, Test::Null)),
        Value::Number(number, _) if field.form == Form::Number && wish.part.is_none() => {
            Ok(Check::leaf(field, Test::Number(Relation::Equal, *number)))
        }
        Value::Null | Value::List(_) | Value::Map(_) => {
            Err(format!("'{name}' (line {}) is compared with something that is no text, number or boolean", item.line))
        }
        Value::Bool(_) | Value::Number(..) | Value::Text(_) => {
            let value = item.text().unwrap_or_default();
            if value.contains('\0') {
                return Err(format!("'{name}' is compared with a text that contains the character NUL"));
            }
            if value.len() > LONGEST_VALUE || Pattern::read(&value).wildcards() > MOST_WILDCARDS {
                let limits = format!("{LONGEST_VALUE} bytes or {MOST_WILDCARDS} wildcards");
                return Err(format!("'{name}' is compared with a text of more than {limits}"));
            }
            let encoded = encoding::variants(&value, &wish.encodings).map_err(|why| format!("'{name}': {why}"))?;
            let is_binary = wish.encodings.iter().any(|encoding| *encoding != "windash");
            // Encoded text means the same in one case only.
            let cased = wish.cased || is_binary;
            let pattern = |text: &String| {
                let pattern = if is_binary { Pattern::plain(text) } else { Pattern::read(text) };
                let (before, after) = match wish.part {
                    Some(Part::Inside) => (true, true),
                    Some(Part::Start) => (false, true),
                    Some(Part::End) => (true, false),
                    Some(Part::Whole) | None => (false, false),
                };
                pattern.open(before, after)
            };
            let keywords = matches!(field.form, Form::Everything(_));
            let of = |text: &String| {
                let pattern = pattern(text);
                let pattern = if keywords { pattern.open(true, true) } else { pattern };
                Check::leaf(field, Test::Text(pattern, cased))
            };
            Ok(Check::any(encoded.iter().map(of).collect()))
        }
    }
}

/// Address ranges of a field.
fn ranges(field: &Field, items: &[Node], all: bool) -> Result<Check, String> {
    if items.len() > MOST_LEAVES {
        return Err(format!("'{}' is compared with more than {MOST_LEAVES} ranges", field.name));
    }
    let mut ranges = Vec::new();
    for item in items {
        let text = item.text().unwrap_or_default();
        if !is_range(&text) {
            return Err(format!("'{}|cidr': '{text}' is not an address range such as 192.0.2.0/24", field.name));
        }
        ranges.push(text);
    }
    if all {
        let each = ranges.into_iter().map(|range| Check::leaf(field, Test::Range(vec![range])));
        return Ok(Check::all(each.collect()));
    }
    Ok(Check::leaf(field, Test::Range(ranges)))
}

fn is_range(text: &str) -> bool {
    let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
    let most = match address.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(_)) => 32_u8,
        Ok(std::net::IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    length.is_none_or(|length| length.parse::<u8>().is_ok_and(|length| length <= most))
}
