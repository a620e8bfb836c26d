//! JSON text to values: one pass, bounded depth and size, no recursion over what is skipped.
//!
//! Values live in an arena, which is let go of as a whole: a body may have thousands, and texts that are too long for an
//! allocator's quick paths.
//!
//! Bodies are written by callers and models, so nothing in them may hide the rest: a lone surrogate, a number that fits
//! no type or a value nested 100,000 levels deep must cost that value only, not the prompt beside it.

use bumpalo::Bump;
use bumpalo::collections::{String as ArenaString, Vec as ArenaVec};

use super::json::Json;
use crate::logs::json::{Scanner, Value, specials_of};

/// Levels that are read; deeper containers are skipped. The parser and everything that walks a tree recurse this far,
/// so it has to fit a worker thread's stack many times over.
const MAX_DEPTH: usize = 100;

/// Values that are read per text, which bounds memory (below 200 bytes each); the rest of the container is skipped.
const MAX_VALUES: usize = 1_000_000;

/// Reads one JSON value that makes up the whole text.
pub(super) fn parse<'t>(text: &'t str, arena: &'t Bump) -> Result<Json<'t>, String> {
    let mut parser = Parser::new(text, arena);
    let value = parser.value(0)?;
    match parser.peek() {
        None => Ok(value),
        Some(_) => Err(parser.error("unexpected text after the value")),
    }
}

/// Reads a text of one or more JSON values with whitespace between them: one value as itself, more as a list.
pub(super) fn parse_many<'t>(text: &'t str, arena: &'t Bump) -> Result<Json<'t>, String> {
    let mut parser = Parser::new(text, arena);
    let first = parser.value(0)?;
    if parser.peek().is_none() {
        return Ok(first);
    }
    let mut values = ArenaVec::new_in(arena);
    values.push(first);
    while parser.peek().is_some() {
        if parser.values >= MAX_VALUES {
            values.push(Json::Skipped);
            break;
        }
        values.push(parser.value(1)?);
    }
    Ok(Json::List(values.into_bump_slice(), text))
}

/// Reads the object that begins at byte `at` of a text, and returns it with its own text: only if `known` is true for all its
/// keys, and it is sound.
///
/// An object is sound when nothing of it was skipped and a [`Scanner`] would pass over it without a fault. This parser is
/// more lenient with control characters, numbers and depth.
pub(super) fn sound_object<'t>(
    text: &'t str,
    at: usize,
    arena: &'t Bump,
    known: fn(&str) -> bool,
) -> Option<(Json<'t>, &'t str)> {
    let mut parser = Parser { at, ..Parser::new(text, arena) };
    let object = parser.object(0, known).ok().filter(|_| parser.sound)?;
    Some((object, parser.since(at)))
}

/// Calls `found` with each key of the object in `text`, and with the value if it is a string without escapes, until it
/// returns false. Values are not read, only stepped over, and only when more keys are wanted. False when `text` is not an object.
pub(super) fn keys(text: &str, mut found: impl FnMut(&str, Option<&str>) -> bool) -> bool {
    Parser::new(text, &Bump::new()).each_key(&mut found).is_ok()
}

/// Bytes that [`specials_of`] looks at together.
const BLOCK: usize = 64;

struct Parser<'t> {
    text: &'t str,
    arena: &'t Bump,
    at: usize,
    values: usize,
    /// False when something was skipped, or was read that is no strict JSON.
    sound: bool,
    /// The block of 64 bytes that was looked at last: where it begins, and its quotes, backslashes and control characters.
    block: usize,
    marks: u64,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str, arena: &'t Bump) -> Self {
        // No block was looked at yet: the one after the end has no marks.
        Parser { text, arena, at: 0, values: 0, sound: true, block: text.len(), marks: 0 }
    }

    fn value(&mut self, depth: usize) -> Result<Json<'t>, String> {
        self.values += 1;
        match self.peek() {
            Some(b'"') => {
                self.at += 1;
                Ok(Json::Text(self.string()?))
            }
            Some(b'{' | b'[') if depth >= MAX_DEPTH => {
                self.at += 1;
                self.skip_rest()?;
                Ok(Json::Skipped)
            }
            Some(b'{') => self.object(depth, |_| true),
            Some(b'[') => self.list(depth),
            Some(b'-' | b'0'..=b'9') => Ok(Json::Number(self.number())),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(_) => Err(self.error("expected a value")),
            None => Err(self.error("the text ends where a value should be")),
        }
    }

    /// Reads an object as long as its keys are `known`.
    fn object(&mut self, depth: usize, known: impl Fn(&str) -> bool) -> Result<Json<'t>, String> {
        let start = self.at;
        self.at += 1;
        if self.closes(b'}') {
            return Ok(Json::Object(&[], self.since(start)));
        }
        let mut fields = ArenaVec::new_in(self.arena);
        loop {
            let key = self.key()?;
            if !known(key) {
                return Err(self.error("unknown key"));
            }
            if self.exhausted()? {
                break;
            }
            fields.push((key, self.value(depth + 1)?));
            if !self.goes_on(b'}')? {
                break;
            }
        }
        Ok(Json::Object(fields.into_bump_slice(), self.since(start)))
    }

    fn list(&mut self, depth: usize) -> Result<Json<'t>, String> {
        let start = self.at;
        self.at += 1;
        if self.closes(b']') {
            return Ok(Json::List(&[], self.since(start)));
        }
        let mut items = ArenaVec::new_in(self.arena);
        loop {
            if self.exhausted()? {
                items.push(Json::Skipped);
                break;
            }
            items.push(self.value(depth + 1)?);
            if !self.goes_on(b']')? {
                break;
            }
        }
        Ok(Json::List(items.into_bump_slice(), self.since(start)))
    }

    fn key(&mut self) -> Result<&'t str, String> {
        if self.peek() != Some(b'"') {
            return Err(self.error("expected a key"));
        }
        self.at += 1;
        let key = self.string()?;
        if self.peek() != Some(b':') {
            return Err(self.error("expected a colon"));
        }
        self.at += 1;
        Ok(key)
    }

    fn each_key(&mut self, found: &mut impl FnMut(&str, Option<&str>) -> bool) -> Result<(), String> {
        if self.peek() != Some(b'{') {
            return Err(self.error("expected an object"));
        }
        self.at += 1;
        if self.closes(b'}') {
            return Ok(());
        }
        loop {
            let key = self.key()?;
            if self.peek() == Some(b'"') {
                let text = self.plain_text()?;
                if !found(key, text) {
                    return Ok(());
                }
            } else {
                if !found(key, None) {
                    return Ok(());
                }
                match self.peek() {
                    Some(b'{' | b'[') => {
                        self.at += 1;
                        self.skip_rest()?;
                    }
                    _ => drop(self.value(0)?),
                }
            }
            if !self.goes_on(b'}')? {
                return Ok(());
            }
        }
    }

    /// Steps over a string; what stands between its quotes.
    fn plain_text(&mut self) -> Result<Option<&'t str>, String> {
        self.at += 1;
        let start = self.at;
        self.skip_string()?;
        Ok(self.text.get(start..self.at - 1))
    }

    /// Text after an opening quote up to its closing quote.
    fn string(&mut self) -> Result<&'t str, String> {
        let mut start = self.at;
        let mut text = ArenaString::new_in(self.arena);
        let mut escaped = false;
        loop {
            match self.special()? {
                b'"' => {
                    let piece = self.since(start);
                    self.at += 1;
                    if !escaped {
                        return Ok(piece);
                    }
                    text.push_str(piece);
                    return Ok(text.into_bump_str());
                }
                b'\\' => {
                    let piece = self.since(start);
                    if text.capacity() - text.len() < piece.len() + 4 {
                        // Long texts have many escapes: growing fourfold copies less than growing twofold.
                        text.reserve(piece.len() + 4 + text.len() * 3);
                    }
                    text.push_str(piece);
                    self.at += 1;
                    self.escape(&mut text)?;
                    (start, escaped) = (self.at, true);
                }
                _ => self.pass_control(),
            }
        }
    }

    /// One escape sequence, after its backslash.
    fn escape(&mut self, text: &mut ArenaString<'_>) -> Result<(), String> {
        let letter = self.byte().ok_or_else(|| self.error("the text ends inside a string"))?;
        let plain = match letter {
            b'"' | b'\\' | b'/' => letter as char,
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(text),
            _ => return Err(self.error("unknown escape")),
        };
        self.at += 1;
        text.push(plain);
        Ok(())
    }

    /// `uXXXX`, or a pair of them for characters beyond the basic plane.
    fn unicode(&mut self, text: &mut ArenaString<'_>) -> Result<(), String> {
        let first = self.hex(self.at + 1).ok_or_else(|| self.error("four hex digits expected"))?;
        self.at += 5;
        let high = (0xD800..0xDC00).contains(&first);
        if high && self.text.get(self.at..self.at + 2) == Some("\\u") {
            let second = self.hex(self.at + 2).filter(|code| (0xDC00..0xE000).contains(code));
            if let Some(second) = second {
                self.at += 6;
                let code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                return Ok(());
            }
        }
        text.push(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
        Ok(())
    }

    fn hex(&self, start: usize) -> Option<u32> {
        let digits = self.text.get(start..start + 4)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        u32::from_str_radix(digits, 16).ok()
    }

    fn number(&mut self) -> &'t str {
        let start = self.at;
        while matches!(self.byte(), Some(b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')) {
            self.at += 1;
        }
        let number = self.since(start);
        self.sound &= Scanner::new(number, 0).value().is_ok_and(|value| value == Value::Number(number));
        number
    }

    fn word(&mut self, word: &str, value: Json<'t>) -> Result<Json<'t>, String> {
        if !self.text.as_bytes().get(self.at..).is_some_and(|rest| rest.starts_with(word.as_bytes())) {
            return Err(self.error("expected a value"));
        }
        self.at += word.len();
        Ok(value)
    }

    /// Steps over the rest of the container whose opening bracket was just read.
    fn skip_rest(&mut self) -> Result<(), String> {
        self.sound = false;
        let mut open = 1usize;
        while let Some(byte) = self.byte() {
            self.at += 1;
            match byte {
                b'"' => self.skip_string()?,
                b'{' | b'[' => open += 1,
                b'}' | b']' => open -= 1,
                _ => {}
            }
            if open == 0 {
                return Ok(());
            }
        }
        Err(self.error("the text ends inside an object or array"))
    }

    /// Steps over the rest of a string, closing quote included.
    fn skip_string(&mut self) -> Result<(), String> {
        loop {
            match self.special()? {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => self.at += 2,
                _ => self.pass_control(),
            }
        }
    }

    /// When too many values were read: steps over the rest of the container and says so.
    fn exhausted(&mut self) -> Result<bool, String> {
        if self.values < MAX_VALUES {
            return Ok(false);
        }
        self.skip_rest()?;
        Ok(true)
    }

    /// Goes to the next quote, backslash or control character of a string, and shows it.
    ///
    /// What is known of a block serves all strings in it, so that short ones cost no search of their own.
    #[inline]
    fn special(&mut self) -> Result<u8, String> {
        if self.at.wrapping_sub(self.block) >= BLOCK {
            self.look_at_block(self.at);
        }
        let mut ahead = self.marks & u64::MAX << (self.at - self.block);
        while ahead == 0 {
            let next = self.block + BLOCK;
            if next >= self.text.len() {
                return Err(self.error("the text ends inside a string"));
            }
            self.look_at_block(next);
            ahead = self.marks;
        }
        self.at = self.block + ahead.trailing_zeros() as usize;
        self.byte().ok_or_else(|| self.error("the text ends inside a string"))
    }

    #[inline]
    fn look_at_block(&mut self, start: usize) {
        self.block = start;
        self.marks = specials_of(self.text.as_bytes().get(start..).unwrap_or_default());
    }

    /// A control character in a string stays as it is.
    #[cold]
    fn pass_control(&mut self) {
        self.sound = false;
        self.at += 1;
    }

    /// True, and past it, when the next byte closes the container.
    fn closes(&mut self, close: u8) -> bool {
        let closes = self.peek() == Some(close);
        if closes {
            self.at += 1;
        }
        closes
    }

    /// Reads what follows a value in a container: true after a comma, false after the closing bracket.
    fn goes_on(&mut self, close: u8) -> Result<bool, String> {
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            _ => Err(self.error("expected a comma or the end of the object or array")),
        }
    }

    /// The next byte that is not whitespace, without passing it.
    fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.byte() {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Text from `start` to here. Both lie beside ASCII, so never inside a character.
    fn since(&self, start: usize) -> &'t str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn error(&self, what: &str) -> String {
        format!("not JSON: {what} (byte {})", self.at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The text of the object that `text` begins with, when it is sound and its keys are known.
    fn sound_of(text: &str, known: fn(&str) -> bool) -> Option<String> {
        let arena = Bump::new();
        sound_object(text, 0, &arena, known).map(|(_, raw)| raw.to_owned())
    }

    fn sound(text: &str) -> Option<String> {
        sound_of(text, |_| true)
    }

    /// What the strict scanner takes for the first object of a text.
    fn strict(text: &str) -> Option<&str> {
        match Scanner::new(text, 0).value() {
            Ok(Value::Object(raw)) => Some(raw),
            _ => None,
        }
    }

    #[test]
    fn an_object_is_sound_when_it_is_strict_json_and_not_deep() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(110), "]".repeat(110));
        assert_eq!((strict(&deep), sound(&deep)), (Some(deep.as_str()), None));
        for distance in 0..140 {
            let pad = "x".repeat(distance);
            let good = format!("{{\"{pad}\":\"{pad}\\n{pad}\\\"\"}}");
            assert_eq!(sound(&format!("{good}, and more")), Some(good));
            assert_eq!(sound(&format!("{{\"{pad}\":\"{pad}\u{1}\"}}")), None);
            assert_eq!(sound(&format!("{{\"{pad}\":\"{pad}")), None);
        }
        assert_eq!(sound_of("{\"a\":1}", |key| key == "b"), None);
        assert_eq!(sound("{\"a\":01}"), None);
    }

    #[test]
    fn values_one_after_the_other_are_bounded() {
        let text = "1 ".repeat(MAX_VALUES + 10);
        let arena = Bump::new();
        let read = parse_many(&text, &arena).expect("numbers");
        assert_eq!(read.items().len(), MAX_VALUES + 1);
        assert!(matches!(read.items().last(), Some(Json::Skipped)));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_sound_is_what_the_strict_scanner_takes(
            text in r#"\{"a{0,70}":[\[\]{},:"\\ 0-9a-ftruenlsE.\n+-]{0,40}\}{0,3}"#,
        ) {
            let sound = sound(&text);
            prop_assert_eq!(sound.as_deref(), strict(&text), "{}", text);
        }

        #[test]
        fn every_text_comes_back(text in any::<String>(), pad in 0usize..140) {
            let text = format!("{}{text}", "é".repeat(pad));
            let json = serde_json::to_string(&[&text, &text]).unwrap_or_default();
            let arena = Bump::new();
            let read = parse(&json, &arena).map(|list| list.items().iter().map(|item| item.text() == Some(&text)).collect());
            prop_assert_eq!(read, Ok(vec![!text.is_empty(); 2]));
        }
    }
}
