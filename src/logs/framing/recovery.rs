//! Where to go on after damaged JSON: at its end if brackets still tell, else where the next record begins.

use crate::logs::json::Scanner;
use crate::logs::{LogType, bedrock, cloudtrail};

/// How much of a damaged piece is looked at to tell its log type.
const LOOKED_AT: usize = 4096;

/// Finds the next record of a list or stream. Searches go forward only, so that much damage costs linear time.
#[derive(Debug)]
pub(super) struct Recovery<'d> {
    text: &'d str,
    lines: Option<Mark>,
    records: Mark,
    first_key: Option<&'d str>,
}

/// The next place that was found, good until it is passed.
#[derive(Debug, Default, Clone, Copy)]
struct Mark {
    searched_from: usize,
    found: Option<usize>,
    known: bool,
}

impl<'d> Recovery<'d> {
    /// For the items of a list.
    pub fn in_list(text: &'d str) -> Self {
        Recovery { text, lines: None, records: Mark::default(), first_key: None }
    }

    /// For records on lines of their own, or one after the other.
    pub fn in_stream(text: &'d str) -> Self {
        Recovery { lines: Some(Mark::default()), ..Self::in_list(text) }
    }

    /// Remembers the first key of the object at `at`: records of one list begin alike.
    #[inline]
    pub fn learn(&mut self, at: usize) {
        if self.first_key.is_some() {
            return;
        }
        let mut scanner = Scanner::new(self.text, at + 1);
        if let Ok(Some(key)) = scanner.member(true)
            && !key.raw.is_empty()
        {
            self.first_key = Some(key.raw);
        }
    }

    /// Where to go on after a damaged value that begins at `at`: behind it, always further than `at`.
    pub fn after(&mut self, at: usize) -> usize {
        let text = self.text;
        let line = self.lines.as_mut().and_then(|mark| mark.next(at, |from| next_line(text, from)));
        let record = self.first_key.and_then(|key| self.records.next(at, |from| next_record(text, key, from)));
        let next = match (line, record) {
            (Some(line), Some(record)) => Some(line.min(record)),
            (one, other) => one.or(other),
        };
        let limit = next.unwrap_or(text.len());
        end_by_brackets(text, at, limit).unwrap_or(limit)
    }
}

impl Mark {
    fn next(&mut self, at: usize, search: impl FnOnce(usize) -> Option<usize>) -> Option<usize> {
        let good = self.known && self.searched_from <= at && self.found.is_none_or(|found| found > at);
        if !good {
            *self = Mark { searched_from: at, found: search(at + 1), known: true };
        }
        self.found
    }
}

/// The next line that begins with an object.
fn next_line(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes().get(from..)?;
    bytes.windows(2).position(|pair| pair == b"\n{").map(|found| from + found + 1)
}

/// The next object whose first key is `key`.
fn next_record(text: &str, key: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = from;
    loop {
        let rest = text.get(at..).or_else(|| text.get(text.ceil_char_boundary(at)..))?;
        let found = text.len() - rest.len() + rest.find(key)?;
        at = found + 1;
        let quoted = bytes.get(found.wrapping_sub(1)) == Some(&b'"') && bytes.get(found + key.len()) == Some(&b'"');
        let before = bytes.get(..found - usize::from(quoted)).unwrap_or_default().trim_ascii_end();
        let colon = Scanner::new(text, found + key.len() + 1).peek() == Some(b':');
        if quoted && colon && before.last() == Some(&b'{') && before.len() > from {
            return Some(before.len() - 1);
        }
    }
}

/// The end of the value at `at` if its brackets and quotes are balanced before `limit`. Scalars end at a separator.
fn end_by_brackets(text: &str, at: usize, limit: usize) -> Option<usize> {
    let bytes = text.as_bytes().get(..limit)?;
    let mut depth = 0usize;
    let mut here = at;
    while let Some(byte) = bytes.get(here) {
        match byte {
            b'"' => {
                here += 1;
                while *bytes.get(here)? != b'"' {
                    here += if bytes.get(here) == Some(&b'\\') { 2 } else { 1 };
                }
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' | b',' | b'\n' if depth == 0 => return (here > at).then_some(here),
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(here + 1);
                }
            }
            _ => {}
        }
        here += 1;
    }
    None
}

/// The log type that a damaged piece of JSON seems to be of.
pub(super) fn resembles(piece: &[u8]) -> Option<&'static LogType> {
    let start = String::from_utf8_lossy(piece.get(..LOOKED_AT).unwrap_or(piece));
    let has = |key: &str| start.contains(key);
    if !start.trim_start().starts_with(['{', '[']) {
        return None;
    }
    if has("\"ModelInvocationLog\"") || (has("\"modelId\"") && has("\"requestId\"")) {
        return Some(&bedrock::BEDROCK);
    }
    if has("\"eventSource\"") || has("\"eventVersion\"") || has("\"Records\"") || has_text(&start, "\"eventName\"") {
        return Some(&cloudtrail::CLOUDTRAIL);
    }
    None
}

/// True when the key has a string as its value.
fn has_text(json: &str, key: &str) -> bool {
    let value = json.split_once(key).and_then(|(_, rest)| rest.trim_start().strip_prefix(':'));
    value.is_some_and(|value| value.trim_start().starts_with('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(text: &str, damaged: &str) -> String {
        let at = text.find(damaged).unwrap_or_default();
        let mut recovery = Recovery::in_list(text);
        recovery.learn(text.find('{').unwrap_or_default());
        text[recovery.after(at)..].to_owned()
    }

    #[test]
    fn balanced_damage_ends_where_it_ends() {
        assert_eq!(rest(r#"[{"a":1},{"a" 2, "b":{"c":"}"}},{"a":3}]"#, r#"{"a" 2"#), r#",{"a":3}]"#);
        assert_eq!(rest("[NaN,1]", "NaN"), ",1]");
    }

    #[test]
    fn unbalanced_damage_ends_where_the_next_record_begins() {
        assert_eq!(rest(r#"[{"a":1},{"a":"cut { "a" : 3}]"#, r#"{"a":"cut"#), r#"{ "a" : 3}]"#);
        assert_eq!(rest(r#"[{"a":1},{"a":{"b":[{"a":3}]"#, r#"{"a":{"b"#), r#"{"a":3}]"#);
        assert_eq!(rest(r#"[{"a":1},{"a":{"b":["#, r#"{"a":{"b"#), "");
    }

    #[test]
    fn lines_begin_anew() {
        let text = "{\"a\":\"cut\n{\"b\":1}";
        assert_eq!(&text[Recovery::in_stream(text).after(0)..], "{\"b\":1}");
    }

    #[test]
    fn damaged_pieces_tell_their_log() {
        let name = |text: &str| resembles(text.as_bytes()).map(|log| log.name);
        assert_eq!(name(r#"{"Records":[{"#), Some("cloudtrail"));
        assert_eq!(name(r#"{"schemaType":"ModelInvocationLog","#), Some("bedrock"));
        assert_eq!(name(r#"{"eventName": {"value": "EndRequest""#), None);
        assert_eq!(name(r#"text with "Records""#), None);
    }
}
