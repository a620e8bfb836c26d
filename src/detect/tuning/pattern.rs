//! Texts with `*` for any characters, compared as a whole and letter by letter.

/// A text with wildcards. Nothing but `*` is special, and `*` also stands for `/` and `:`, as in policies of AWS.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern(String);

impl Pattern {
    /// Reads a pattern. The error says why it cannot be meant.
    pub fn read(text: &str) -> Result<Pattern, &'static str> {
        match text.trim() {
            "" => Err("is empty; take it out"),
            trimmed if trimmed.bytes().all(|byte| byte == b'*') => Err("fits everything; leave the key out instead"),
            trimmed if trimmed.len() != text.len() => Err("begins or ends with a space"),
            _ => Ok(Pattern(text.to_owned())),
        }
    }

    /// True when the whole text fits.
    pub fn matches(&self, text: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
        let mut between: Vec<&str> = parts.collect();
        let Some(end) = between.pop() else { return rest.is_empty() };
        // The first place that fits leaves the most text for the parts after it.
        for part in between {
            let Some((_, after)) = rest.split_once(part) else { return false };
            rest = after;
        }
        rest.ends_with(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, text: &str) -> bool {
        Pattern::read(pattern).expect("a pattern").matches(text)
    }

    #[test]
    fn patterns_fit_whole_texts() {
        assert!(
            fits("AKIA1", "AKIA1") && !fits("AKIA1", "AKIA12") && !fits("AKIA1", "xAKIA1") && !fits("AKIA1", "akia1")
        );
        assert!(
            fits("arn:*:role/red*", "arn:aws:iam::1:role/red-team") && !fits("arn:*:role/red*", "x arn:a:role/red")
        );
        assert!(fits("*-logs", "a-logs-logs") && !fits("*-logs", "a-logs2"));
        assert!(fits("a*b*c", "aXbYbc") && !fits("a*b*c", "acb"));
        assert!(!fits("ab*ba", "aba"), "begin and end do not share letters");
        assert!(fits("é*", "éa") && !fits("a?c", "abc") && !fits("a.c", "abc"));
    }

    #[test]
    fn patterns_that_cannot_be_meant_are_refused() {
        for text in ["", " ", "*", "**", " a", "a "] {
            assert!(Pattern::read(text).is_err(), "{text:?} was accepted");
        }
    }
}
