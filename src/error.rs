//! One error type, sorted by what the reader can do about it, and how messages write numbers.

use std::fmt;

/// Result of everything in this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why something did not work. The variant decides the exit code; the text says what, where and what to do next.
#[derive(Debug)]
pub enum Error {
    /// Wrong arguments, configuration, or a path that names nothing: the command line has to change.
    Usage(String),
    /// A rule that cannot be used: the rule file has to change.
    Rule(String),
    /// A query that cannot be planned or that is not read-only: the SQL has to change.
    Sql(String),
    /// Input that could not be read although it exists: access, network or disk has to change.
    Input(String),
    /// The lake could not be read or written.
    Lake(String),
    /// Another process committed to the lake first; what was being written has to be judged again.
    Conflict,
    /// An output could not be written.
    Output(String),
}

impl Error {
    /// The exit code that the command line promises for this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage(_) | Error::Rule(_) | Error::Sql(_) => 2,
            Error::Input(_) | Error::Lake(_) | Error::Conflict | Error::Output(_) => 4,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Usage(text)
            | Error::Rule(text)
            | Error::Sql(text)
            | Error::Input(text)
            | Error::Lake(text)
            | Error::Output(text) => f.write_str(text),
            Error::Conflict => f.write_str("another process is writing to this lake; try again when it has finished"),
        }
    }
}

impl std::error::Error for Error {}

/// The message of an error and of everything that caused it, each part once.
///
/// Libraries often keep the useful sentence (a missing profile, a refused connection) in the innermost cause.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let part = inner.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        cause = inner.source();
    }
    text
}

/// A number as messages write it, with its thousands apart: 1,234,567.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_are_apart() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
