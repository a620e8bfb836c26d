//! What the shell completes, and when a statement is complete.

use std::collections::BTreeMap;

use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper};

use super::statements::split;
use crate::engine::queries::SavedQuery;
use crate::engine::views::VIEWS;
use crate::engine::{Engine, functions};

/// Words that queries are made of.
const KEYWORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "ORDER BY",
    "HAVING",
    "LIMIT",
    "OFFSET",
    "JOIN",
    "LEFT JOIN",
    "ON",
    "USING",
    "AND",
    "OR",
    "NOT",
    "IN",
    "LIKE",
    "ILIKE",
    "BETWEEN",
    "IS NULL",
    "IS NOT NULL",
    "AS",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "DISTINCT",
    "UNION ALL",
    "WITH",
    "OVER",
    "PARTITION BY",
    "INTERVAL",
    "DESC",
    "ASC",
    "NULLS LAST",
    "EXPLAIN",
    "EXPLAIN ANALYZE",
    "DESCRIBE",
    "VALUES",
    "count(*)",
    "count(DISTINCT",
    "sum(",
    "min(",
    "max(",
    "avg(",
    "coalesce(",
    "date_trunc(",
    "date_bin(",
    "json_get_str(",
    "json_get_int(",
    "json_get_bool(",
    "json_as_text(",
    "json_contains(",
    "lower(",
    "strpos(",
    "regexp_like(",
    "approx_distinct(",
];

/// The shell's commands with what they do.
pub const COMMANDS: &[(&str, &str)] = &[
    ("\\?", "this help"),
    ("\\d", "tables and views; \\d NAME shows the columns of one"),
    ("\\df", "functions; \\df NAME shows one"),
    ("\\saved", "saved queries; \\saved NAME shows one"),
    ("\\run", "run a saved query: \\run NAME parameter=value ..."),
    ("\\format", "form of results: table, json, ndjson, csv or parquet"),
    ("\\o", "\\o FILE sends the next results to a file, \\o alone back to the screen"),
    ("\\rows", "\\rows N shows at most so many rows, 0 all"),
    ("\\timing", "switch time and number of rows on and off"),
    ("\\q", "leave (also Ctrl-D)"),
];

/// Helps with what is being typed.
pub struct Typing {
    words: Vec<String>,
    tables: Vec<String>,
    saved: Vec<String>,
}

impl Typing {
    /// Everything that the engine and the saved queries have names for.
    pub fn new(engine: &Engine, saved: &BTreeMap<String, SavedQuery>) -> Typing {
        let tables = engine.table_names();
        let mut words: Vec<String> = KEYWORDS.iter().map(|word| (*word).to_owned()).collect();
        words.extend(tables.iter().cloned());
        for table in engine.tables() {
            words.extend(table.columns.iter().map(|column| column.name.to_owned()));
            words.extend(table.time_name.map(str::to_owned));
        }
        for view in VIEWS {
            words.extend(view.columns().into_iter().map(|(name, _)| name.to_owned()));
        }
        words.extend(["time", "date", "_object", "_record"].map(str::to_owned));
        words.extend(functions::list().into_iter().map(|doc| format!("{}(", doc.name)));
        words.sort();
        words.dedup();
        Typing { words, tables, saved: saved.keys().cloned().collect() }
    }

    /// Start of the word at the end of `line`, and what it could become.
    fn candidates(&self, line: &str) -> (usize, Vec<String>) {
        let breaks = |c: char| c.is_whitespace() || "(),;=<>!+-*/|'\"[]".contains(c);
        let start = line
            .rfind(breaks)
            .map_or(0, |place| place + line.get(place..).and_then(|s| s.chars().next()).map_or(1, char::len_utf8));
        let word = line.get(start..).unwrap_or_default();
        let before = line.get(..start).unwrap_or_default().trim_end();
        let names = match before {
            "\\d" => &self.tables,
            "\\saved" | "\\run" => &self.saved,
            _ => &self.words,
        };
        if before.is_empty() && word.starts_with('\\') {
            return (start, matching(COMMANDS.iter().map(|(name, _)| *name), word));
        }
        if word.is_empty() && std::ptr::eq(names, &self.words) {
            return (start, Vec::new());
        }
        let found = matching(names.iter().map(String::as_str), word);
        match word.split_once('.') {
            // `c.userId` after an alias: complete what follows it.
            Some((alias, rest)) if found.is_empty() && !rest.is_empty() => {
                (start + alias.len() + 1, matching(names.iter().map(String::as_str), rest))
            }
            _ => (start, found),
        }
    }
}

fn matching<'a>(names: impl Iterator<Item = &'a str>, word: &str) -> Vec<String> {
    let wanted = word.to_lowercase();
    names.filter(|name| name.to_lowercase().starts_with(&wanted)).map(str::to_owned).collect()
}

/// True when what was typed can be run: a command, or statements that all end with a semicolon.
fn is_complete(input: &str) -> bool {
    input.trim().is_empty() || input.trim_start().starts_with('\\') || split(input).rest.is_none()
}

impl Completer for Typing {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.candidates(line.get(..at).unwrap_or(line)))
    }
}

impl Validator for Typing {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(if is_complete(context.input()) { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

impl Hinter for Typing {
    type Hint = String;
}

impl Highlighter for Typing {}

impl Helper for Typing {}

#[cfg(test)]
mod tests {
    use super::*;

    fn typing() -> Typing {
        let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Typing {
            words: own(&["FROM", "cloudtrail", "eventName", "eventSource", "ip_in(", "userIdentity.arn"]),
            tables: own(&["cloudtrail", "vpcflow"]),
            saved: own(&["key_activity"]),
        }
    }

    #[test]
    fn words_are_completed_in_any_case_and_after_aliases() {
        let typing = typing();
        assert_eq!(typing.candidates("SELECT EVENTN"), (7, vec!["eventName".into()]));
        assert_eq!(typing.candidates("SELECT ip_"), (7, vec!["ip_in(".into()]));
        assert_eq!(typing.candidates("SELECT userid"), (7, vec!["userIdentity.arn".into()]));
        assert_eq!(typing.candidates("SELECT lower(c.useri"), (15, vec!["userIdentity.arn".into()]));
        assert_eq!(typing.candidates("SELECT ünï, fro"), (14, vec!["FROM".into()]));
        assert_eq!(typing.candidates("SELECT "), (7, vec![]));
    }

    #[test]
    fn commands_complete_their_own_names() {
        let typing = typing();
        assert_eq!(typing.candidates("\\d "), (3, vec!["cloudtrail".into(), "vpcflow".into()]));
        assert_eq!(typing.candidates("\\run ke"), (5, vec!["key_activity".into()]));
        assert_eq!(typing.candidates("\\ti"), (0, vec!["\\timing".into()]));
    }

    #[test]
    fn statements_go_on_until_their_semicolon() {
        assert!(is_complete("SELECT 1;") && is_complete("\\d cloudtrail") && is_complete("  "));
        assert!(!is_complete("SELECT ';'") && !is_complete("SELECT 1; SELECT 2"));
        assert!(is_complete("SELECT 1; -- done"));
    }
}
