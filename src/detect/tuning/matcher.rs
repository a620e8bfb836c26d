//! One condition of an allow-list or a silence, and the columns of a finding that it is about.

use super::facts::Facts;
use super::hours::Hours;
use super::pattern::Pattern;
use crate::config::Exception;
use crate::engine::address::{self, Ranges};
use crate::engine::arn::{self, Arn};

/// A condition; one of its values has to fit each event of the finding.
#[derive(Debug)]
pub enum Matcher {
    /// Texts of some columns.
    Texts(Subject, Vec<Pattern>),
    /// Source addresses.
    Addresses(Ranges),
    /// Change windows.
    Between(Vec<Hours>),
}

/// What texts are about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Subject {
    /// Who called, as AWS saw it: not the subjects of tokens, which their issuer chooses.
    Principal,
    /// The model called.
    Model,
    /// The S3 bucket acted on.
    Bucket,
    /// The column of this name.
    Column(&'static str),
}

impl Matcher {
    /// The conditions of an entry. The error names the key, and what to do about it.
    pub fn read_all(entry: &Exception) -> Result<Vec<Matcher>, String> {
        let texts = [
            ("principals", Subject::Principal, &entry.principals),
            ("accounts", Subject::Column("account_id"), &entry.accounts),
            ("models", Subject::Model, &entry.models),
            ("regions", Subject::Column("region"), &entry.regions),
            ("buckets", Subject::Bucket, &entry.buckets),
            ("resources", Subject::Column("resource"), &entry.resources),
            ("keys", Subject::Column("access_key_id"), &entry.keys),
        ];
        let mut matchers = Vec::new();
        for (key, subject, written) in texts {
            let Some(written) = given(key, written)? else { continue };
            let mut patterns = Vec::with_capacity(written.len());
            for text in written {
                if key == "accounts" && !is_account(text) {
                    return Err(format!("{key}: '{text}' is no account id of 12 digits"));
                }
                patterns.push(Pattern::read(text).map_err(|why| format!("{key}: '{text}' {why}"))?);
            }
            matchers.push(Matcher::Texts(subject, patterns));
        }
        if let Some(written) = given("addresses", &entry.addresses)? {
            let mut ranges = Ranges::default();
            if let Some(wrong) = written.iter().find(|text| !ranges.add(text)) {
                return Err(format!("addresses: '{wrong}' is no address range; write 192.0.2.0/24 or 2001:db8::/32"));
            }
            matchers.push(Matcher::Addresses(ranges));
        }
        if let Some(written) = given("between", &entry.between)? {
            let hours: Result<Vec<Hours>, String> = written.iter().map(|text| Hours::read(text)).collect();
            matchers.push(Matcher::Between(hours.map_err(|why| format!("between: {why}"))?));
        }
        Ok(matchers)
    }

    /// True when every event of the finding is known to fit.
    pub fn fits(&self, facts: &Facts<'_>) -> bool {
        match self {
            Matcher::Texts(Subject::Bucket, patterns) => buckets_fit(facts, patterns),
            Matcher::Texts(subject, patterns) => subject.column().is_some_and(|column| {
                let fits = |value: &String| patterns.iter().any(|pattern| subject.fits(pattern, value));
                known(facts, column).is_some_and(|values| values.iter().all(fits))
            }),
            Matcher::Addresses(ranges) => known(facts, "source_ip").is_some_and(|values| {
                values.iter().all(|value| address::parse(value).is_some_and(|address| ranges.contains(address)))
            }),
            Matcher::Between(windows) => {
                facts.span().is_some_and(|(first, last)| windows.iter().any(|hours| hours.hold(first, last)))
            }
        }
    }
}

impl Subject {
    /// The column of the finding that it is about; buckets are looked for in several.
    fn column(self) -> Option<&'static str> {
        match self {
            Subject::Principal => Some("principal"),
            Subject::Model => Some("model_id"),
            Subject::Bucket => None,
            Subject::Column(name) => Some(name),
        }
    }

    /// True when a value fits, as it is or as the same thing in its other spelling.
    fn fits(self, pattern: &Pattern, value: &str) -> bool {
        let other = match self {
            Subject::Principal => pattern.matches(&arn::principal(value)),
            Subject::Model => bare_model(value).is_some_and(|model| pattern.matches(model)),
            Subject::Bucket | Subject::Column(_) => false,
        };
        other || pattern.matches(value)
    }
}

/// Values of all events; at least one.
fn known(facts: &Facts<'_>, column: &str) -> Option<Vec<String>> {
    facts.all(column).filter(|values| !values.is_empty())
}

/// The model behind an id that AWS gives out. Names of custom and imported models are chosen by their owner.
fn bare_model(id: &str) -> Option<&str> {
    let kind = Arn::parse(id).map(|arn| arn.kind());
    matches!(kind, None | Some(Some("foundation-model" | "inference-profile"))).then(|| arn::model(id))
}

/// Every bucket that the finding names has to fit: what leaves an allowed bucket may go to another.
fn buckets_fit(facts: &Facts<'_>, patterns: &[Pattern]) -> bool {
    let mut names: Vec<String> = Vec::new();
    for column in ["bucket", "resource"] {
        if !facts.has(column) {
            continue;
        }
        let Some(values) = facts.all(column) else { return false };
        for value in values {
            match bucket_of(&value) {
                Some(name) => names.push(name.to_owned()),
                // A resource that is no bucket: its name alone does not say what it is.
                None if column == "resource" => {}
                None => names.push(value),
            }
        }
    }
    !names.is_empty() && names.iter().all(|name| patterns.iter().any(|pattern| pattern.matches(name)))
}

/// The bucket of `arn:aws:s3:::bucket/key` or `s3://bucket/key`.
fn bucket_of(text: &str) -> Option<&str> {
    let path = match Arn::parse(text) {
        Some(arn) if arn.service == "s3" && arn.region.is_empty() && arn.account.is_empty() => arn.resource,
        Some(_) => return None,
        None => text.strip_prefix("s3://")?,
    };
    path.split('/').next().filter(|name| !name.is_empty())
}

/// A list that is given has something in it.
fn given<'a>(key: &str, written: &'a Option<Vec<String>>) -> Result<Option<&'a [String]>, String> {
    match written.as_deref() {
        Some([]) => Err(format!("{key} is empty; name at least one, or leave it out")),
        other => Ok(other),
    }
}

/// Twelve digits, or digits with wildcards.
fn is_account(text: &str) -> bool {
    let fits = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'*');
    fits && (text.len() == 12 || text.contains('*'))
}
