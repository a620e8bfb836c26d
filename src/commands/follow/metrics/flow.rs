//! Metrics of what comes in and goes out: streams of logs, sources, outputs.

use chrono::{DateTime, Duration, Utc};

use super::{age, flag, seconds};
use crate::commands::follow::exposition::{Families, Series, label, labelled, one};
use crate::intake::arrivals::SourceState;
use crate::outputs::channels::ChannelState;
use crate::pipeline::follow::standing::StreamState;

/// Streams that are shown, the most recent ones: accounts and Regions come from logs, and each is a series that Prometheus keeps.
pub(super) const MOST_STREAMS: usize = 200;
/// Events that are later than this are wrong or forged; their streams are shown last.
const FUTURE: Duration = Duration::hours(1);

pub(super) fn streams(to: &mut Families, streams: &[StreamState], now: DateTime<Utc>) {
    let mut recent: Vec<&StreamState> = streams.iter().collect();
    recent.sort_by_key(|stream| (stream.newest > now + FUTURE, std::cmp::Reverse(stream.newest)));
    recent.truncate(MOST_STREAMS);
    let each = |value: &dyn Fn(&StreamState) -> f64| -> Vec<Series> {
        let labels = |s: &StreamState| {
            vec![("log", s.log.to_owned()), ("account", label(&s.account)), ("region", label(&s.region))]
        };
        recent.iter().map(|stream| (labels(stream), value(stream))).collect()
    };
    to.gauge("trailhound_streams", "Streams (log, account, Region) that are known.", one(streams.len() as f64));
    to.gauge("trailhound_lag_seconds", "Seconds since the newest event of the stream.", each(&|s| age(s.newest, now)));
    to.gauge(
        "trailhound_newest_event_timestamp_seconds",
        "Time of the newest event of the stream, in seconds since 1970.",
        each(&|s| seconds(s.newest)),
    );
    to.gauge(
        "trailhound_watermark_timestamp_seconds",
        "Time up to which the stream is taken to be complete, in seconds since 1970.",
        each(&|s| seconds(s.watermark)),
    );
}

pub(super) fn sources(to: &mut Families, sources: &[SourceState], now: DateTime<Utc>) {
    let each = |value: &dyn Fn(&SourceState) -> Option<f64>| -> Vec<Series> {
        let named = |s: &SourceState, value| labelled([("source", &label(&s.source)), ("kind", s.kind)], value);
        sources.iter().filter_map(|source| Some(named(source, value(source)?))).collect()
    };
    to.gauge("trailhound_queue_messages", "Messages or objects that wait.", each(&|s| s.waiting.map(|n| n as f64)));
    to.gauge(
        "trailhound_queue_in_flight",
        "Messages or objects that are being worked on.",
        each(&|s| Some(s.in_flight as f64)),
    );
    to.gauge(
        "trailhound_queue_oldest_age_seconds",
        "Age of the oldest message or object that is not done with; 0 when there is none.",
        each(&|s| Some(s.oldest.map_or(0.0, |oldest| age(oldest, now)))),
    );
    to.gauge(
        "trailhound_dead_letters",
        "Messages in the dead-letter queue.",
        each(&|s| s.dead_letters.map(|n| n as f64)),
    );
    to.gauge(
        "trailhound_source_caught_up",
        "1 when nothing waited at the last look.",
        each(&|s| Some(flag(s.caught_up))),
    );
    to.gauge(
        "trailhound_source_trouble",
        "1 when the source cannot be read.",
        each(&|s| Some(flag(s.trouble.is_some()))),
    );
    to.counter("trailhound_source_received_total", "Messages or objects received.", each(&|s| Some(s.received as f64)));
    to.counter(
        "trailhound_source_finished_total",
        "Messages or objects done with.",
        each(&|s| Some(s.finished as f64)),
    );
    to.counter(
        "trailhound_source_refused_total",
        "Messages or objects that could not be used.",
        each(&|s| Some(s.refused as f64)),
    );
    to.counter(
        "trailhound_source_failures_total",
        "Requests to the source that failed.",
        each(&|s| Some(s.failures as f64)),
    );
}

pub(super) fn channels(to: &mut Families, channels: &[ChannelState]) {
    let each = |value: &dyn Fn(&ChannelState) -> f64| -> Vec<Series> {
        let named = |c: &ChannelState, value| labelled([("output", &label(&c.name)), ("kind", c.kind.as_str())], value);
        channels.iter().map(|channel| named(channel, value(channel))).collect()
    };
    to.counter(
        "trailhound_output_delivered_total",
        "Findings that the output has taken.",
        each(&|c| c.delivered as f64),
    );
    to.gauge("trailhound_output_waiting", "Findings that wait for the output.", each(&|c| c.waiting as f64));
    to.counter(
        "trailhound_output_failures_total",
        "Attempts that the output refused or did not answer.",
        each(&|c| c.failures as f64),
    );
    to.gauge("trailhound_output_trouble", "1 when the output takes nothing.", each(&|c| flag(c.trouble.is_some())));
}
