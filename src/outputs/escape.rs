//! Makes log text, which attackers write, harmless in terminals, CSV, Markdown and HTML.

use std::borrow::Cow;
use std::fmt::Write;

/// Text for a terminal: control characters (C0, C1, DEL and thereby escape sequences), direction overrides and invisible
/// characters are shown as `\n`, `\t`, `\r` or `\u{..}`; a backslash stays, so the result is for eyes, not for parsing.
///
/// Zero-width joiners stay where they join (emoji and scripts that need them) and are shown where they hide in plain
/// ASCII text, as in a look-alike of a name.
pub fn terminal(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    let mut previous = None;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            '\u{200c}' | '\u{200d}' => {
                let joins = |side: Option<char>| side.is_some_and(|c| !c.is_ascii() && !hides(c));
                match joins(previous) && joins(characters.peek().copied()) {
                    true => shown.push(character),
                    false => point(&mut shown, character),
                }
            }
            _ if hides(character) => point(&mut shown, character),
            _ => shown.push(character),
        }
        previous = Some(character);
    }
    if shown == text { Cow::Borrowed(text) } else { Cow::Owned(shown) }
}

/// A cell of a CSV file (RFC 4180): quoted where needed, and with a leading apostrophe where a spreadsheet would run it
/// as a formula. Plain numbers stay numbers.
pub fn csv(text: &str) -> Cow<'_, str> {
    let guard = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number(text);
    let quote = text.contains(['"', ',', '\n', '\r']);
    if !guard && !quote {
        return Cow::Borrowed(text);
    }
    let mut cell = String::with_capacity(text.len() + 4);
    if quote {
        cell.push('"');
    }
    if guard {
        cell.push('\'');
    }
    match quote {
        true => cell.push_str(&text.replace('"', "\"\"")),
        false => cell.push_str(text),
    }
    if quote {
        cell.push('"');
    }
    Cow::Owned(cell)
}

/// Text inside a line or table cell of Markdown: nothing in it is markup, a link or HTML, and it stays on one line.
pub fn markdown(text: &str) -> Cow<'_, str> {
    let shown = terminal(text);
    let special = |c: char| r"\`*_{}[]()<>#+-.!|~&@:=$^".contains(c);
    if !shown.contains(special) && !shown.contains("www") && !shown.starts_with(' ') && !starts_like_a_list(&shown) {
        return shown;
    }
    let mut escaped = String::with_capacity(shown.len() * 2);
    let mut characters = shown.chars().peekable();
    let mut first = true;
    while let Some(character) = characters.next() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            // Renderers turn bare addresses into links: an entity is shown the same and links nothing.
            ':' => escaped.push_str("&#58;"),
            '@' => escaped.push_str("&#64;"),
            'w' | 'W' if characters.peek().is_some_and(|c| c.eq_ignore_ascii_case(&'w')) => {
                let _ = write!(escaped, "&#{};", character as u32);
            }
            ' ' if first => escaped.push_str("&#32;"),
            '.' if !first => escaped.push('.'),
            _ if special(character) => {
                escaped.push('\\');
                escaped.push(character);
            }
            _ => escaped.push(character),
        }
        first = false;
    }
    match starts_like_a_list(&shown) {
        true => Cow::Owned(escaped.replacen(['.', ')'], "\\.", 1)),
        false => Cow::Owned(escaped),
    }
}

/// Text inside an HTML element or a quoted attribute.
pub fn html(text: &str) -> Cow<'_, str> {
    let shown = terminal(text);
    if !shown.contains(['&', '<', '>', '"', '\'', '`']) {
        return shown;
    }
    let mut escaped = String::with_capacity(shown.len() + 16);
    for character in shown.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '`' => escaped.push_str("&#96;"),
            _ => escaped.push(character),
        }
    }
    Cow::Owned(escaped)
}

/// True for characters that move the cursor, change the direction of text, or cannot be seen.
pub(super) fn hides(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180e}'
                | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
                | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
        )
}

fn point(shown: &mut String, character: char) {
    let _ = write!(shown, "\\u{{{:x}}}", character as u32);
}

fn starts_like_a_list(text: &str) -> bool {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    rest.len() < text.len() && rest.starts_with(['.', ')'])
}

/// True for text that a spreadsheet reads as a number: `-1`, `+2.5`, `-1e-3`.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'-' | b'+'))
        && digits.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_get_no_control_characters() {
        assert_eq!(terminal("plain text, ünïcode"), "plain text, ünïcode");
        assert_eq!(terminal("a\u{1b}[31mred\u{1b}]0;title\u{7}"), "a\\u{1b}[31mred\\u{1b}]0;title\\u{7}");
        assert_eq!(terminal("one\ntwo\tthree\r"), "one\\ntwo\\tthree\\r");
        assert_eq!(terminal("\u{9b}2J\u{7f}"), "\\u{9b}2J\\u{7f}");
        assert_eq!(terminal("user\u{202e}nimda\u{2066}"), "user\\u{202e}nimda\\u{2066}");
        assert_eq!(terminal("a\u{200b}dmin\u{e0041}"), "a\\u{200b}dmin\\u{e0041}");
        for text in ["a\u{0}b", "\u{1b}c", "x\u{85}y", "\u{2028}"] {
            assert!(!terminal(text).chars().any(char::is_control), "{text:?}");
        }
    }

    #[test]
    fn joiners_stay_where_they_join() {
        let family = "\u{1f468}\u{200d}\u{1f469}";
        assert_eq!(terminal(family), family);
        assert_eq!(terminal("ad\u{200d}min"), "ad\\u{200d}min");
    }

    #[test]
    fn csv_cells_are_quoted_and_run_no_formulas() {
        assert_eq!(csv("plain"), "plain");
        assert_eq!(csv("a,b"), "\"a,b\"");
        assert_eq!(csv("say \"hi\"\n"), "\"say \"\"hi\"\"\n\"");
        assert_eq!(csv("=1+1"), "'=1+1");
        assert_eq!(csv("@SUM(A1)"), "'@SUM(A1)");
        assert_eq!(csv("=HYPERLINK(\"x\",\"y\")"), "\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\"");
        assert_eq!(csv("\t=1"), "'\t=1");
        assert_eq!(csv("-12.5e3"), "-12.5e3");
        assert_eq!(csv("+4"), "+4");
        assert_eq!(csv("-1+cmd|x"), "'-1+cmd|x");
        assert_eq!(csv("-inf"), "'-inf");
        assert_eq!(csv(""), "");
    }

    #[test]
    fn markdown_is_text_and_nothing_else() {
        assert_eq!(markdown("plain words"), "plain words");
        assert_eq!(markdown("a|b"), "a\\|b");
        assert_eq!(markdown("<img src=x>"), "&lt;img src\\=x&gt;");
        assert_eq!(markdown("[click](x)"), "\\[click\\]\\(x\\)");
        assert_eq!(markdown("1. item"), "1\\. item");
        assert!(!markdown("see https://example.com and ana@example.com").contains("://"));
        assert!(!markdown("www.example.com").contains("www."));
        assert_eq!(markdown("line\nbreak"), "line\\\\nbreak");
    }

    #[test]
    fn html_is_text_and_nothing_else() {
        assert_eq!(html("a < b & \"c\" 'd'"), "a &lt; b &amp; &quot;c&quot; &#39;d&#39;");
        assert_eq!(html("plain"), "plain");
        assert_eq!(html("\u{202e}x"), "\\u{202e}x");
    }
}
