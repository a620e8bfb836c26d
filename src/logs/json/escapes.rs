//! Escapes of JSON strings become characters.

/// Appends a string's text with its escapes resolved. Halves of surrogate pairs become U+FFFD.
pub fn unescape(raw: &str, out: &mut String) {
    out.reserve(raw.len());
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let mut escape = after.chars();
        match escape.next() {
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('u') => {
                let (character, after) = unicode(escape.as_str());
                out.push(character);
                rest = after;
                continue;
            }
            Some(other) => out.push(other),
            None => {}
        }
        rest = escape.as_str();
    }
    out.push_str(rest);
}

/// The character of `XXXX` or `XXXX\uXXXX` at the start of `text`, and what follows it.
fn unicode(text: &str) -> (char, &str) {
    let Some((high, after)) = hex(text) else { return (char::REPLACEMENT_CHARACTER, text) };
    if let Some(character) = char::from_u32(high) {
        return (character, after);
    }
    if let Some((low @ 0xDC00..=0xDFFF, end)) = after.strip_prefix("\\u").and_then(hex)
        && high < 0xDC00
        && let Some(character) = char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
    {
        return (character, end);
    }
    (char::REPLACEMENT_CHARACTER, after)
}

fn hex(text: &str) -> Option<(u32, &str)> {
    let (digits, after) = text.split_at_checked(4)?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    Some((u32::from_str_radix(digits, 16).ok()?, after))
}

#[cfg(test)]
mod tests {
    use super::unescape;

    #[test]
    fn escapes_become_characters() {
        let cases = [
            (r"\u00e9\ud83d\ude00\/\n", "é😀/\n"),
            (r"\ud83d!", "\u{fffd}!"),
            (r"\ude00\ud83d", "\u{fffd}\u{fffd}"),
            (r"\ud83d\u0041", "\u{fffd}A"),
            (r"\u12", "\u{fffd}12"),
            (r"a\", "a"),
        ];
        for (raw, expected) in cases {
            let mut text = String::new();
            unescape(raw, &mut text);
            assert_eq!(text, expected, "{raw}");
        }
    }
}
