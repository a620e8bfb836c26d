//! Where a follower stands as Prometheus metrics, in the text format 0.0.4.

mod flow;
mod work;

use chrono::{DateTime, Utc};

use super::exposition::Families;
use super::process::Process;
use crate::error::Result;
use crate::pipeline::follow::standing::Standing;

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
    work::state(&mut families, standing, now);
    work::records(&mut families, standing);
    work::judging(&mut families, standing);
    flow::streams(&mut families, &standing.streams, now);
    flow::sources(&mut families, &standing.sources, now);
    flow::channels(&mut families, &standing.channels);
    work::own(&mut families, standing, process);
    families.text()
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

    use super::flow::MOST_STREAMS;
    use super::*;
    use crate::findings::Severity;
    use crate::intake::arrivals::SourceState;
    use crate::outputs::channels::{ChannelKind, ChannelState};
    use crate::pipeline::follow::standing::StreamState;

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
