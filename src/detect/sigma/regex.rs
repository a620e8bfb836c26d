//! Regular expressions: whether our engine takes them, and a text that matches, for tests.

use regex_syntax::hir::{Class, Hir, HirKind};

/// Bytes of an expression, and of its compiled form's text.
const LONGEST: usize = 4_096;
/// Times that a repetition is repeated in a sample, at most.
const MOST_REPEATS: u32 = 64;

/// Reads an expression with the flags `i`, `m` and `s`: a text that matches, or why the expression cannot be used.
pub fn read(expression: &str, flags: &str) -> Result<String, String> {
    if expression.len() > LONGEST {
        return Err(format!("the regular expression has more than {LONGEST} bytes"));
    }
    let mut parser = regex_syntax::ParserBuilder::new();
    parser.nest_limit(50);
    parser.case_insensitive(flags.contains('i'));
    parser.multi_line(flags.contains('m'));
    parser.dot_matches_new_line(flags.contains('s'));
    let parsed = parser.build().parse(expression).map_err(|error| {
        let kind = match &error {
            regex_syntax::Error::Parse(error) => error.kind().to_string(),
            regex_syntax::Error::Translate(error) => error.kind().to_string(),
            _ => "not understood".into(),
        };
        let shown: String = expression.chars().take(60).collect();
        format!("the regular expression '{shown}' cannot be used: {kind}")
    })?;
    let mut sample = String::new();
    write(&parsed, &mut sample);
    Ok(sample)
}

/// Adds a text that `hir` matches; positions (`^`, `\b`) are taken to hold.
fn write(hir: &Hir, text: &mut String) {
    if text.len() > LONGEST {
        return;
    }
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => text.push_str(&String::from_utf8_lossy(&literal.0)),
        HirKind::Class(class) => text.push(letter(class)),
        HirKind::Repetition(repetition) => {
            for _ in 0..repetition.min.min(MOST_REPEATS) {
                write(&repetition.sub, text);
            }
        }
        HirKind::Capture(capture) => write(&capture.sub, text),
        HirKind::Concat(parts) => parts.iter().for_each(|part| write(part, text)),
        HirKind::Alternation(parts) => {
            if let Some(first) = parts.first() {
                write(first, text);
            }
        }
    }
}

/// A letter of a class, a plain one when there is one.
fn letter(class: &Class) -> char {
    let within = |wanted: char| match class {
        Class::Unicode(class) => class.ranges().iter().any(|range| range.start() <= wanted && wanted <= range.end()),
        Class::Bytes(class) => class.ranges().iter().any(|r| r.start() <= wanted as u8 && wanted as u8 <= r.end()),
    };
    let plain = ['a', 'x', 'A', '1', '0', ' ', '-', '/', '.', '_'].into_iter().find(|wanted| within(*wanted));
    let first = match class {
        Class::Unicode(class) => class.ranges().first().map(|range| range.start()),
        Class::Bytes(class) => class.ranges().first().map(|range| char::from(range.start())),
    };
    plain.or(first).unwrap_or('x')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_match_and_foreign_syntax_is_named() {
        assert_eq!(read("^arn:aws:.+:(user|role)/[a-z]{3}$", "").as_deref(), Ok("arn:aws:a:user/aaa"));
        assert!(read("(?!x)y", "").is_err_and(|reason| reason.contains("look-around")));
        assert!(read(r"(a)\1", "").is_err_and(|reason| reason.contains("backreferences")));
        assert!(read("(", "").is_err());
        assert!(read("((a{1000}){1000}){1000}", "").is_ok());
    }
}
