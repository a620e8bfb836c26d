//! Days in paths and keys: which day an object was delivered on, and which days are wanted.

use std::ops::RangeInclusive;

use chrono::{DateTime, Months, NaiveDate, Utc};

/// The days that are wanted, both ends included; an end that is missing is open.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Days {
    first: Option<NaiveDate>,
    last: Option<NaiveDate>,
}

impl Days {
    /// Days of the objects that can hold events of `[since, until)`: one more at both ends, because objects are filed
    /// under the time of their delivery, which comes after the events.
    pub fn new(since: Option<DateTime<Utc>>, until: Option<DateTime<Utc>>) -> Days {
        let first = since.map(|t| t.date_naive()).map(|day| day.pred_opt().unwrap_or(day));
        let last = until.map(|t| t.date_naive()).map(|day| day.succ_opt().unwrap_or(day));
        Days { first, last }
    }

    /// True when no day is excluded.
    pub fn all(&self) -> bool {
        self.first.is_none() && self.last.is_none()
    }

    /// True when some day of the span is wanted.
    pub fn overlap(&self, span: &RangeInclusive<NaiveDate>) -> bool {
        self.first.is_none_or(|first| *span.end() >= first) && self.last.is_none_or(|last| *span.start() <= last)
    }

    /// True when an object is wanted: its day is, or it has none.
    pub fn hold(&self, day: Option<NaiveDate>) -> bool {
        day.is_none_or(|day| self.overlap(&(day..=day)))
    }
}

/// Day of an object: the rightmost `YYYY/MM/DD` (or `year=YYYY/month=MM/day=DD`) of its folders, else the time stamp that
/// AWS puts into file names (`_20261001T1205Z_`).
///
/// Only the part below the last `AWSLogs` counts, or, where there is none, the part from byte `root` on: a date further up
/// belongs to the person who made the folder and says nothing about the events.
pub fn day(path: &str, root: usize) -> Option<NaiveDate> {
    let below = below_reserved(path).unwrap_or_else(|| path.get(root..).unwrap_or(path));
    let segments: Vec<&str> = below.split('/').collect();
    let (file, folders) = segments.split_last()?;
    folders.windows(3).rev().find_map(whole_day).or_else(|| stamp(file))
}

/// The days that a folder stands for, if its last segments are a year, a year and month, or a whole date.
pub fn span(folder: &str) -> Option<RangeInclusive<NaiveDate>> {
    let segments: Vec<&str> = folder.trim_end_matches('/').split('/').collect();
    if let Some(day) = segments.last_chunk::<3>().and_then(|date| whole_day(date)) {
        return Some(day..=day);
    }
    if let Some([year, month]) = segments.last_chunk::<2>()
        && let (Some(year), Some(month)) = (number(year, "year=", 4..=4), number(month, "month=", 1..=2))
        && let Some(first) = date(year, month, 1)
    {
        return Some(first..=first.checked_add_months(Months::new(1))?.pred_opt()?);
    }
    let year = number(segments.last()?, "year=", 4..=4)?;
    Some(date(year, 1, 1)?..=date(year, 12, 31)?)
}

/// True for a folder that stands for one day.
pub fn is_day(folder: &str) -> bool {
    span(folder).is_some_and(|days| days.start() == days.end())
}

/// What follows the last segment `AWSLogs`, the one that AWS reserves in the keys of all logs it delivers.
pub fn below_reserved(path: &str) -> Option<&str> {
    let mut end = path.len();
    loop {
        let start = path.get(..end)?.rfind("AWSLogs/")?;
        if start == 0 || path.get(..start)?.ends_with('/') {
            return path.get(start + "AWSLogs/".len()..);
        }
        end = start;
    }
}

fn whole_day(segments: &[&str]) -> Option<NaiveDate> {
    let [year, month, day] = segments else { return None };
    date(number(year, "year=", 4..=4)?, number(month, "month=", 1..=2)?, number(day, "day=", 1..=2)?)
}

fn number(segment: &str, name: &str, digits: RangeInclusive<usize>) -> Option<u32> {
    let value = segment.strip_prefix(name).unwrap_or(segment);
    let plain = digits.contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit());
    if plain { value.parse().ok() } else { None }
}

/// No trail is older than this century, and a larger number is no year.
fn date(year: u32, month: u32, day: u32) -> Option<NaiveDate> {
    if (2000..2100).contains(&year) { NaiveDate::from_ymd_opt(year as i32, month, day) } else { None }
}

fn stamp(file: &str) -> Option<NaiveDate> {
    file.split(['_', '.']).find_map(|part| {
        let (day, time) = part.strip_suffix('Z')?.split_once('T')?;
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if day.len() != 8 || !(4..=9).contains(&time.len()) || !digits(day) || !digits(time) {
            return None;
        }
        let number = |range: std::ops::Range<usize>| day.get(range)?.parse().ok();
        date(number(0..4)?, number(4..6)?, number(6..8)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ymd(text: &str) -> Option<NaiveDate> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn keys_that_aws_writes_have_a_day() {
        let keys = [
            "AWSLogs/111122223333/CloudTrail/us-east-1/2026/10/01/x.json.gz",
            "p/AWSLogs/o-abcdef1234/111122223333/CloudTrail-Insight/us-east-1/2026/10/01/x.json.gz",
            "o-abcdef1234/AWSLogs/o-abcdef1234/111122223333/CloudTrail/us-east-1/2026/10/01/x.json.gz",
            "AWSLogs/111122223333/BedrockModelInvocationLogs/us-east-1/2026/10/01/13/data/r_input.json.gz",
            "AWSLogs/aws-account-id=111122223333/aws-service=vpcflowlogs/aws-region=us-east-1/year=2026/month=10/day=01/x",
            "111122223333_CloudTrail_us-east-1_20261001T1205Z_AbCdEfGh01234567.json.gz",
            "20261001T120512345Z_0a1b2c3d.json.gz",
            "cases/2020/01/02/AWSLogs/111122223333/CloudTrail/us-east-1/2026/10/01/x.json.gz",
        ];
        for key in keys {
            assert_eq!(day(key, 0), ymd("2026-10-01"), "{key}");
        }
    }

    #[test]
    fn other_names_have_none() {
        for key in ["x.json", "2026/10/x.json", "2026/13/01/x", "12345/10/01/x", "2026/10/01", "v_20261001T12Z_.gz", ""]
        {
            assert_eq!(day(key, 0), None, "{key}");
        }
    }

    #[test]
    fn dates_above_the_root_do_not_count() {
        let path = "/cases/2020/05/17/export/x.json";
        assert_eq!(day(path, "/cases/2020/05/17/export".len()), None);
        assert_eq!(day(path, 0), ymd("2020-05-17"));
        let trail = "/cases/2020/05/17/AWSLogs/1/CloudTrail/r/x.json";
        assert_eq!(day(trail, 0), None);
    }

    #[test]
    fn folders_span_years_months_and_days() {
        let check = |folder: &str, from: &str, to: &str| {
            let span = span(folder).unwrap();
            assert_eq!((Some(*span.start()), Some(*span.end())), (ymd(from), ymd(to)), "{folder}");
        };
        check("r/2026/", "2026-01-01", "2026-12-31");
        check("r/year=2026/", "2026-01-01", "2026-12-31");
        check("r/2026/10/", "2026-10-01", "2026-10-31");
        check("r/year=2026/month=02/", "2026-02-01", "2026-02-28");
        check("r/2026/10/07/", "2026-10-07", "2026-10-07");
        assert!(is_day("r/2026/10/07/") && !is_day("r/2026/10/"));
        assert_eq!(span("AWSLogs/111122223333/"), None);
    }

    #[test]
    fn a_window_wants_one_more_day_at_both_ends() {
        let time = |text: &str| Some(text.parse::<DateTime<Utc>>().unwrap());
        let days = Days::new(time("2026-10-02T10:00:00Z"), time("2026-10-03T10:00:00Z"));
        let wanted = |text: &str| days.hold(ymd(text));
        assert!(!wanted("2026-09-30") && wanted("2026-10-01") && wanted("2026-10-04") && !wanted("2026-10-05"));
        assert!(days.hold(None) && !days.all() && Days::default().all());
        assert!(Days::new(None, time("2026-10-03T10:00:00Z")).hold(ymd("2001-01-01")));
    }

    #[test]
    fn the_reserved_segment_is_a_whole_segment() {
        assert_eq!(below_reserved("a/AWSLogs/b/AWSLogs/c"), Some("c"));
        assert_eq!(below_reserved("a/myAWSLogs/c"), None);
        assert_eq!(below_reserved("AWSLogs/c"), Some("c"));
    }
}
