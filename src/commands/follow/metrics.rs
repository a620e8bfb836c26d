//! Where a follower stands as Prometheus metrics, in the text format 0.0.4.

use chrono::{DateTime, Duration, Utc};

use super::exposition::{Families, Series, label, labelled, one};
use super::process::Process;
use crate::error::Result;
use crate::findings::SEVERITIES;
use crate::intake::arrivals::SourceState;
use crate::outputs::channels::ChannelState;
use crate::pipeline::follow::standing::{Standing, StreamState};

/// Streams that are shown, the most recent ones: accounts and Regions come from logs, and each is a series that Prometheus keeps.
const MOST_STREAMS: usize = 200;
/// Events that are later than this are wrong or forged; their streams are shown last.
const FUTURE: Duration = Duration::hours(1);

/// The page for Prometheus.
///
/// # Errors
/// [`crate::error::Error::Output`] when the page cannot be written; nothing that a log says can cause that.
pub fn page(standing: &Standing, process: &Process, now: DateTime<Utc>) -> Result<String> {
    let mut families = Families::default();
    families.gauge(
        "trailhound_build_info",
        "Always 1; the label says which version runs.",
        [(vec![("version", env!("CARGO_PKG_VERSION").to_owned())], 1.0)],
    );
    state(&mut families, standing, now);
    records(&mut families, standing);
    judging(&mut families, standing);
    streams(&mut families, &standing.streams, now);
    sources(&mut families, &standing.sources, now);
    channels(&mut families, &standing.channels);
    own(&mut families, standing, process);
    families.text()
}

fn state(to: &mut Families, standing: &Standing, now: DateTime<Utc>) {
    to.gauge("trailhound_ready", "1 when all sources are open and the first cycle is done.", one(flag(standing.ready)));
    to.gauge(
        "trailhound_trouble",
        "1 when the follower as a whole does not get on, as when the lake cannot be written.",
        one(flag(standing.trouble.is_some())),
    );
    to.gauge(
        "trailhound_beat_age_seconds",
        "Seconds since the last turn of the loop.",
        one(standing.beat.elapsed().as_secs_f64()),
    );
    to.gauge("trailhound_uptime_seconds", "Seconds since the follower began.", one(age(standing.started, now)));
}

fn records(to: &mut Families, standing: &Standing) {
    to.counter("trailhound_objects_total", "Objects read.", one(standing.total.objects as f64));
    to.counter("trailhound_read_bytes_total", "Bytes read, as delivered.", one(standing.total.bytes as f64));
    let outcomes = [
        ("stored", standing.total.stored),
        ("duplicate", standing.total.duplicates),
        ("quarantined", standing.total.quarantined),
        ("foreign", standing.total.foreign),
    ];
    to.counter(
        "trailhound_records_total",
        "Records by what became of them; foreign ones are of none of our logs.",
        outcomes.map(|(outcome, count)| labelled([("outcome", outcome)], count as f64)),
    );
    to.counter(
        "trailhound_stored_records_total",
        "Records stored, by log.",
        standing.total.logs.iter().map(|log| labelled([("log", log.log)], log.stored as f64)),
    );
    to.counter("trailhound_lake_commits_total", "Commits to the lake.", one(standing.commits as f64));
    to.counter(
        "trailhound_lake_conflicts_total",
        "Commits that were done again because another process was faster.",
        one(standing.conflicts as f64),
    );
}

fn judging(to: &mut Families, standing: &Standing) {
    let found = |severity| standing.findings.get(severity).copied().unwrap_or_default();
    to.counter(
        "trailhound_findings_total",
        "Findings announced, by severity.",
        SEVERITIES.iter().map(|severity| labelled([("severity", severity.as_str())], found(severity) as f64)),
    );
    let rules = standing.rules;
    let answers = [
        ("fired", rules.fired),
        ("quiet", rules.quiet),
        ("not_evaluated", rules.not_evaluated),
        ("failed", rules.failed),
    ];
    to.gauge(
        "trailhound_rules",
        "Rules by their answer in the last cycle.",
        answers.map(|(outcome, count)| labelled([("outcome", outcome)], count as f64)),
    );
    to.counter(
        "trailhound_settles_total",
        "Times that rules were judged up to the watermark.",
        one(standing.settles as f64),
    );
    to.histogram(
        "trailhound_cycle_seconds",
        "Seconds from objects at hand to findings written.",
        &standing.cycle_seconds,
    );
    to.histogram("trailhound_settle_seconds", "Seconds of judging up to the watermark.", &standing.settle_seconds);
    to.histogram(
        "trailhound_delay_seconds",
        "Seconds from the time of an object to its findings written.",
        &standing.delay_seconds,
    );
}

fn streams(to: &mut Families, streams: &[StreamState], now: DateTime<Utc>) {
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

fn sources(to: &mut Families, sources: &[SourceState], now: DateTime<Utc>) {
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

fn channels(to: &mut Families, channels: &[ChannelState]) {
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

/// What exporters call the same everywhere.
/// <https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>
fn own(to: &mut Families, standing: &Standing, process: &Process) {
    let known = |value: Option<f64>| value.into_iter().flat_map(one);
    to.gauge(
        "process_start_time_seconds",
        "Start time of the process since unix epoch in seconds.",
        one(seconds(standing.started)),
    );
    to.gauge(
        "process_resident_memory_bytes",
        "Resident memory size in bytes.",
        known(process.resident.map(|n| n as f64)),
    );
    to.gauge(
        "trailhound_resident_memory_peak_bytes",
        "Largest resident memory size so far in bytes.",
        known(process.peak.map(|n| n as f64)),
    );
    to.counter(
        "process_cpu_seconds_total",
        "Total user and system CPU time spent in seconds.",
        known(process.cpu_seconds),
    );
    to.gauge("process_open_fds", "Number of open file descriptors.", known(process.open_files.map(|n| n as f64)));
}

fn flag(set: bool) -> f64 {
    f64::from(u8::from(set))
}

fn seconds(time: DateTime<Utc>) -> f64 {
    time.timestamp_micros() as f64 / 1e6
}

/// Seconds from `then` to `now`; a time to come is no age.
fn age(then: DateTime<Utc>, now: DateTime<Utc>) -> f64 {
    ((now - then).num_milliseconds() as f64 / 1e3).max(0.0)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    use granit_parser::{Event, Parser};

    use super::*;
    use crate::findings::Severity;
    use crate::outputs::channels::ChannelKind;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_856_000 + seconds, 0).unwrap()
    }

    fn stream(account: &str, region: &str, newest: i64) -> StreamState {
        StreamState {
            log: "cloudtrail",
            account: account.to_owned(),
            region: region.to_owned(),
            newest: at(newest),
            watermark: at(newest - 900),
        }
    }

    /// A follower at work: every family of the page has a series.
    fn filled() -> Standing {
        let mut standing = Standing::new(at(-3600));
        standing.ready = true;
        (standing.total.objects, standing.total.bytes) = (12, 4096);
        let total = &mut standing.total;
        (total.read, total.stored, total.duplicates, total.quarantined) = (100, 90, 7, 3);
        standing.findings.insert(Severity::High, 2);
        standing.rules.failed = 1;
        standing.streams = vec![stream("111122223333", "us-east-1", -300)];
        standing.delay_seconds.observe(0.8);
        standing.delay_seconds.observe(2.4);
        standing.sources.push(SourceState {
            source: "https://sqs.us-east-1.amazonaws.com/111122223333/trail".to_owned(),
            kind: "sqs",
            waiting: Some(4),
            dead_letters: Some(1),
            oldest: Some(at(-45)),
            ..SourceState::default()
        });
        let trouble = Some("connection refused".to_owned());
        standing.channels.push(ChannelState {
            name: "findings.ndjson".to_owned(),
            kind: ChannelKind::File,
            delivered: 0,
            waiting: 5,
            refused: 0,
            failures: 0,
            trouble,
        });
        standing
    }

    fn read(standing: &Standing) -> BTreeMap<String, f64> {
        let process =
            Process { resident: Some(1 << 20), peak: Some(2 << 20), cpu_seconds: Some(1.5), open_files: Some(9) };
        parse(&page(standing, &process, at(0)).unwrap())
    }

    /// The series of a page, which must keep to the format: a name with its labels as written, and the value.
    /// <https://prometheus.io/docs/instrumenting/exposition_formats/#text-format-details>
    fn parse(page: &str) -> BTreeMap<String, f64> {
        let (mut series, mut types) = (BTreeMap::new(), BTreeMap::new());
        for line in page.split_terminator('\n') {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} twice");
                assert!(kind != "counter" || name.ends_with("_total"), "{name} is a counter");
                continue;
            }
            if line.starts_with("# HELP ") {
                continue;
            }
            let name_end = line.find(['{', ' ']).unwrap();
            let name = &line[..name_end];
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{line}");
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end).filter(|f| types.contains_key(*f)));
            assert!(types.contains_key(family.unwrap_or(name)), "{name} has no type");
            let labels_end = name_end + labels(&line[name_end..]);
            let value = line[labels_end..].strip_prefix(' ').unwrap();
            let known = series.insert(line[..labels_end].to_owned(), value.parse::<f64>().unwrap());
            assert!(known.is_none(), "{line} twice");
        }
        series
    }

    /// Length of the labels at the start of `text`.
    fn labels(text: &str) -> usize {
        let Some(mut rest) = text.strip_prefix('{') else { return 0 };
        loop {
            let (name, value) = rest.split_once("=\"").unwrap();
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{text}");
            let mut characters = value.char_indices();
            let end = loop {
                match characters.next().unwrap() {
                    (end, '"') => break end,
                    (_, '\\') => assert!(matches!(characters.next(), Some((_, '\\' | '"' | 'n'))), "{text}"),
                    (_, other) => assert!(!other.is_control(), "{text}"),
                }
            };
            match value[end + 1..].strip_prefix(',') {
                Some(next) => rest = next,
                None => {
                    let after = value[end + 1..].strip_prefix('}').unwrap();
                    return text.len() - after.len();
                }
            }
        }
    }

    #[test]
    fn the_page_says_where_the_follower_stands() {
        let series = read(&filled());
        let figure = |name: &str| *series.get(name).unwrap_or_else(|| panic!("{name} in {series:#?}"));
        let us = r#"{log="cloudtrail",account="111122223333",region="us-east-1"}"#;
        let queue = r#"{source="https://sqs.us-east-1.amazonaws.com/111122223333/trail",kind="sqs"}"#;
        assert_eq!(figure(r#"trailhound_records_total{outcome="duplicate"}"#), 7.0);
        assert_eq!(figure(r#"trailhound_records_total{outcome="quarantined"}"#), 3.0);
        assert_eq!(figure(r#"trailhound_findings_total{severity="high"}"#), 2.0);
        assert_eq!(
            figure(r#"trailhound_findings_total{severity="critical"}"#),
            0.0,
            "a counter that is there from the start"
        );
        assert_eq!(figure(&format!("trailhound_lag_seconds{us}")), 300.0);
        assert_eq!(figure(&format!("trailhound_watermark_timestamp_seconds{us}")), 1_790_854_800.0);
        assert_eq!(figure(&format!("trailhound_queue_oldest_age_seconds{queue}")), 45.0);
        assert_eq!(figure(&format!("trailhound_dead_letters{queue}")), 1.0);
        assert_eq!(figure(r#"trailhound_output_waiting{output="findings.ndjson",kind="file"}"#), 5.0);
        assert_eq!(figure(r#"trailhound_delay_seconds_bucket{le="1"}"#), 1.0);
        assert_eq!(figure(r#"trailhound_delay_seconds_bucket{le="3"}"#), 2.0);
        assert_eq!(figure(r#"trailhound_delay_seconds_bucket{le="+Inf"}"#), 2.0);
        assert_eq!(figure("process_cpu_seconds_total"), 1.5);
        assert_eq!(figure("process_resident_memory_bytes"), 1_048_576.0);
        assert_eq!(figure("trailhound_uptime_seconds"), 3600.0);
    }

    #[test]
    fn a_follower_that_just_began_has_a_page() {
        let series = parse(&page(&Standing::new(at(0)), &Process::default(), at(0)).unwrap());
        assert_eq!(series.get("trailhound_ready"), Some(&0.0));
        assert!(!series.contains_key("process_cpu_seconds_total"), "unknown is not zero");
    }

    #[test]
    fn hostile_labels_stay_labels() {
        let mut standing = filled();
        let evil = "x\"} 1\ntrailhound_ready 0\n# \\\u{1b}[31m\u{202e}";
        let long = "y".repeat(100_000);
        standing.streams = vec![
            stream(evil, "us-east-1", 0),
            stream(&long, "us-east-1", 0),
            stream(&(long.clone() + "z"), "us-east-1", -5),
        ];
        standing.channels[0].name = evil.to_owned();
        let series = read(&standing);
        assert_eq!(series.get("trailhound_ready"), Some(&1.0));
        let lags: Vec<&String> = series.keys().filter(|name| name.starts_with("trailhound_lag_seconds")).collect();
        assert_eq!(lags.len(), 2, "labels that are cut to the same are one series: {lags:?}");
        assert!(lags.iter().all(|name| name.chars().count() < 300), "{lags:?}");
    }

    #[test]
    fn the_most_recent_streams_are_shown_and_forged_futures_do_not_hide_them() {
        let mut standing = filled();
        standing.streams = (0..300).map(|number| stream("444455556666", &format!("forged-{number}"), 90_000)).collect();
        standing.streams.extend((0..20).map(|number| stream("111122223333", &format!("region-{number}"), -number)));
        let series = read(&standing);
        let shown =
            |part: &str| series.keys().filter(|name| name.starts_with("trailhound_lag") && name.contains(part)).count();
        assert_eq!((shown("region-"), shown("forged-")), (20, MOST_STREAMS - 20));
        assert_eq!(series.get("trailhound_streams"), Some(&320.0));
    }

    #[test]
    fn alerts_name_what_is_exported() {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/alerts.yml")).unwrap();
        let mut expressions = Vec::new();
        let (mut alerts, mut key) = (0, String::new());
        for event in Parser::new_from_str(&text) {
            let Event::Scalar(value, ..) = event.unwrap().0 else { continue };
            match key.as_str() {
                "expr" => expressions.push(value.to_string()),
                "alert" => alerts += 1,
                _ => {}
            }
            key = value.to_string();
        }
        assert!(alerts >= 7 && alerts == expressions.len(), "{alerts} alerts, {} expressions", expressions.len());
        let exported = read(&filled());
        let names: BTreeSet<&str> = exported.keys().map(|series| series.split('{').next().unwrap()).collect();
        for expression in &expressions {
            let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let metrics: Vec<&str> =
                words.filter(|word| word.starts_with("trailhound_") || word.starts_with("process_")).collect();
            assert!(!metrics.is_empty() || expression.contains("up{"), "{expression} names no metric");
            for metric in metrics {
                assert!(names.contains(metric), "{metric} of {expression} is not exported");
            }
        }
    }
}
