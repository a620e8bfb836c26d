//! Rule files with one thing changed, and what is said of it.

use trailhound::detect::Rule;

/// `text` with `to` in place of the first `from`, which has to be there.
pub fn changed(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

/// What reading the rule at `path` says of a mistake: `to` in place of `from`.
pub fn mistake(path: &str, rule: &str, from: &str, to: &str) -> String {
    Rule::read(path, &changed(rule, from, to), true).expect_err(to).to_string()
}
