//! What the follower logs, on stderr: lines for people on a terminal, one JSON object per line elsewhere.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use indicatif::ProgressBar;
use tracing::{Dispatch, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::{self, MakeWriter};

use crate::error::{Error, Result};
use crate::lake::COMMITS_LOG;
use crate::outputs::escape;

/// Variable that says what is logged, such as `debug` or `warn,trailhound=debug`.
pub const VARIABLE: &str = "TRAILHOUND_LOG";

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Logs to stderr from now on. Without `format` it is text on a terminal and JSON elsewhere; lines appear above `bar`.
///
/// # Errors
/// [`Error::Usage`] when [`VARIABLE`] holds something that is no filter.
pub fn start(format: Option<LogFormat>, quiet: bool, bar: &ProgressBar) -> Result<()> {
    let automatic = if io::stderr().is_terminal() { LogFormat::Text } else { LogFormat::Json };
    let wanted = std::env::var(VARIABLE).ok();
    let wanted = wanted.filter(|text| !text.trim().is_empty()).unwrap_or_else(|| ordinary(quiet));
    let filter = filter(&wanted)?;
    let bar = bar.clone();
    let stderr = move || Above { bar: bar.clone() };
    // Only a process that logs already has a subscriber; it keeps it.
    let _ = tracing::dispatcher::set_global_default(dispatch(format.unwrap_or(automatic), filter, stderr));
    Ok(())
}

/// What is logged when nobody says.
fn ordinary(quiet: bool) -> String {
    let level = if quiet { "error" } else { "warn,trailhound=info" };
    format!("{level},{COMMITS_LOG}=off")
}

fn filter(text: &str) -> Result<EnvFilter> {
    EnvFilter::try_new(text).map_err(|error| {
        Error::Usage(format!(
            "{VARIABLE}={} is no filter for logs: {error}; write info, or warn,trailhound=debug",
            escape::terminal(text)
        ))
    })
}

/// A subscriber that writes whole lines to `to`.
fn dispatch<W>(format: LogFormat, filter: EnvFilter, to: W) -> Dispatch
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let plain = fmt::Subscriber::builder().with_env_filter(filter).with_ansi(false);
    let all: Box<dyn Subscriber + Send + Sync> = match format {
        LogFormat::Text => Box::new(plain.with_target(false).with_writer(Lines(to)).finish()),
        LogFormat::Json => {
            let json = plain.json().flatten_event(true).with_current_span(false).with_span_list(false);
            Box::new(json.with_writer(to).finish())
        }
    };
    Dispatch::from(all)
}

/// Writes to stderr above the status line.
struct Above {
    bar: ProgressBar,
}

impl Write for Above {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bar.suspend(|| io::stderr().lock().write_all(bytes)).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Makes writers that keep what is written at once on one line, and harmless: text from logs may be in it.
struct Lines<W>(W);

/// A writer of [`Lines`].
struct Line<W>(W);

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for Lines<W> {
    type Writer = Line<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Line(self.0.make_writer())
    }
}

impl<W: Write> Write for Line<W> {
    /// The subscriber hands over one whole event with its line end at a time.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let shown = escape::terminal(text.strip_suffix('\n').unwrap_or(&text));
        self.0.write_all(format!("{shown}\n").as_bytes()).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written of these events.
    fn written(format: LogFormat, wanted: &str, events: impl FnOnce()) -> String {
        let kept = Kept::default();
        let to = kept.clone();
        let dispatch = dispatch(format, filter(wanted).unwrap(), move || to.clone());
        tracing::dispatcher::with_default(&dispatch, events);
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    /// What is written of a warning with hostile text and of something finer.
    fn logged(format: LogFormat, wanted: &str) -> String {
        written(format, wanted, || {
            tracing::warn!(object = "a\n2026 ERROR forged \u{1b}[31m\u{202e}", count = 3, "cannot be\nread");
            tracing::debug!("a detail");
        })
    }

    #[test]
    fn text_stays_on_its_line() {
        let text = logged(LogFormat::Text, &ordinary(false));
        assert!(text.contains("WARN") && text.contains("cannot be\\nread") && text.contains("count=3"), "{text}");
        assert!(text.ends_with('\n') && text.lines().count() == 1, "{text}");
        assert!(!text.trim_end().contains(|c: char| c.is_control() || c == '\u{202e}'), "{text}");
    }

    #[test]
    fn json_is_one_object_per_line() {
        let text = logged(LogFormat::Json, "debug");
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert_eq!(lines[0]["object"], "a\n2026 ERROR forged \u{1b}[31m\u{202e}");
        assert_eq!((&lines[0]["level"], &lines[0]["count"]), (&"WARN".into(), &3.into()));
        assert_eq!(lines[1]["message"], "a detail");
    }

    #[test]
    fn quiet_leaves_errors_and_commits_that_meet_others_are_none() {
        assert!(logged(LogFormat::Text, &ordinary(true)).is_empty());
        let text = written(LogFormat::Text, &ordinary(true), || {
            tracing::error!(target: COMMITS_LOG, "conflict detected");
            tracing::error!(target: "deltalake", "disk full");
        });
        assert!(text.contains("disk full") && text.lines().count() == 1, "{text}");
    }

    #[test]
    fn a_wrong_filter_is_an_error_that_names_the_variable() {
        let error = filter("trailhound=loudly").unwrap_err().to_string();
        assert!(error.contains(VARIABLE) && error.contains("loudly"), "{error}");
    }
}
