//! The status line on a terminal, and in its place a line of log each minute where there is no terminal.

use std::collections::VecDeque;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::error::grouped;
use crate::findings::SEVERITIES;
use crate::outputs::escape;
use crate::pipeline::follow::standing::{Board, Standing};

/// How often the line is written anew.
const TURN: Duration = Duration::from_secs(1);
/// Turns that the rate is measured over.
const TURNS: usize = 10;
/// How often a line of log takes its place.
const LOGGED: Duration = Duration::from_secs(60);
/// Characters of a trouble, so that the figures stay on the line.
const LONGEST_TROUBLE: usize = 60;

/// A line at the bottom of the terminal; nothing elsewhere, or when quiet is asked for.
pub fn bar(quiet: bool) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if quiet || !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
        return bar;
    }
    let style = ProgressStyle::with_template("{spinner} {wide_msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Keeps the line up to date until the task is dropped.
pub async fn keep(board: Board, bar: ProgressBar) {
    let mut rate = Rate::default();
    let mut logged = Instant::now();
    let mut turns = tokio::time::interval(TURN);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        let now = Instant::now();
        let per_second = rate.add(now, board.read().total.read);
        if !bar.is_hidden() {
            let text = line(&board.read(), per_second, Utc::now());
            bar.set_message(text);
        } else if now.duration_since(logged) >= LOGGED {
            logged = now;
            log(&board.read(), per_second);
        }
    }
}

/// Where the follower stands, on one line: troubles first, then events per second, how far each log is behind, and findings.
pub fn line(standing: &Standing, per_second: f64, now: DateTime<Utc>) -> String {
    let mut parts = Vec::new();
    if let Some((who, why)) = standing.troubles().first() {
        let text = if who.is_empty() { (*why).to_owned() } else { format!("{who}: {why}") };
        parts.push(format!("! {}", cut(&escape::terminal(&text))));
    } else if !standing.ready {
        parts.push("starting".to_owned());
    }
    parts.push(format!("{} events/s", grouped(per_second.round().max(0.0) as u64)));
    for (log, newest) in newest(standing) {
        parts.push(format!("{log} {} behind", span(now - newest)));
    }
    parts.push(findings(standing));
    let waiting: u64 = standing.sources.iter().filter_map(|source| source.waiting).sum();
    if waiting > 0 {
        parts.push(format!("{} wait", grouped(waiting)));
    }
    if standing.total.quarantined > 0 {
        parts.push(format!("{} quarantined", grouped(standing.total.quarantined)));
    }
    parts.join(" · ")
}

/// The same for a log.
fn log(standing: &Standing, per_second: f64) {
    tracing::info!(
        events_per_second = per_second.round(),
        objects = standing.total.objects,
        stored = standing.total.stored,
        duplicates = standing.total.duplicates,
        quarantined = standing.total.quarantined,
        findings = standing.findings.values().sum::<u64>(),
        lag_seconds = newest(standing).iter().map(|(_, time)| (Utc::now() - time).num_seconds()).max(),
        waiting = standing.sources.iter().filter_map(|source| source.waiting).sum::<u64>(),
        troubles = standing.troubles().len(),
        "following"
    );
}

/// Time of the newest event of each log that has any.
fn newest(standing: &Standing) -> Vec<(&'static str, DateTime<Utc>)> {
    let mut newest: Vec<(&'static str, DateTime<Utc>)> = Vec::new();
    for stream in &standing.streams {
        match newest.iter_mut().find(|(log, _)| *log == stream.log) {
            Some((_, time)) => *time = stream.newest.max(*time),
            None => newest.push((stream.log, stream.newest)),
        }
    }
    newest.sort_unstable();
    newest
}

/// `12 findings (2 critical, 10 high)`.
fn findings(standing: &Standing) -> String {
    let total: u64 = standing.findings.values().sum();
    let found = |severity| standing.findings.get(severity).copied().filter(|count| *count > 0);
    let each: Vec<String> =
        SEVERITIES.iter().filter_map(|severity| Some(format!("{} {severity}", grouped(found(severity)?)))).collect();
    match total {
        0 => "no findings".to_owned(),
        1 => format!("1 finding ({})", each.join(", ")),
        _ => format!("{} findings ({})", grouped(total), each.join(", ")),
    }
}

/// A span in its two largest units.
fn span(span: TimeDelta) -> String {
    let seconds = span.num_seconds().max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86400, seconds % 86400 / 3600),
    }
}

fn cut(text: &str) -> String {
    if text.chars().count() <= LONGEST_TROUBLE {
        return text.to_owned();
    }
    text.chars().take(LONGEST_TROUBLE - 1).chain(['…']).collect()
}

/// How fast a counter grows, over the last turns.
#[derive(Debug, Default)]
struct Rate {
    seen: VecDeque<(Instant, u64)>,
}

impl Rate {
    /// Adds a look at the counter; growth per second.
    fn add(&mut self, now: Instant, count: u64) -> f64 {
        self.seen.push_back((now, count));
        if self.seen.len() > TURNS + 1 {
            self.seen.pop_front();
        }
        let Some((then, before)) = self.seen.front() else { return 0.0 };
        let seconds = now.duration_since(*then).as_secs_f64();
        if seconds > 0.0 { count.saturating_sub(*before) as f64 / seconds } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Severity;
    use crate::intake::arrivals::SourceState;
    use crate::pipeline::follow::standing::StreamState;

    fn stream(log: &'static str, region: &str, newest: DateTime<Utc>) -> StreamState {
        StreamState { log, account: "111122223333".to_owned(), region: region.to_owned(), newest, watermark: newest }
    }

    #[test]
    fn the_line_says_rate_lag_findings_and_trouble() {
        let now = Utc::now();
        let mut standing = Standing::new(now);
        assert_eq!(line(&standing, 0.0, now), "starting · 0 events/s · no findings");
        standing.ready = true;
        standing.streams = vec![
            stream("vpcflow", "us-east-1", now - TimeDelta::seconds(7500)),
            stream("cloudtrail", "eu-west-1", now - TimeDelta::days(3)),
            stream("cloudtrail", "us-east-1", now - TimeDelta::seconds(124)),
        ];
        standing.findings.extend([(Severity::High, 5), (Severity::Critical, 2), (Severity::Low, 0)]);
        standing.sources.push(SourceState { waiting: Some(1234), ..SourceState::default() });
        assert_eq!(
            line(&standing, 5011.7, now),
            "5,012 events/s · cloudtrail 2 min 4 s behind · vpcflow 2 h 5 min behind · 7 findings (2 critical, 5 high) · 1,234 wait"
        );
        standing.sources[0].source = "s3://trail".to_owned();
        standing.sources[0].trouble = Some(format!("denied\n\u{1b}[2J{}", "x".repeat(500)));
        let troubled = line(&standing, 0.0, now);
        assert!(troubled.starts_with("! s3://trail: denied\\n\\u{1b}[2Jxxx"), "{troubled}");
        assert!(!troubled.chars().any(char::is_control) && troubled.chars().count() < 250, "{troubled}");
    }

    #[test]
    fn the_rate_is_that_of_the_last_turns() {
        let (start, mut rate) = (Instant::now(), Rate::default());
        let mut shown = 0.0;
        for second in 0..100 {
            let count = if second < 50 { 1_000 * second } else { 50_000 };
            shown = rate.add(start + Duration::from_secs(second), count);
            if second == 40 {
                assert!((shown - 1000.0).abs() < 1.0, "{shown}");
            }
        }
        assert!(shown.abs() < 1e-9, "{shown}");
        assert!(rate.seen.len() <= TURNS + 1);
    }
}
