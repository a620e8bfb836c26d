//! Change windows: days of the week and hours in UTC, such as `Sat 02:00-04:00 UTC`.

use chrono::{DateTime, Datelike, Duration, NaiveTime, Utc, Weekday};

const MINUTES_PER_DAY: i64 = 1_440;

/// Hours of some days of every week.
#[derive(Debug, Clone, PartialEq)]
pub struct Hours {
    /// Days on which it begins.
    days: Vec<Weekday>,
    /// Minutes after midnight UTC.
    begin: i64,
    /// Minutes; at most a day.
    length: i64,
}

impl Hours {
    /// Reads days (`Sat`, `Mon-Fri`, `Sat,Sun`; every day when left out), hours (`22:00-02:00` ends on the next day,
    /// `00:00-24:00` is the whole day) and the word `UTC`. The error says what to write.
    pub fn read(text: &str) -> Result<Hours, String> {
        let wrong =
            || format!("'{text}' is no change window; write it as Sat 02:00-04:00 UTC, or Mon-Fri 22:00-06:00 UTC");
        let mut words: Vec<&str> = text.split_whitespace().collect();
        if words.pop() != Some("UTC") {
            return Err(format!("'{text}' has to end in UTC, because the times of events are UTC"));
        }
        let (begin, end) = words.pop().and_then(|hours| hours.split_once('-')).ok_or_else(wrong)?;
        let (begin, end) = (minutes(begin).ok_or_else(wrong)?, minutes(end).ok_or_else(wrong)?);
        if begin == end || begin == MINUTES_PER_DAY {
            return Err(wrong());
        }
        let length = if end > begin { end - begin } else { MINUTES_PER_DAY - begin + end };
        let days = if words.is_empty() { all_days().collect() } else { days(&words.concat()).ok_or_else(wrong)? };
        Ok(Hours { days, begin, length })
    }

    /// True when both instants, and so all between them, are within the hours that begin on one day.
    pub fn hold(&self, first: DateTime<Utc>, last: DateTime<Utc>) -> bool {
        let today = first.date_naive();
        [Some(today), today.pred_opt()].into_iter().flatten().any(|day| {
            let begin = day.and_time(NaiveTime::MIN).and_utc() + Duration::minutes(self.begin);
            let end = begin + Duration::minutes(self.length);
            self.days.contains(&day.weekday()) && begin <= first && first <= last && last < end
        })
    }
}

fn all_days() -> impl Iterator<Item = Weekday> {
    std::iter::successors(Some(Weekday::Mon), |day| Some(day.succ())).take(7)
}

/// Days of `Sat,Sun` or `Mon-Fri`.
fn days(text: &str) -> Option<Vec<Weekday>> {
    let mut days = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (Weekday, Weekday) = (first.parse().ok()?, last.parse().ok()?);
        let upto = 1 + first.num_days_from_monday().abs_diff(last.num_days_from_monday());
        let count = if first.num_days_from_monday() <= last.num_days_from_monday() { upto } else { 9 - upto };
        days.extend(all_days().chain(all_days()).skip_while(|day| *day != first).take(count as usize));
    }
    Some(days)
}

/// Minutes of `HH:MM`; 24:00 is the end of the day.
fn minutes(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let digits = |text: &str| (text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok());
    let (hours, minutes): (i64, i64) = (digits(hours)??, digits(minutes)??);
    let total = hours * 60 + minutes;
    (minutes < 60 && total <= MINUTES_PER_DAY).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).expect("a time").to_utc()
    }

    fn holds(hours: &str, first: &str, last: &str) -> bool {
        Hours::read(hours).expect("a change window").hold(at(first), at(last))
    }

    #[test]
    fn a_span_is_within_the_hours_of_one_day() {
        // 2026-10-03 is a Saturday.
        let saturday = "Sat 02:00-04:00 UTC";
        assert!(holds(saturday, "2026-10-03T02:00:00Z", "2026-10-03T03:59:59Z"));
        assert!(!holds(saturday, "2026-10-03T01:59:59Z", "2026-10-03T03:00:00Z"), "it began before");
        assert!(!holds(saturday, "2026-10-03T03:00:00Z", "2026-10-03T04:00:00Z"), "it ended after");
        assert!(!holds(saturday, "2026-10-04T03:00:00Z", "2026-10-04T03:00:00Z"), "a Sunday");
        assert!(!holds(saturday, "2026-10-03T03:00:00Z", "2026-10-10T03:00:00Z"), "a week lies between");
    }

    #[test]
    fn hours_go_over_midnight_and_days_over_the_weekend() {
        assert!(holds("Fri 22:00-02:00 UTC", "2026-10-02T23:00:00Z", "2026-10-03T01:00:00Z"));
        assert!(!holds("Fri 22:00-02:00 UTC", "2026-10-03T23:00:00Z", "2026-10-03T23:00:00Z"));
        assert!(holds("Sat-Mon 00:00-24:00 UTC", "2026-10-04T23:59:59Z", "2026-10-04T23:59:59Z"));
        assert!(!holds("Sat-Mon 00:00-24:00 UTC", "2026-10-06T12:00:00Z", "2026-10-06T12:00:00Z"));
        assert!(holds("12:00-13:00 UTC", "2026-10-06T12:00:00Z", "2026-10-06T12:30:00Z"));
        let written = |text: &str| Hours::read(text).expect("a change window");
        assert_eq!(written("Mon-Fri 00:00-24:00 UTC").days.len(), 5);
        assert_eq!(written("Fri-Mon 00:00-24:00 UTC").days, [Weekday::Fri, Weekday::Sat, Weekday::Sun, Weekday::Mon]);
        assert_eq!(written("Sat, Sun 00:00-24:00 UTC").days, [Weekday::Sat, Weekday::Sun]);
    }

    #[test]
    fn other_texts_are_refused_with_what_to_write() {
        for text in
            ["", "UTC", "Sat UTC", "Sat 2-4 UTC", "Sat 02:00-02:00 UTC", "Sat 24:00-01:00 UTC", "Sut 02:00-04:00 UTC"]
        {
            assert!(Hours::read(text).is_err(), "{text:?} was accepted");
        }
        assert!(Hours::read("Sat 02:00-04:00").is_err_and(|why| why.contains("UTC")));
        assert!(Hours::read("Sat 02:00-04:00 CET").is_err_and(|why| why.contains("UTC")));
        assert!(Hours::read("Sat 02:60-04:00 UTC").is_err() && Hours::read("Sat 02:00-24:01 UTC").is_err());
    }
}
