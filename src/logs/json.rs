//! JSON read in place: a scanner that checks what it passes over, bounds the depth and copies nothing.

mod escapes;

pub use escapes::unescape;

use wide::u8x16;

use crate::logs::text::{at_most, last_block, marks};

/// Deepest nesting that a value may have: real records stay below 30.
pub const MAX_DEPTH: u32 = 127;

/// Why a text is not JSON.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fault {
    /// Byte position in the text.
    pub at: usize,
    /// What was wrong there.
    pub why: &'static str,
}

/// The text ends before the value does.
pub const CUT_OFF: &str = "the text ends in the middle";
/// A control character, or a byte that is not UTF-8 and was replaced by one.
pub const CONTROL: &str = "control character in a string";

/// A checked value, still as text. All payloads are alike, so that values move through registers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// `true`.
    True,
    /// `false`.
    False,
    /// A number as written.
    Number(&'a str),
    /// What stands between the quotes of a string without escapes.
    Text(&'a str),
    /// What stands between the quotes of a string with escapes, see [`unescape`].
    Escaped(&'a str),
    /// An object with its braces.
    Object(&'a str),
    /// An array with its brackets.
    Array(&'a str),
}

/// The key of an object's member.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Key<'a> {
    /// What stands between the quotes.
    pub raw: &'a str,
    /// True when `raw` holds escapes.
    pub escaped: bool,
}

/// Walks over JSON text.
#[derive(Debug, Clone)]
pub struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

/// A result whose rare error is a pointer: the frequent values fit registers.
type Scan<T> = std::result::Result<T, Box<Fault>>;

impl<'a> Scanner<'a> {
    /// A scanner that stands at byte `at` of `text`, which must be a character's first byte.
    pub fn new(text: &'a str, at: usize) -> Self {
        Scanner { text, at }
    }

    /// The byte position of the next unread character.
    #[inline]
    pub fn position(&self) -> usize {
        self.at
    }

    /// The text from here up to byte `end`.
    pub fn text_to(&self, end: usize) -> &'a str {
        self.slice(self.at, end)
    }

    /// Passes one byte that [`Scanner::peek`] showed.
    #[inline]
    pub fn eat(&mut self) {
        self.at += 1;
    }

    /// Passes white space and shows the byte after it; `None` at the end of the text.
    #[inline(always)]
    pub fn peek(&mut self) -> Option<u8> {
        let byte = *self.text.as_bytes().get(self.at)?;
        if byte > b' ' { Some(byte) } else { self.space() }
    }

    fn space(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.as_bytes().get(self.at)?;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// The key of the next member and its colon, or `None` after the closing brace; `first` after the opening brace.
    #[inline(always)]
    pub fn member(&mut self, first: bool) -> Scan<Option<Key<'a>>> {
        let mut byte = self.need()?;
        if byte == b'}' {
            self.at += 1;
            return Ok(None);
        }
        if !first {
            if byte != b',' {
                return Err(self.fault("expected ',' or '}' after a value"));
            }
            self.at += 1;
            byte = self.need()?;
        }
        if byte != b'"' {
            return Err(self.fault("expected a key in quotes"));
        }
        self.key().map(Some)
    }

    /// Checks the next value and returns it.
    #[inline(always)]
    pub fn value(&mut self) -> Scan<Value<'a>> {
        let byte = self.need()?;
        let start = self.at;
        match byte {
            b'"' => {
                let escaped = self.string()?;
                let inner = self.slice(start + 1, self.at - 1);
                Ok(if escaped { Value::Escaped(inner) } else { Value::Text(inner) })
            }
            b'{' => self.skip().map(|()| Value::Object(self.slice(start, self.at))),
            b'[' => self.skip().map(|()| Value::Array(self.slice(start, self.at))),
            b't' => self.literal("true").map(|()| Value::True),
            b'f' => self.literal("false").map(|()| Value::False),
            b'n' => self.literal("null").map(|()| Value::Null),
            b'-' | b'0'..=b'9' => self.number().map(|()| Value::Number(self.slice(start, self.at))),
            _ => Err(self.fault("expected a value")),
        }
    }

    /// Checks and passes the next value. Depth is a stack of bits under a sentinel: 1 for objects, 0 for arrays.
    #[inline(never)]
    fn skip(&mut self) -> Scan<()> {
        let mut open: u128 = 1;
        loop {
            match self.need()? {
                b'"' => {
                    self.string()?;
                }
                b'{' => {
                    self.at += 1;
                    match self.need()? {
                        b'}' => self.at += 1,
                        b'"' => {
                            open = self.deeper(open)? | 1;
                            self.key()?;
                            continue;
                        }
                        _ => return Err(self.fault("expected a key in quotes")),
                    }
                }
                b'[' => {
                    self.at += 1;
                    if self.need()? == b']' {
                        self.at += 1;
                    } else {
                        open = self.deeper(open)?;
                        continue;
                    }
                }
                b't' => self.literal("true")?,
                b'f' => self.literal("false")?,
                b'n' => self.literal("null")?,
                b'-' | b'0'..=b'9' => self.number()?,
                _ => return Err(self.fault("expected a value")),
            }
            while open != 1 {
                let byte = self.need()?;
                let in_object = open & 1 == 1;
                match byte {
                    b',' if in_object => {
                        self.at += 1;
                        if self.need()? != b'"' {
                            return Err(self.fault("expected a key in quotes"));
                        }
                        self.key()?;
                        break;
                    }
                    b',' => {
                        self.at += 1;
                        break;
                    }
                    b'}' if in_object => open >>= 1,
                    b']' if !in_object => open >>= 1,
                    _ if in_object => return Err(self.fault("expected ',' or '}' after a value")),
                    _ => return Err(self.fault("expected ',' or ']' after a value")),
                }
                self.at += 1;
            }
            if open == 1 {
                return Ok(());
            }
        }
    }

    fn deeper(&self, open: u128) -> Scan<u128> {
        if open >> MAX_DEPTH != 0 {
            return Err(self.fault("nested too deep (127 levels are allowed)"));
        }
        Ok(open << 1)
    }

    /// A string and the colon after it; the scanner stands at the opening quote.
    #[inline(always)]
    fn key(&mut self) -> Scan<Key<'a>> {
        let start = self.at + 1;
        let escaped = self.string()?;
        let raw = self.slice(start, self.at - 1);
        if self.need()? != b':' {
            return Err(self.fault("expected ':' after a key"));
        }
        self.at += 1;
        Ok(Key { raw, escaped })
    }

    /// Passes a string whose opening quote is next; true when it holds escapes.
    #[inline(always)]
    fn string(&mut self) -> Scan<bool> {
        self.at += 1;
        let mut escaped = false;
        loop {
            let Some(at) = near_special(self.text.as_bytes(), self.at) else { return self.long_string(escaped) };
            self.at = at;
            if self.special(&mut escaped)? {
                return Ok(escaped);
            }
        }
    }

    /// Passes the rest of a string that goes on for long, such as a prompt in the body of a model invocation, or that may
    /// be cut off.
    #[inline(never)]
    fn long_string(&mut self, mut escaped: bool) -> Scan<bool> {
        let bytes = self.text.as_bytes();
        while let Some(rest) = bytes.get(self.at..).filter(|rest| !rest.is_empty()) {
            let start = self.at;
            let mut marks = specials_of(rest);
            while marks != 0 {
                self.at = start + marks.trailing_zeros() as usize;
                if self.special(&mut escaped)? {
                    return Ok(escaped);
                }
                let passed = (self.at - start) as u32;
                marks &= u64::MAX.checked_shl(passed).unwrap_or(0);
            }
            self.at = self.at.max(bytes.len().min(start + 64));
        }
        Err(self.fault(CUT_OFF))
    }

    /// Passes the quote or escape of a string that is next: true when the string ends with it.
    #[inline(always)]
    fn special(&mut self, escaped: &mut bool) -> Scan<bool> {
        match self.text.as_bytes().get(self.at) {
            Some(b'"') => {
                self.at += 1;
                Ok(true)
            }
            Some(b'\\') => {
                *escaped = true;
                self.escape()?;
                Ok(false)
            }
            _ => Err(self.fault(CONTROL)),
        }
    }

    fn escape(&mut self) -> Scan<()> {
        let rest = self.text.as_bytes().get(self.at + 1..).unwrap_or_default();
        self.at += match rest {
            [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => 2,
            [b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()) => 6,
            [] | [b'u'] | [b'u', _] | [b'u', _, _] | [b'u', _, _, _] => return Err(self.fault(CUT_OFF)),
            _ => return Err(self.fault("escape that JSON does not know")),
        };
        Ok(())
    }

    fn literal(&mut self, word: &str) -> Scan<()> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if rest.starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(());
        }
        let cut = word.as_bytes().starts_with(rest);
        Err(self.fault(if cut { CUT_OFF } else { "expected true, false or null" }))
    }

    fn number(&mut self) -> Scan<()> {
        let bytes = self.text.as_bytes();
        if bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        let leading_zero = bytes.get(self.at) == Some(&b'0');
        let whole = self.digits();
        let mut good = whole == 1 || (whole > 1 && !leading_zero);
        if bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            good &= self.digits() > 0;
        }
        if let Some(b'e' | b'E') = bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = bytes.get(self.at) {
                self.at += 1;
            }
            good &= self.digits() > 0;
        }
        if good {
            return Ok(());
        }
        Err(self.fault(if self.at == bytes.len() { CUT_OFF } else { "number that JSON does not know" }))
    }

    fn digits(&mut self) -> usize {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        count
    }

    #[inline(always)]
    fn need(&mut self) -> Scan<u8> {
        match self.peek() {
            Some(byte) => Ok(byte),
            None => Err(self.fault(CUT_OFF)),
        }
    }

    #[inline]
    fn slice(&self, from: usize, to: usize) -> &'a str {
        self.text.get(from..to).unwrap_or_default()
    }

    #[cold]
    fn fault(&self, why: &'static str) -> Box<Fault> {
        Box::new(Fault { at: self.at, why })
    }
}

/// Position of the next quote, backslash or control character if it is near, as most are: looked for in eight bytes at once.
#[inline(always)]
fn near_special(bytes: &[u8], at: usize) -> Option<usize> {
    const NEAR: usize = 8;
    let mut here = at;
    for _ in 0..NEAR {
        let (eight, _) = bytes.get(here..).and_then(<[u8]>::split_first_chunk::<8>)?;
        let hits = specials(*eight);
        if hits != 0 {
            return Some(here + (hits.trailing_zeros() / 8) as usize);
        }
        here += 8;
    }
    None
}

/// One bit for each of the first 64 bytes that is a quote, a backslash or a control character; the first byte's is the lowest.
#[inline]
pub fn specials_of(bytes: &[u8]) -> u64 {
    let last;
    let block = match bytes.first_chunk::<64>() {
        Some(block) => block,
        None => {
            last = last_block(bytes);
            &last
        }
    };
    let (quote, slash) = (u8x16::splat(b'"'), u8x16::splat(b'\\'));
    marks(block, |lanes| lanes.simd_eq(quote) | lanes.simd_eq(slash) | at_most(lanes, 0x1f))
}

/// Marks quotes, backslashes and control characters with their highest bits. A borrow can mark bytes above a hit, never
/// below it, so the lowest mark is right.
#[inline(always)]
fn specials(eight: [u8; 8]) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    let word = u64::from_le_bytes(eight);
    let quote = word ^ (ONES * b'"' as u64);
    let slash = word ^ (ONES * b'\\' as u64);
    let hits = (quote.wrapping_sub(ONES) & !quote)
        | (slash.wrapping_sub(ONES) & !slash)
        | (word.wrapping_sub(ONES * 0x20) & !word);
    hits & TOPS
}

impl<'a> Value<'a> {
    /// The text of a string, unescaped into `buffer` when needed; `None` for other values.
    pub fn as_text<'b>(&self, buffer: &'b mut String) -> Option<&'b str>
    where
        'a: 'b,
    {
        match self {
            Value::Text(text) => Some(text),
            Value::Escaped(raw) => {
                buffer.clear();
                unescape(raw, buffer);
                Some(buffer)
            }
            _ => None,
        }
    }

    /// Appends the value as JSON text, exactly as it was written.
    pub fn write(&self, out: &mut String) {
        match self {
            Value::Null => out.push_str("null"),
            Value::True => out.push_str("true"),
            Value::False => out.push_str("false"),
            Value::Number(raw) | Value::Object(raw) | Value::Array(raw) => out.push_str(raw),
            Value::Text(raw) | Value::Escaped(raw) => {
                out.push('"');
                out.push_str(raw);
                out.push('"');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scan(text: &str) -> Scan<Value<'_>> {
        let mut scanner = Scanner::new(text, 0);
        let value = scanner.value()?;
        match scanner.peek() {
            None => Ok(value),
            Some(_) => Err(scanner.fault("text after the value")),
        }
    }

    fn text_of(json: &str) -> String {
        let mut buffer = String::new();
        scan(json).ok().and_then(|value| value.as_text(&mut buffer).map(str::to_owned)).unwrap_or_default()
    }

    #[test]
    fn values_keep_their_text() {
        assert_eq!(scan(" {\"a\" : [1, {}]} "), Ok(Value::Object("{\"a\" : [1, {}]}")));
        assert_eq!(scan("-0.5e+10"), Ok(Value::Number("-0.5e+10")));
        assert_eq!(scan("1e999"), Ok(Value::Number("1e999")));
        assert_eq!(scan(r#""a\"b""#), Ok(Value::Escaped(r#"a\"b"#)));
    }

    #[test]
    fn ends_and_control_characters_are_found_at_any_distance() {
        for distance in 0..150 {
            let pad = "x".repeat(distance);
            for control in ['\0', '\n', '\u{1f}'] {
                let fault = scan(&format!("\"{pad}{control}y\\\"\"")).expect_err("a control character");
                assert_eq!((fault.at, fault.why), (distance + 1, CONTROL));
            }
            assert_eq!(scan(&format!("\"{pad}")).map_err(|fault| fault.why), Err(CUT_OFF));
            assert_eq!(text_of(&format!("\"{pad}\u{7f}é\\n{pad}\"")), format!("{pad}\u{7f}é\n{pad}"));
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(scan(&nested(127)).is_ok());
        assert!(scan(&nested(129)).is_err());
        assert!(scan(&"[".repeat(100_000)).is_err());
        assert!(scan(&"{\"a\":".repeat(100_000)).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn agrees_with_another_parser(text in r#"[\[\]{},:"\\ 0-9a-ftruenlsE.\n+-]{0,40}"#) {
            let theirs = serde_json::from_str::<Box<serde_json::value::RawValue>>(&text);
            prop_assert_eq!(scan(&text).is_ok(), theirs.is_ok(), "{}", text);
        }

        #[test]
        fn every_text_comes_back(text in any::<String>(), pad in 0usize..40) {
            let json = serde_json::to_string(&format!("{}{text}", "x".repeat(pad))).unwrap_or_default();
            prop_assert_eq!(text_of(&json), format!("{}{text}", "x".repeat(pad)));
        }
    }
}
