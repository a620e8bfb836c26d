//! `trailhound ingest`: reads what is new into the lake.

use std::io::Write;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::shared::{IntakeArguments, LakeArguments, TalkArguments, progress, run_id};
use super::summary;
use crate::error::{Error, Result};
use crate::pipeline::{self, Summary};

/// Read logs into the lake; what was read before is not read again
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  trailhound ingest ~/archive/AWSLogs\n  trailhound ingest s3://org-trail --since 30d --lake ./case-17\n  zcat one.json.gz | trailhound ingest -"
)]
pub struct Arguments {
    #[command(flatten)]
    intake: IntakeArguments,
    /// What stdout gets: nothing (the summary is on stderr), or the summary as JSON
    #[arg(long, value_enum, default_value = "table")]
    format: SummaryFormat,
    #[command(flatten)]
    lake: LakeArguments,
    #[command(flatten)]
    talk: TalkArguments,
}

/// Form of the summary.
#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum SummaryFormat {
    /// Lines for people, on stderr.
    Table,
    /// One JSON object on stdout.
    Json,
}

/// Runs the command; the number is the exit code.
pub async fn run(arguments: Arguments) -> Result<u8> {
    if arguments.intake.logs.is_empty() {
        return Err(Error::Usage("name the logs to read: files, folders, globs, - or s3://bucket/prefix".into()));
    }
    let config = arguments.lake.load_config()?;
    let settings = arguments.lake.settings(&config)?;
    let lake = arguments.lake.open(&config).await?;
    let intake = arguments.intake.intake(&config)?;
    let bar = progress(&arguments.talk, "reading");
    let ingest = arguments.intake.limits.ingest(&config, &settings, &run_id())?;
    let outcome = pipeline::ingest(&lake, &intake, &arguments.intake.logs, &ingest, &bar).await?;
    if arguments.format == SummaryFormat::Json {
        println!("{}", json!({ "summary": outcome }));
    } else if !arguments.talk.quiet {
        let mut screen = std::io::stderr().lock();
        summary::write(&outcome, &mut screen).map_err(|e| Error::Output(e.to_string()))?;
        let _ = writeln!(screen, "Lake      {}", lake.name());
    }
    Ok(exit_code(&outcome, arguments.intake.strict))
}

/// Exit code that the figures of a run demand.
pub fn exit_code(outcome: &Summary, strict: bool) -> u8 {
    match () {
        () if outcome.wrong_use => 2,
        () if outcome.failed => 4,
        () if strict && (outcome.quarantined > 0 || !outcome.problems.is_empty()) => 3,
        () => 0,
    }
}
