//! SQL text of checks: quoting, LIKE, lists of values, and negation that missing fields do not spoil.

use super::check::{Check, Part, Test};
use super::fields::{Field, Form};
use super::pattern::Pattern;

/// Items of a list column that are looked at.
pub const LIST_ITEMS: usize = 8;

/// A text literal.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A path for the JSON functions: keys as text, positions as numbers.
pub fn path(path: &[String]) -> String {
    let step = |key: &String| match key.parse::<u16>() {
        Ok(position) => position.to_string(),
        Err(_) => quoted(key),
    };
    path.iter().map(step).collect::<Vec<_>>().join(", ")
}

/// A number literal.
pub fn number(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 { format!("{value:.0}") } else { format!("{value:?}") }
}

/// The conditions that have to hold together, each ready to be joined by AND.
pub fn conjuncts(check: &Check) -> Vec<String> {
    match check {
        Check::All(checks) => checks.iter().flat_map(conjuncts).collect(),
        Check::Not(inner) => match &**inner {
            Check::Any(checks) => checks.iter().flat_map(|inner| conjuncts(&Check::not(inner.clone()))).collect(),
            _ => vec![bracketed(check)],
        },
        _ => vec![bracketed(check)],
    }
}

/// A check as SQL that may stand beside AND.
fn bracketed(check: &Check) -> String {
    let (text, loose) = written(check);
    if loose { format!("({text})") } else { text }
}

/// A check as SQL, and whether it needs brackets beside AND and NOT.
fn written(check: &Check) -> (String, bool) {
    match check {
        Check::All(checks) => joined(checks.iter().map(bracketed).collect(), " AND "),
        Check::Any(checks) => joined(alternatives(checks), " OR "),
        Check::Not(inner) => match &**inner {
            Check::Not(inner) => written(inner),
            Check::Any(checks) => {
                joined(checks.iter().map(|inner| bracketed(&Check::not(inner.clone()))).collect(), " AND ")
            }
            Check::Leaf(field, Test::Null) => exists(field, false),
            Check::Leaf(field, Test::Exists) => present(field, true),
            Check::Leaf(field, Test::Text(pattern, _)) if pattern.is_anything() => exists(field, true),
            _ => (format!("({}) IS NOT TRUE", written(inner).0), false),
        },
        Check::Leaf(field, test) => leaf(field, test),
    }
}

fn joined(mut parts: Vec<String>, by: &str) -> (String, bool) {
    parts.dedup();
    let loose = parts.len() > 1;
    (parts.join(by), loose)
}

/// The branches of OR; values of one field that are compared as they stand become one IN.
fn alternatives(checks: &[Check]) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut lists: Vec<(String, Vec<String>, usize)> = Vec::new();
    for check in checks {
        let Check::Leaf(field, test) = check else {
            parts.push(bracketed(check));
            continue;
        };
        let Some((left, right, rest)) = equality(field, test) else {
            parts.push(bracketed(check));
            continue;
        };
        match lists.iter_mut().find(|(known, ..)| *known == left) {
            Some((_, values, _)) if values.contains(&right) => {}
            Some((_, values, _)) => values.push(right),
            None => {
                lists.push((left, vec![right], parts.len()));
                parts.push(String::new());
            }
        }
        parts.extend(rest);
    }
    for (left, values, place) in lists {
        if let Some(part) = parts.get_mut(place) {
            *part = compared(&left, &values);
        }
    }
    parts
}

fn compared(left: &str, values: &[String]) -> String {
    match values {
        [only] => format!("{left} = {only}"),
        values => format!("{left} IN ({})", values.join(", ")),
    }
}

/// `left = right` for a test that is one, and further conditions that are as good.
fn equality(field: &Field, test: &Test) -> Option<(String, String, Vec<String>)> {
    if let (Test::Number(super::check::Relation::Equal, value), Form::Number) = (test, &field.form) {
        return Some((field.sql.clone(), number(*value), Vec::new()));
    }
    let Test::Text(pattern, cased) = test else { return None };
    let text = pattern.exact()?;
    match &field.form {
        Form::Bool if ["true", "false"].contains(&text.to_ascii_lowercase().as_str()) => None,
        Form::List(..) => None,
        Form::Number if text.parse::<f64>().is_ok_and(f64::is_finite) => {
            let value = text.parse::<f64>().unwrap_or_default();
            Some((field.sql.clone(), number(value), Vec::new()))
        }
        form => {
            let (left, right) = same(&field.text_sql(), text, *cased || is_canonical(field, text));
            let items = match form {
                Form::Below(..) if !text.is_empty() => {
                    let own = (!plain_value(text)).then(|| in_list(field, pattern, *cased));
                    own.into_iter().chain(below_list(field, pattern, *cased)).collect()
                }
                _ => Vec::new(),
            };
            Some((left, right, items))
        }
    }
}

/// A value that is no item of a list of texts: a boolean or a number.
fn plain_value(text: &str) -> bool {
    ["true", "false"].contains(&text.to_ascii_lowercase().as_str()) || text.parse::<f64>().is_ok()
}

fn same(left: &str, text: &str, cased: bool) -> (String, String) {
    if cased || !Pattern::plain(text).has_letters() {
        return (left.to_owned(), quoted(text));
    }
    (format!("lower({left})"), quoted(&text.to_lowercase()))
}

/// True when the value of a key column has the case in which AWS writes it.
fn is_canonical(field: &Field, text: &str) -> bool {
    let names_ok = match field.sql.as_str() {
        "eventName" => {
            text.starts_with(|c: char| c.is_ascii_uppercase()) && text.chars().any(|c| c.is_ascii_lowercase())
        }
        _ => !text.chars().any(|c| c.is_uppercase()),
    };
    field.is_key() && names_ok
}

fn like(left: &str, pattern: &str, letters: bool, cased: bool) -> String {
    let operator = if cased || !letters { "LIKE" } else { "ILIKE" };
    format!("{left} {operator} {}", quoted(pattern))
}

/// The value as an item of the list that stands in place of a single value.
fn in_list(field: &Field, pattern: &Pattern, cased: bool) -> String {
    like(&field.sql, &format!("[%\"{}\"%]", pattern.like_in_json()), pattern.has_letters(), cased)
}

/// For a value below something that is often a list: the value in the text of that list.
fn below_list(field: &Field, pattern: &Pattern, cased: bool) -> Option<String> {
    let Form::Below(column, keys) = &field.form else { return None };
    let (last, above) = keys.split_last()?;
    let levels = above.iter().position(|key| is_list_like(key))? + 1;
    let list: Vec<String> = above.iter().take(levels).cloned().collect();
    let value = pattern.like_in_json();
    let key = Pattern::plain(last).like();
    let left = format!("json_as_text({column}, {})", path(&list));
    let text = if pattern.is_open() { format!("%\"{key}\":{value}") } else { format!("%\"{key}\":%\"{value}\"%") };
    Some(like(&left, &text, true, cased))
}

/// True for keys that name several things.
fn is_list_like(key: &str) -> bool {
    let one = ["ss", "us", "is"].iter().any(|end| key.ends_with(end));
    (key.ends_with('s') && !one) || key.ends_with("Set") || key.ends_with("List")
}

/// True when a field may be found in a list, where it is only searched as text.
pub fn may_be_in_list(field: &Field) -> bool {
    matches!(&field.form, Form::Below(_, keys) if keys.iter().any(|key| is_list_like(key)))
}

fn exists(field: &Field, negated: bool) -> (String, bool) {
    let not = if negated { "" } else { "NOT " };
    match &field.form {
        Form::List(column, leaf) => {
            let parts = (1..=LIST_ITEMS).map(|item| format!("{column}[{item}]['{leaf}']")).collect::<Vec<_>>();
            (format!("coalesce({}) IS {not}NULL", parts.join(", ")), false)
        }
        _ => (format!("{} IS {not}NULL", field.sql), false),
    }
}

/// Whether a field is there, be it null or empty where JSON can tell.
fn present(field: &Field, negated: bool) -> (String, bool) {
    let Form::Below(column, keys) = &field.form else { return exists(field, negated) };
    let found = format!("json_contains({column}, {})", path(keys));
    if negated { (format!("({found}) IS NOT TRUE"), false) } else { (found, false) }
}

fn leaf(field: &Field, test: &Test) -> (String, bool) {
    if let Form::List(column, name) = &field.form {
        if matches!(test, Test::Null | Test::Exists) {
            return exists(field, matches!(test, Test::Null));
        }
        let of_item = |item: usize| {
            let sql = format!("{column}[{item}]['{name}']");
            let one = Field { sql, form: Form::Text, ..field.clone() };
            let (text, loose) = leaf(&one, test);
            if loose { format!("({text})") } else { text }
        };
        return joined((1..=LIST_ITEMS).map(of_item).collect(), " OR ");
    }
    match test {
        Test::Null => exists(field, true),
        Test::Exists => present(field, false),
        Test::Text(pattern, cased) => text(field, pattern, *cased),
        Test::Number(relation, value) => {
            (format!("{} {} {}", field.number_sql(), relation.sql(), number(*value)), false)
        }
        Test::Regex(expression, flags, _) => {
            let flags = if flags.is_empty() { String::new() } else { format!(", {}", quoted(flags)) };
            (format!("regexp_like({}, {}{flags})", field.text_sql(), quoted(expression)), false)
        }
        Test::Range(ranges) => {
            let ranges: Vec<String> = ranges.iter().map(|range| quoted(range)).collect();
            let list = match ranges.as_slice() {
                [only] => only.clone(),
                _ => format!("[{}]", ranges.join(", ")),
            };
            (format!("ip_in({}, {list})", field.text_sql()), false)
        }
        Test::Field(other, part, cased) => {
            let side = |field: &Field| {
                if *cased { field.text_sql() } else { format!("lower({})", field.text_sql()) }
            };
            let (left, right) = (side(field), side(other));
            let text = match part {
                Part::Whole => format!("{left} = {right}"),
                Part::Start => format!("starts_with({left}, {right})"),
                Part::End => format!("ends_with({left}, {right})"),
                Part::Inside => format!("strpos({left}, {right}) > 0"),
            };
            (text, false)
        }
        Test::Clock(part, relation, value) => {
            let time = match field.form {
                Form::Time => field.sql.clone(),
                Form::Number => format!("to_timestamp_seconds({})", field.sql),
                _ => format!("try_cast({} AS TIMESTAMP)", field.text_sql()),
            };
            (format!("date_part('{part}', {time}) {} {}", relation.sql(), number(*value)), false)
        }
    }
}

fn text(field: &Field, pattern: &Pattern, cased: bool) -> (String, bool) {
    if pattern.is_anything() {
        return exists(field, false);
    }
    if let (Form::Bool, Some(word)) = (&field.form, pattern.exact()) {
        match word.to_ascii_lowercase().as_str() {
            "true" => return (format!("{} IS TRUE", field.sql), false),
            "false" => return (format!("{} IS FALSE", field.sql), false),
            _ => {}
        }
    }
    let mut parts = Vec::new();
    match equality(field, &Test::Text(pattern.clone(), cased)) {
        Some((left, right, rest)) => {
            parts.push(compared(&left, &[right]));
            parts.extend(rest);
        }
        None => {
            let cased = cased || (!pattern.head().is_empty() && is_canonical(field, pattern.head()));
            let in_json = matches!(field.form, Form::Json | Form::Everything(_));
            parts.push(like(&field.text_sql(), &pattern.like(), pattern.has_letters(), cased));
            if in_json && pattern.like_in_json() != pattern.like() {
                parts.push(like(&field.sql, &pattern.like_in_json(), pattern.has_letters(), cased));
            }
            if matches!(field.form, Form::Below(..)) && !pattern.is_open() {
                parts.push(in_list(field, pattern, cased));
            }
            parts.extend(below_list(field, pattern, cased));
        }
    }
    joined(parts, " OR ")
}
