//! Entries of `[[allow]]` and `[[silence]]` as written: what they mean is decided where findings are.

use serde::{Deserialize, Deserializer};
use toml::value::Datetime;

/// Findings that nobody has to look at. What is given has to fit (and); of a list, one text is enough (or).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// Why; runs repeat it.
    pub reason: String,
    /// End of the entry: an instant with its zone, or a day (its first instant, UTC). A silence must have one.
    pub expires: Option<Datetime>,
    /// Ids or families of rules.
    #[serde(default, deserialize_with = "texts")]
    pub rules: Option<Vec<String>>,
    /// ARNs of callers; `*` stands for any characters, here and below.
    #[serde(default, deserialize_with = "texts")]
    pub principals: Option<Vec<String>>,
    /// Ranges of source addresses (CIDR), or single ones.
    #[serde(default, deserialize_with = "texts")]
    pub addresses: Option<Vec<String>>,
    /// Account ids.
    #[serde(default, deserialize_with = "texts")]
    pub accounts: Option<Vec<String>>,
    /// Model ids, as called or without ARN and geography.
    #[serde(default, deserialize_with = "texts")]
    pub models: Option<Vec<String>>,
    /// Regions.
    #[serde(default, deserialize_with = "texts")]
    pub regions: Option<Vec<String>>,
    /// Names of S3 buckets.
    #[serde(default, deserialize_with = "texts")]
    pub buckets: Option<Vec<String>>,
    /// Things acted on, as the finding's `resource` spells them.
    #[serde(default, deserialize_with = "texts")]
    pub resources: Option<Vec<String>>,
    /// Access key ids.
    #[serde(default, deserialize_with = "texts")]
    pub keys: Option<Vec<String>>,
    /// Change windows, such as `Sat 02:00-04:00 UTC`.
    #[serde(default, deserialize_with = "texts")]
    pub between: Option<Vec<String>>,
    /// File and line, for errors and talk.
    #[serde(skip)]
    pub place: String,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a text or a list of texts")]
enum Texts {
    One(String),
    Many(Vec<String>),
}

fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    Ok(Some(match Texts::deserialize(deserializer)? {
        Texts::One(text) => vec![text],
        Texts::Many(texts) => texts,
    }))
}
