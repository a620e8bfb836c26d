//! Settings that commands share: from `trailhound.toml`, the environment and flags, in rising order of weight.

mod tuning;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Duration, NaiveDate, Utc};
use serde::Deserialize;
use toml::Spanned;

pub use tuning::Exception;

use crate::error::{Error, Result};

/// Name of the configuration file that is read when it lies in the working directory.
pub const FILE: &str = "trailhound.toml";
/// Where the lake is when nothing says otherwise.
pub const DEFAULT_LAKE: &str = "./trailhound-lake";

/// Contents of `trailhound.toml`. Unknown keys are errors.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Folder or `s3://bucket/prefix` of the lake.
    pub lake: Option<String>,
    /// Threads.
    pub threads: Option<usize>,
    /// Memory for queries and for rows that wait for their file, such as `512MiB`.
    pub memory: Option<String>,
    /// Largest object after decompression, such as `512MiB`.
    pub max_object_size: Option<String>,
    /// Folder with rules of your own.
    pub rules: Option<PathBuf>,
    /// Folder with saved queries of your own.
    pub queries: Option<PathBuf>,
    /// List of prices that replaces the built-in one.
    pub prices: Option<PathBuf>,
    /// Parameters of rules: rule id, parameter, value.
    #[serde(default)]
    pub params: BTreeMap<String, BTreeMap<String, toml::Value>>,
    /// Rules and families that are switched off.
    #[serde(default)]
    pub disabled: Vec<String>,
    /// What is never a finding.
    #[serde(default)]
    pub allow: Vec<Spanned<Exception>>,
    /// Findings that are kept and not shown, for a time.
    #[serde(default)]
    pub silence: Vec<Spanned<Exception>>,
}

impl Config {
    /// Reads `path`, or `trailhound.toml` in the working directory when there is one.
    pub fn load(path: Option<&Path>) -> Result<Config> {
        let (path, required) = match path {
            Some(path) => (path, true),
            None => (Path::new(FILE), false),
        };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => return Ok(Config::default()),
            Err(error) => return Err(Error::Usage(format!("cannot read configuration {}: {error}", path.display()))),
        };
        let wrong = |e: toml::de::Error| Error::Usage(format!("{}: {}", path.display(), e.to_string().trim_end()));
        let mut config: Config = toml::from_str(&text).map_err(wrong)?;
        for entry in config.allow.iter_mut().chain(&mut config.silence) {
            let line = 1 + text.bytes().take(entry.span().start).filter(|byte| *byte == b'\n').count();
            entry.get_mut().place = format!("{}:{line}", path.display());
        }
        Ok(config)
    }
}

/// Bytes of `512MiB`, `1.5G`, `64k` or `1000000`. Units are powers of 1024.
pub fn parse_bytes(text: &str) -> std::result::Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim().to_ascii_lowercase().trim_end_matches("ib").trim_end_matches('b') {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        "t" => 1 << 40,
        _ => return Err(format!("{text} is not a size; write 512MiB or 2GiB")),
    };
    match number.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok((number * factor as f64) as u64),
        _ => Err(format!("{text} is not a size; write 512MiB or 2GiB")),
    }
}

/// An instant: RFC 3339 (`2026-10-01T00:00:00Z`), a day (`2026-10-01`), or a span back from now (`7d`, `12h`, `30m`).
pub fn parse_instant(text: &str) -> std::result::Result<DateTime<Utc>, String> {
    let text = text.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    if let Ok(day) = text.parse::<NaiveDate>() {
        return Ok(day.and_time(chrono::NaiveTime::MIN).and_utc());
    }
    let wrong = || format!("{text} is not a time; write 2026-10-01T00:00:00Z, 2026-10-01, or 7d for seven days ago");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let number: i64 = text.strip_suffix(unit).and_then(|n| n.parse().ok()).ok_or_else(wrong)?;
    let span = match unit {
        's' => Duration::try_seconds(number),
        'm' => Duration::try_minutes(number),
        'h' => Duration::try_hours(number),
        'd' => Duration::try_days(number),
        'w' => Duration::try_weeks(number),
        _ => None,
    };
    span.and_then(|span| Utc::now().checked_sub_signed(span)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_of_1024() {
        assert_eq!(parse_bytes("512MiB"), Ok(512 << 20));
        assert_eq!(parse_bytes("1.5g"), Ok(3 << 29));
        assert_eq!(parse_bytes("1000"), Ok(1000));
        assert!(parse_bytes("many").is_err());
        assert!(parse_bytes("").is_err());
    }

    #[test]
    fn instants_are_absolute_or_back_from_now() {
        assert_eq!(parse_instant("2026-10-01").map(|t| t.to_rfc3339()), Ok("2026-10-01T00:00:00+00:00".into()));
        assert_eq!(parse_instant("2026-10-01T02:00:00+02:00").map(|t| t.timestamp()), Ok(1_790_812_800));
        let week = parse_instant("7d").map(|t| (Utc::now() - t).num_days());
        assert_eq!(week, Ok(7));
        assert!(parse_instant("yesterday").is_err());
        assert!(parse_instant("9223372036854775807w").is_err());
        assert!(parse_instant("é").is_err());
    }

    #[test]
    fn unknown_keys_of_the_configuration_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trailhound.toml");
        std::fs::write(&path, "laek = 'x'\n").unwrap();
        let error = Config::load(Some(&path)).unwrap_err().to_string();
        assert!(error.contains("laek") && error.contains("trailhound.toml"), "{error}");
    }
}
