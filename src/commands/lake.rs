//! `trailhound lake`: what the lake holds, and keeping its files few.

use clap::{Args, Subcommand};

use super::shared::LakeArguments;
use super::summary::size;
use crate::error::{Result, grouped};

/// Show what the lake holds; join its small files; delete what no version needs
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Tables with rows, files and bytes
    Status(LakeArguments),
    /// Join small files of a day into larger ones
    Compact(LakeArguments),
    /// Delete files that no version of the last 7 days needs
    Vacuum(LakeArguments),
}

/// Runs the command; the number is the exit code.
pub async fn run(arguments: Arguments) -> Result<u8> {
    match arguments.action {
        Action::Status(place) => {
            let lake = place.open_existing(&place.load_config()?).await?;
            println!("{:<12} {:>14} {:>7} {:>12} {:>8}", "table", "rows", "files", "size", "version");
            for status in lake.status().await? {
                println!(
                    "{:<12} {:>14} {:>7} {:>12} {:>8}",
                    status.table,
                    grouped(status.rows),
                    grouped(status.files),
                    size(status.bytes),
                    status.version
                );
            }
        }
        Action::Compact(place) => {
            let lake = place.open_existing(&place.load_config()?).await?;
            for (table, before, after) in lake.compact().await? {
                println!("{table:<12} {} files became {}", grouped(before), grouped(after));
            }
        }
        Action::Vacuum(place) => {
            let lake = place.open_existing(&place.load_config()?).await?;
            for (table, deleted) in lake.vacuum().await? {
                println!("{table:<12} {} files deleted", grouped(deleted));
            }
        }
    }
    Ok(0)
}
