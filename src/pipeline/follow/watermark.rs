//! Watermarks: up to which event time each log of each account and Region can be taken to be complete.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};

use super::standing::StreamState;
use crate::logs::LOG_TYPES;

/// How late the events of each log may arrive.
#[derive(Debug, Clone)]
pub struct Delays(BTreeMap<&'static str, Duration>);

impl Default for Delays {
    /// What AWS says of its delivery: CloudTrail about 5 minutes and up to 15, flow logs up to 10 to 15, and model
    /// invocation logs without a promise, mostly minutes.
    fn default() -> Delays {
        let minutes = |log: &str| if log == "bedrock" { 60 } else { 15 };
        Delays(LOG_TYPES.iter().map(|log| (log.name, Duration::minutes(minutes(log.name)))).collect())
    }
}

impl Delays {
    /// Sets the delay of a log; false when there is no such log.
    pub fn set(&mut self, log: &str, delay: Duration) -> bool {
        let Some(known) = self.0.iter_mut().find(|(name, _)| **name == log) else { return false };
        *known.1 = delay;
        true
    }

    fn of(&self, log: &str) -> Duration {
        self.0.get(log).copied().unwrap_or_default()
    }
}

/// One log of one account in one Region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stream {
    /// Log type.
    pub log: String,
    /// Account, as the log names it.
    pub account: String,
    /// Region, as the log names it.
    pub region: String,
}

/// The newest event of each stream.
#[derive(Debug, Clone, Default)]
pub struct Watermarks {
    newest: BTreeMap<Stream, DateTime<Utc>>,
    delays: Delays,
}

impl Watermarks {
    /// Streams as they were known.
    pub fn new(delays: Delays, newest: impl IntoIterator<Item = (Stream, DateTime<Utc>)>) -> Watermarks {
        Watermarks { newest: newest.into_iter().collect(), delays }
    }

    /// Streams, each with the time of its newest event.
    pub fn streams(&self) -> impl Iterator<Item = (&Stream, DateTime<Utc>)> {
        self.newest.iter().map(|(stream, newest)| (stream, *newest))
    }

    /// Takes note of events up to `time`.
    pub fn see(&mut self, stream: Stream, time: DateTime<Utc>) {
        let newest = self.newest.entry(stream).or_insert(time);
        *newest = time.max(*newest);
    }

    /// Before which event time all events of these logs are taken to be there.
    ///
    /// A stream is complete up to its newest event less the delay. Once nothing waits in any source (`caught_up`), it is
    /// also complete up to `now` less the delay, so that a quiet stream holds nothing up. An event from the future moves
    /// nothing further than that.
    pub fn of_logs(&self, logs: &[String], now: DateTime<Utc>, caught_up: bool) -> DateTime<Utc> {
        let streams = self.newest.iter().filter(|(stream, _)| logs.contains(&stream.log));
        let marks = streams.map(|(stream, newest)| self.of_stream(stream, *newest, now, caught_up));
        let longest = logs.iter().map(|log| self.delays.of(log)).max().unwrap_or_default();
        marks.min().unwrap_or(now - longest)
    }

    fn of_stream(&self, stream: &Stream, newest: DateTime<Utc>, now: DateTime<Utc>, caught_up: bool) -> DateTime<Utc> {
        let complete = if caught_up { now } else { newest.min(now) };
        complete - self.delays.of(&stream.log)
    }

    /// What watchers see of the streams.
    pub fn states(&self, now: DateTime<Utc>, caught_up: bool) -> Vec<StreamState> {
        let mut states = Vec::new();
        for log in LOG_TYPES {
            for (stream, newest) in self.newest.iter().filter(|(stream, _)| stream.log == log.name) {
                states.push(StreamState {
                    log: log.name,
                    account: stream.account.clone(),
                    region: stream.region.clone(),
                    newest: *newest,
                    watermark: self.of_stream(stream, *newest, now, caught_up),
                });
            }
        }
        states
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + minute * 60, 0).unwrap()
    }

    fn stream(log: &str, region: &str) -> Stream {
        Stream { log: log.into(), account: "111122223333".into(), region: region.into() }
    }

    #[test]
    fn the_slowest_stream_holds_the_watermark_until_nothing_waits() {
        let mut marks = Watermarks::default();
        marks.see(stream("cloudtrail", "us-east-1"), at(100));
        marks.see(stream("cloudtrail", "eu-west-1"), at(40));
        marks.see(stream("cloudtrail", "eu-west-1"), at(30));
        marks.see(stream("vpcflow", "eu-west-1"), at(10));
        let logs = ["cloudtrail".to_owned()];
        assert_eq!(marks.of_logs(&logs, at(200), false), at(40 - 15));
        assert_eq!(marks.of_logs(&logs, at(200), true), at(200 - 15));
        let both = ["cloudtrail".to_owned(), "bedrock".to_owned()];
        assert_eq!(marks.of_logs(&both, at(200), false), at(25), "a log without events holds nothing up");
        assert_eq!(marks.of_logs(&["bedrock".to_owned()], at(200), false), at(140));
    }

    #[test]
    fn events_from_the_future_move_the_watermark_no_further_than_now() {
        let mut marks = Watermarks::default();
        marks.see(stream("cloudtrail", "us-east-1"), at(1_000_000));
        assert_eq!(marks.of_logs(&["cloudtrail".to_owned()], at(200), false), at(185));
    }

    #[test]
    fn delays_are_set_for_logs_that_exist() {
        let mut delays = Delays::default();
        assert!(delays.set("bedrock", Duration::minutes(5)));
        assert!(!delays.set("cloudtrial", Duration::minutes(5)));
        assert_eq!((delays.of("bedrock").num_minutes(), delays.of("vpcflow").num_minutes()), (5, 15));
    }
}
