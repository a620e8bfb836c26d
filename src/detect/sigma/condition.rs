//! Conditions: `and`, `or`, `not`, brackets, `1 of them`, `all of selection*`.

use super::check::{Check, MOST_LEAVES};

/// Levels of brackets and negations.
const DEEPEST: usize = 50;
/// Words of a condition.
const MOST_WORDS: usize = 2_000;

/// The check that `condition` makes of the named ones; the error says what cannot be read.
pub fn read(condition: &str, named: &[(String, Check)]) -> Result<Check, String> {
    if condition.contains('|') {
        let advice = "write it as a Sigma correlation rule";
        return Err(format!("the condition aggregates with '|', which Sigma gave up; {advice}"));
    }
    let words = words(condition);
    if words.is_empty() {
        return Err("the condition is empty".into());
    }
    if words.len() > MOST_WORDS {
        return Err(format!("the condition has more than {MOST_WORDS} words"));
    }
    let mut reader = Reader { words: &words, next: 0, named, leaves: 0 };
    let check = reader.any(0)?;
    match reader.peek() {
        None => Ok(check),
        Some(word) => Err(format!("the condition goes on with '{word}' where it should end")),
    }
}

fn words(condition: &str) -> Vec<String> {
    let spaced = condition.replace('(', " ( ").replace(')', " ) ");
    spaced.split_whitespace().map(str::to_owned).collect()
}

struct Reader<'a> {
    words: &'a [String],
    next: usize,
    named: &'a [(String, Check)],
    /// Values that are compared so far.
    leaves: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.words.get(self.next).map(String::as_str)
    }

    /// Takes the next word if it is `wanted`, in any case.
    fn takes(&mut self, wanted: &str) -> bool {
        let found = self.peek().is_some_and(|word| word.eq_ignore_ascii_case(wanted));
        self.next += usize::from(found);
        found
    }

    fn any(&mut self, depth: usize) -> Result<Check, String> {
        let mut parts = vec![self.all(depth)?];
        while self.takes("or") {
            parts.push(self.all(depth)?);
        }
        Ok(Check::any(parts))
    }

    fn all(&mut self, depth: usize) -> Result<Check, String> {
        let mut parts = vec![self.one(depth)?];
        while self.takes("and") {
            parts.push(self.one(depth)?);
        }
        Ok(Check::all(parts))
    }

    fn one(&mut self, depth: usize) -> Result<Check, String> {
        if depth > DEEPEST {
            return Err(format!("the condition is nested more than {DEEPEST} levels deep"));
        }
        if self.takes("not") {
            return Ok(Check::not(self.one(depth + 1)?));
        }
        if self.takes("(") {
            let inner = self.any(depth + 1)?;
            return if self.takes(")") { Ok(inner) } else { Err("the condition lacks a closing bracket".into()) };
        }
        let Some(word) = self.peek() else { return Err("the condition ends where a name should follow".into()) };
        if [")", "and", "or", "of"].iter().any(|other| word.eq_ignore_ascii_case(other)) {
            return Err(format!("the condition has '{word}' where a name should stand"));
        }
        self.next += 1;
        if self.takes("of") {
            return self.several(word);
        }
        match self.named.iter().find(|(name, _)| name == word) {
            Some((_, check)) => self.copy(check),
            None if word.contains('*') => Err(format!("'{word}' needs '1 of' or 'all of' before it")),
            None => Err(format!("the condition names '{word}', which the detection does not have")),
        }
    }

    /// A copy of a named check, as long as the whole stays within limits.
    fn copy(&mut self, check: &Check) -> Result<Check, String> {
        self.leaves = self.leaves.saturating_add(check.size());
        if self.leaves > MOST_LEAVES {
            return Err(format!("the condition compares more than {MOST_LEAVES} values"));
        }
        Ok(check.clone())
    }

    /// The rest of `1 of pattern`, `any of ...` and `all of ...`.
    fn several(&mut self, amount: &str) -> Result<Check, String> {
        let Some(pattern) = self.peek() else { return Err(format!("'{amount} of' is followed by nothing")) };
        self.next += 1;
        let fits = |name: &str| {
            if pattern.eq_ignore_ascii_case("them") { !name.starts_with('_') } else { matches(pattern, name) }
        };
        let named = self.named;
        let mut chosen = Vec::new();
        for (_, check) in named.iter().filter(|(name, _)| fits(name)) {
            chosen.push(self.copy(check)?);
        }
        if chosen.is_empty() {
            return Err(format!("'{amount} of {pattern}' fits no part of the detection"));
        }
        match amount.to_ascii_lowercase().as_str() {
            "1" | "any" => Ok(Check::any(chosen)),
            "all" => Ok(Check::all(chosen)),
            _ => Err(format!("'{amount} of {pattern}': only '1 of', 'any of' and 'all of' are Sigma")),
        }
    }
}

/// Whether a name fits a pattern with `*`.
fn matches(pattern: &str, name: &str) -> bool {
    super::pattern::Pattern::read(pattern).matches(name, true)
}
