//! JSON text to values: one pass, bounded depth and size, no recursion over what is skipped.
//!
//! Bodies are written by callers and models, so nothing in them may hide the rest: a lone surrogate, a number that fits
//! no type or a value nested 100,000 levels deep must cost that value only, not the prompt beside it.

use std::borrow::Cow;

use memchr::memchr2;

use super::json::Json;

/// Levels that are read; deeper containers are skipped. The parser and everything that walks a tree recurse this far,
/// so it has to fit a worker thread's stack many times over.
const MAX_DEPTH: usize = 100;

/// Values that are read per text, which bounds memory (about 40 bytes each); the rest of the container is skipped.
const MAX_VALUES: usize = 1_000_000;

/// Reads one JSON value that makes up the whole text.
pub(super) fn parse(text: &str) -> Result<Json<'_>, String> {
    let mut parser = Parser::new(text);
    let value = parser.value(0)?;
    match parser.peek() {
        None => Ok(value),
        Some(_) => Err(parser.error("unexpected text after the value")),
    }
}

/// Reads a text of one or more JSON values with whitespace between them: one value as itself, more as a list.
pub(super) fn parse_many(text: &str) -> Result<Json<'_>, String> {
    let mut parser = Parser::new(text);
    let mut values = vec![parser.value(0)?];
    while parser.peek().is_some() {
        values.push(parser.value(1)?);
    }
    Ok(if values.len() == 1 { values.remove(0) } else { Json::List(values, text) })
}

/// Calls `found` with each key of the object in `text`, and with the value if it is a string without escapes, until it
/// returns false. Values are not read, only stepped over, and only when more keys are wanted. False when `text` is not an object.
pub(super) fn keys(text: &str, mut found: impl FnMut(&str, Option<&str>) -> bool) -> bool {
    let mut parser = Parser::new(text);
    parser.each_key(&mut found).is_ok()
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    values: usize,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Self {
        Parser { text, at: 0, values: 0 }
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
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'-' | b'0'..=b'9') => Ok(Json::Number(self.number())),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(_) => Err(self.error("expected a value")),
            None => Err(self.error("the text ends where a value should be")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json<'t>, String> {
        let start = self.at;
        self.at += 1;
        let mut fields = Vec::new();
        if self.closes(b'}') {
            return Ok(Json::Object(fields, self.since(start)));
        }
        loop {
            let key = self.key()?;
            if self.exhausted()? {
                break;
            }
            fields.push((key, self.value(depth + 1)?));
            if !self.goes_on(b'}')? {
                break;
            }
        }
        Ok(Json::Object(fields, self.since(start)))
    }

    fn list(&mut self, depth: usize) -> Result<Json<'t>, String> {
        let start = self.at;
        self.at += 1;
        let mut items = Vec::new();
        if self.closes(b']') {
            return Ok(Json::List(items, self.since(start)));
        }
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
        Ok(Json::List(items, self.since(start)))
    }

    fn key(&mut self) -> Result<Cow<'t, str>, String> {
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
                if !found(&key, text) {
                    return Ok(());
                }
            } else {
                if !found(&key, None) {
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
    fn string(&mut self) -> Result<Cow<'t, str>, String> {
        let start = self.at;
        self.find_quote_or_backslash()?;
        if self.byte() == Some(b'"') {
            let text = self.since(start);
            self.at += 1;
            return Ok(Cow::Borrowed(text));
        }
        let mut text = String::from(self.since(start));
        loop {
            self.at += 1;
            self.escape(&mut text)?;
            let start = self.at;
            self.find_quote_or_backslash()?;
            let piece = self.since(start);
            if text.capacity() - text.len() < piece.len() {
                // Long texts have many escapes: growing fourfold copies less than growing twofold.
                text.reserve(piece.len() + text.len() * 3);
            }
            text.push_str(piece);
            if self.byte() == Some(b'"') {
                self.at += 1;
                return Ok(Cow::Owned(text));
            }
        }
    }

    /// One escape sequence, after its backslash.
    fn escape(&mut self, text: &mut String) -> Result<(), String> {
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
    fn unicode(&mut self, text: &mut String) -> Result<(), String> {
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
        self.since(start)
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
            self.find_quote_or_backslash()?;
            if self.byte() == Some(b'"') {
                self.at += 1;
                return Ok(());
            }
            self.at += 2;
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

    fn find_quote_or_backslash(&mut self) -> Result<(), String> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        match quote_or_backslash(rest) {
            Some(distance) => {
                self.at += distance;
                Ok(())
            }
            None => Err(self.error("the text ends inside a string")),
        }
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

/// Distance to the first `"` or `\`: in short strings by looking at eight bytes at a time, then with vectors.
fn quote_or_backslash(bytes: &[u8]) -> Option<usize> {
    const NEAR: usize = 2;
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
    /// The high bit of each byte that is zero; bits above the first such byte may be wrong.
    fn zeros(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word & HIGHS
    }
    let words = bytes.as_chunks::<8>().0;
    for (index, word) in words.iter().take(NEAR).enumerate() {
        let word = u64::from_le_bytes(*word);
        let hits = zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\')));
        if hits != 0 {
            return Some(index * 8 + hits.trailing_zeros() as usize / 8);
        }
    }
    let near = words.len().min(NEAR) * 8;
    memchr2(b'"', b'\\', bytes.get(near..)?).map(|distance| near + distance)
}
