//! `trailhound hunt`: reads what is new, judges the lake, and shows findings.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use chrono::{Duration, Utc};
use clap::Args;
use datafusion::arrow::array::RecordBatch;
use serde_json::json;

use super::damage::{self, Damage};
use super::shared::{Chosen, IntakeArguments, LakeArguments, RuleArguments, TalkArguments, prices, progress, run_id};
use super::{ingest, summary, verdicts};
use crate::detect::{self, Outcome, Report, Rule, Scans, Tuned};
use crate::engine::{Engine, Window};
use crate::error::{Error, Result};
use crate::findings::{Finding, Severity};
use crate::outputs::destination::Destination;
use crate::outputs::{self, Format, Page, escape, report};
use crate::pipeline::{self, Shelved, Span, Summary};

/// Read what is new, judge it with every rule, and show findings
#[derive(Debug, Args)]
#[command(
    after_help = "Without LOGS the lake is judged as it is. --since and --until limit which objects are listed and which events are judged.\n\nExamples:\n  trailhound hunt sample-data\n  trailhound hunt s3://org-trail/AWSLogs --since 7d -o findings.parquet\n  trailhound hunt --lake ./case-17 --format ndjson --fail-on high"
)]
pub struct Arguments {
    #[command(flatten)]
    intake: IntakeArguments,
    #[command(flatten)]
    rules: RuleArguments,
    /// Exit with 1 when a finding is at least this severe
    #[arg(long, value_name = "SEVERITY")]
    fail_on: Option<Severity>,
    /// Form of the findings on stdout
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Also write the findings to one file; its ending (.parquet, .json, .ndjson, .csv) tells the form
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Also say per rule how its tables were read, how many rows were looked at and how long it took
    #[arg(long)]
    explain_cost: bool,
    #[command(flatten)]
    lake: LakeArguments,
    #[command(flatten)]
    talk: TalkArguments,
}

/// Runs the command; the number is the exit code.
pub async fn run(arguments: Arguments) -> Result<u8> {
    if arguments.format == Format::Parquet && std::io::stdout().is_terminal() {
        return Err(Error::Usage("Parquet is not for a terminal; name a file with -o findings.parquet".into()));
    }
    let file_format = arguments.output.as_deref().map(format_of).transpose()?;
    let config = arguments.lake.load_config()?;
    let settings = arguments.lake.settings(&config)?;
    let Chosen { rules, off, tuning, notes } = arguments.rules.choose(&config)?;
    for note in notes {
        eprintln!("note: {}", escape::terminal(&note));
    }
    let prices = prices(&config)?;
    let run_id = run_id();
    let (lake, ingested) = if arguments.intake.logs.is_empty() {
        (arguments.lake.open_existing(&config).await?, None)
    } else {
        let lake = arguments.lake.open(&config).await?;
        let intake = arguments.intake.intake(&config)?;
        let bar = progress(&arguments.talk, "reading");
        let how = arguments.intake.limits.ingest(&config, &settings, &run_id)?;
        let read = pipeline::ingest(&lake, &intake, &arguments.intake.logs, &how, &bar).await?;
        if read.wrong_use && !lake.exists().await? {
            return Err(Error::Usage(summary::problems(&read).join("\n")));
        }
        (lake, Some(read))
    };
    let engine = Engine::with_prices(settings.clone(), lake.providers().await?, prices).await?;
    let window = Window { start: arguments.intake.since, end: arguments.intake.until, lookback: Duration::zero() };
    let mut judged = detect::run(&engine, &rules, &tuning, &window, settings.threads, Scans::Shared, &run_id).await?;
    let settled = settled(&rules, &judged, &window);
    let mut tuned = tuning.apply(std::mem::take(&mut judged.findings), Utc::now());
    tuned.settle(&mut judged.verdicts);
    judged.verdicts.extend(off);
    judged.findings = std::mem::take(&mut tuned.kept);
    let shown = judged.findings.len();
    judged.findings.append(&mut tuned.silenced);
    let reach = rules.iter().map(|rule| (rule.id.clone(), rule.reach())).collect();
    let keep =
        async { Shelved::default().keep(&lake, &mut lake.begin().await?, &judged.findings, &settled, &reach).await };
    let seen = judged.findings.get(..shown).unwrap_or_default();
    // While the lake waits for the disk.
    let (kept, damage) = tokio::join!(keep, damage(&arguments, &engine, seen, &window));
    kept?;
    judged.findings.truncate(shown);
    let rows = crate::findings::to_batch(&judged.findings)?;
    if let (Some(path), Some(format)) = (&arguments.output, file_format) {
        let mut file = Destination::open(Some(path))?;
        outputs::write(std::slice::from_ref(&rows), rows.schema(), format, &mut file, &Page::default())?;
        file.commit()?;
    }
    show(&arguments, &judged, &tuned, &rows, ingested.as_ref(), damage.as_ref())?;
    Ok(exit_code(&arguments, &judged, ingested.as_ref()))
}

/// Where the run saw all there is: whole slots of the rules that had an answer. What it did not find stays in the lake as
/// evidence of what was seen then.
fn settled(rules: &[Rule], judged: &Report, window: &Window) -> Vec<Span> {
    let answered = |outcome: &Outcome| matches!(outcome, Outcome::Fired(_) | Outcome::Quiet);
    let spans =
        rules.iter().zip(&judged.verdicts).filter(|(_, verdict)| answered(&verdict.outcome)).map(|(rule, _)| {
            let slot = rule.slot();
            Span {
                rule_id: rule.id.clone(),
                rule_version: rule.version(),
                start: window
                    .start
                    .map(|start| slot.saturating_mul((start.timestamp_micros() - 1).div_euclid(slot) + 1)),
                end: window.end.map(|end| slot.saturating_mul(end.timestamp_micros().div_euclid(slot))),
                removes: false,
                sees_all: *window == Window::default(),
            }
        });
    spans.collect()
}

/// What the suspected callers spent, where it is shown. A hunt whose findings are there does not fail over an estimate.
async fn damage(arguments: &Arguments, engine: &Engine, findings: &[Finding], window: &Window) -> Option<Damage> {
    if arguments.talk.quiet && arguments.format != Format::Json {
        return None;
    }
    damage::estimate(engine, findings, window).await.unwrap_or_else(|error| {
        eprintln!("warning: what the calls cost cannot be estimated: {}", escape::terminal(&error.to_string()));
        None
    })
}

fn show(
    arguments: &Arguments,
    judged: &Report,
    tuned: &Tuned,
    rows: &RecordBatch,
    ingested: Option<&Summary>,
    damage: Option<&Damage>,
) -> Result<()> {
    let failed = |e: std::io::Error| Error::Output(format!("cannot write to stdout: {e}"));
    let mut screen = Destination::open(None)?;
    match arguments.format {
        Format::Table => report::write(&judged.findings, &mut screen).map_err(failed)?,
        Format::Json => {
            let summary = ingested.cloned().unwrap_or_else(Summary::new);
            let whole = json!({
                "summary": summary,
                "findings": json_rows(rows)?,
                "verdicts": judged.verdicts.iter().map(verdicts::as_json).collect::<Vec<_>>(),
                "damage": damage,
                "tuning": verdicts::tuning_as_json(tuned),
            });
            writeln!(screen, "{whole}").map_err(failed)?;
        }
        other => {
            let page = Page { terminal: screen.is_terminal(), ..Page::default() };
            outputs::write(std::slice::from_ref(rows), rows.schema(), other, &mut screen, &page)?;
        }
    }
    screen.commit()?;
    if !arguments.talk.quiet {
        let mut talk = std::io::stderr().lock();
        if let Some(read) = ingested {
            summary::write(read, &mut talk).map_err(failed)?;
        }
        verdicts::write(judged, &mut talk).map_err(failed)?;
        verdicts::write_tuning(tuned, &mut talk).map_err(failed)?;
        if let Some(damage) = damage {
            damage::write(damage, &mut talk).map_err(failed)?;
        }
        if arguments.explain_cost {
            verdicts::write_costs(judged, &mut talk).map_err(failed)?;
        }
    }
    Ok(())
}

/// The form that the ending of a file's name asks for.
fn format_of(path: &Path) -> Result<Format> {
    Format::of_path(path)
        .ok_or_else(|| Error::Usage(format!("{}: name the file .parquet, .json, .ndjson or .csv", path.display())))
}

fn json_rows(rows: &RecordBatch) -> Result<serde_json::Value> {
    let mut text = Vec::new();
    outputs::write(std::slice::from_ref(rows), rows.schema(), Format::Json, &mut text, &Page::default())?;
    serde_json::from_slice(&text).map_err(|e| Error::Output(format!("findings cannot be shown as JSON: {e}")))
}

fn exit_code(arguments: &Arguments, judged: &Report, ingested: Option<&Summary>) -> u8 {
    let code = ingested.map_or(0, |read| ingest::exit_code(read, arguments.intake.strict));
    let severe = |finding: &Finding| arguments.fail_on.is_some_and(|least| finding.rule.severity >= least);
    match code {
        0 if judged.exit_code() != 0 => judged.exit_code(),
        0 if judged.findings.iter().any(severe) => 1,
        other => other,
    }
}
