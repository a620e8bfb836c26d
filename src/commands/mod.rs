//! The command line: one file per command, and what they share.

mod damage;
pub mod follow;
mod hunt;
mod import;
mod ingest;
mod lake;
mod query;
mod rules;
mod shared;
mod summary;
mod verdicts;

use clap::{Parser, Subcommand};

use crate::error::Result;

/// Finds attacks on AI workloads in AWS audit trails: CloudTrail, Amazon Bedrock model invocation logs and VPC flow logs.
#[derive(Debug, Parser)]
#[command(
    name = "trailhound",
    version,
    max_term_width = 110,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(
    after_help = "Examples:\n  trailhound hunt sample-data\n  trailhound hunt s3://my-trail/AWSLogs --since 7d -o findings.parquet\n  trailhound query \"SELECT userIdentity.arn, eventName, count(*) FROM cloudtrail GROUP BY ALL ORDER BY 3 DESC LIMIT 10\"\n\nExit codes: 0 done; 1 findings at or above --fail-on; 2 wrong use, configuration or rule;\n3 input partly unreadable under --strict; 4 failed."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Hunt(hunt::Arguments),
    Ingest(ingest::Arguments),
    Follow(follow::Arguments),
    Query(query::Arguments),
    Rules(rules::Arguments),
    Lake(lake::Arguments),
}

impl Cli {
    /// Runs the command; the number is the exit code.
    pub async fn run(self) -> Result<u8> {
        match self.command {
            Command::Hunt(arguments) => hunt::run(arguments).await,
            Command::Ingest(arguments) => ingest::run(arguments).await,
            Command::Follow(arguments) => follow::run(arguments).await,
            Command::Query(arguments) => query::run(arguments, shared::open_engine).await,
            Command::Rules(arguments) => rules::run(arguments).await,
            Command::Lake(arguments) => lake::run(arguments).await,
        }
    }
}
