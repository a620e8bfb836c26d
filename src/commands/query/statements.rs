//! Where statements end: the semicolons that stand outside of strings, quoted names and comments.

/// A text cut into statements.
#[derive(Debug, PartialEq)]
pub struct Split<'a> {
    /// Statements that a semicolon ended, without it.
    pub ended: Vec<&'a str>,
    /// What follows the last of them, when it holds more than space and comments.
    pub rest: Option<&'a str>,
}

/// Cuts a text into statements. Parts of nothing but space and comments are left out.
pub fn split(text: &str) -> Split<'_> {
    let mut ended = Vec::new();
    let (mut start, mut at, mut has_code) = (0, 0, false);
    let bytes = text.as_bytes();
    while let Some(byte) = bytes.get(at) {
        let next = bytes.get(at + 1);
        match byte {
            b';' => {
                if has_code {
                    ended.push(text.get(start..at).unwrap_or_default().trim());
                }
                (start, has_code) = (at + 1, false);
                at += 1;
            }
            b'\'' | b'"' | b'`' => {
                has_code = true;
                at = after(bytes, at + 1, &[*byte]);
            }
            b'-' if next == Some(&b'-') => at = after(bytes, at, b"\n"),
            b'/' if next == Some(&b'*') => at = after_comment(bytes, at + 2),
            _ => {
                has_code |= !byte.is_ascii_whitespace();
                at += 1;
            }
        }
    }
    Split { ended, rest: text.get(start..).map(str::trim).filter(|_| has_code) }
}

/// Place after the next `end`, or the end of the text. A doubled quote ends a string and begins the next at once.
fn after(bytes: &[u8], from: usize, end: &[u8]) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    rest.windows(end.len()).position(|window| window == end).map_or(bytes.len(), |place| from + place + end.len())
}

/// Place after a comment, whose comments inside count.
fn after_comment(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 1;
    while at < bytes.len() {
        match bytes.get(at..at + 2) {
            Some(b"/*") => {
                depth += 1;
                at += 2;
            }
            Some(b"*/") => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    break;
                }
            }
            _ => at += 1,
        }
    }
    at.min(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semicolons_end_statements_outside_of_quotes_and_comments() {
        let cases: [(&str, &[&str], Option<&str>); 9] = [
            ("SELECT 1; SELECT 2", &["SELECT 1"], Some("SELECT 2")),
            ("SELECT ';', 'it''s;' ;", &["SELECT ';', 'it''s;'"], None),
            ("SELECT \"a;b\"", &[], Some("SELECT \"a;b\"")),
            ("-- a; b\nSELECT 1;", &["-- a; b\nSELECT 1"], None),
            ("/* a; /* b; */ c; */ SELECT 1;;", &["/* a; /* b; */ c; */ SELECT 1"], None),
            (" ; -- nothing", &[], None),
            ("SELECT 'open; ", &[], Some("SELECT 'open;")),
            ("SELECT 5-1; /*", &["SELECT 5-1"], None),
            ("ünïcode 'ü;' ;", &["ünïcode 'ü;'"], None),
        ];
        for (text, ended, rest) in cases {
            assert_eq!(split(text), Split { ended: ended.to_vec(), rest }, "{text}");
        }
    }
}
