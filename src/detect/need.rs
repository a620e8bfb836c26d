//! What a rule needs to be judged at all: a log, a category of events, or a column that is filled.

use std::fmt;

use super::{samples, spelling};

/// Evidence without which a rule cannot be judged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// Any row of a log.
    Log(String),
    /// Events of a CloudTrail category, and of one service when named (`s3.amazonaws.com`).
    Category(String, Option<String>),
    /// A value in a column: log, then the column as SQL writes it.
    Column(String, String),
}

/// Event categories that CloudTrail delivers and a rule may need.
const CATEGORIES: [&str; 4] = ["Management", "Data", "NetworkActivity", "Insight"];

impl Need {
    /// Reads `log`, `cloudtrail/Category[/eventSource]` or `log.column`.
    pub fn read(text: &str) -> std::result::Result<Need, String> {
        let log = |name: &str| match samples::logs().find(|log| *log == name) {
            Some(log) => Ok(log.to_owned()),
            None => Err(format!("unknown log '{name}'{}", spelling::hint(name, samples::logs()))),
        };
        if let Some((name, rest)) = text.split_once('/') {
            if log(name)? != "cloudtrail" {
                return Err(format!("'{text}': only cloudtrail has categories"));
            }
            let (category, service) = rest.split_once('/').map_or((rest, None), |(c, s)| (c, Some(s)));
            if !CATEGORIES.contains(&category) {
                return Err(format!("'{category}' is not one of {}", CATEGORIES.join(", ")));
            }
            if service.is_some_and(|service| !service.contains('.') || service.contains('/')) {
                return Err(format!("'{text}': the last part is an eventSource such as s3.amazonaws.com"));
            }
            return Ok(Need::Category(category.into(), service.map(str::to_owned)));
        }
        match text.split_once('.') {
            Some((name, column)) => {
                let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
                if column.is_empty() || !column.chars().all(word) {
                    return Err(format!("'{text}': write log.column, such as bedrock.prompt"));
                }
                Ok(Need::Column(log(name)?, column.to_ascii_lowercase()))
            }
            None => Ok(Need::Log(log(text)?)),
        }
    }

    /// The log that has the evidence.
    pub fn log(&self) -> &str {
        match self {
            Need::Log(log) | Need::Column(log, _) => log,
            Need::Category(..) => "cloudtrail",
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Need::Log(log) => f.write_str(log),
            Need::Category(category, None) => write!(f, "cloudtrail/{category}"),
            Need::Category(category, Some(service)) => write!(f, "cloudtrail/{category}/{service}"),
            Need::Column(log, column) => write!(f, "{log}.{column}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_shows() {
        for text in ["vpcflow", "cloudtrail/Management", "cloudtrail/Data/s3.amazonaws.com", "bedrock.guardrail.id"] {
            assert_eq!(Need::read(text).map(|need| need.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn refuses_what_cannot_be_answered() {
        for text in
            ["", "cloudtrial", "bedrock/Data", "cloudtrail/data", "cloudtrail/Data/s3", "bedrock.", "bedrock.a b"]
        {
            assert!(Need::read(text).is_err(), "{text}");
        }
    }
}
