//! Parses the command line, runs one command, and turns an error into an exit code.

use std::process::ExitCode;

use clap::Parser;
use trailhound::commands::Cli;
use trailhound::outputs::escape;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.run().await {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            for line in error.to_string().lines() {
                eprintln!("error: {}", escape::terminal(line));
            }
            ExitCode::from(error.exit_code())
        }
    }
}
