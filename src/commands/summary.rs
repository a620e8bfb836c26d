//! What a run did, in a few lines for people.

use std::io::{Result, Write};

use crate::error::grouped;
use crate::outputs::escape;
use crate::pipeline::Summary;

/// What could not be read: a line for each problem that is listed, and one for the others.
pub fn problems(summary: &Summary) -> Vec<String> {
    let mut lines = summary.problems.clone();
    if summary.unlisted_problems > 0 {
        lines.push(format!(
            "and {} more; of objects that were opened: trailhound query \"SELECT _object, problem FROM objects WHERE problem IS NOT NULL\"",
            grouped(summary.unlisted_problems)
        ));
    }
    lines
}

/// Writes the figures of an ingest, and what could not be read.
pub fn write(summary: &Summary, to: &mut dyn Write) -> Result<()> {
    for problem in problems(summary) {
        writeln!(to, "warning: {}", escape::terminal(&problem))?;
    }
    writeln!(
        to,
        "Read      {} objects ({}), {} records in {:.1} s{}",
        grouped(summary.objects),
        size(summary.bytes),
        grouped(summary.read),
        summary.seconds,
        match summary.unchanged {
            0 => String::new(),
            unchanged => format!("; {} objects were read before", grouped(unchanged)),
        }
    )?;
    writeln!(
        to,
        "          {} stored + {} duplicate + {} quarantined; {} foreign",
        grouped(summary.stored),
        grouped(summary.duplicates),
        grouped(summary.quarantined),
        grouped(summary.foreign)
    )?;
    for log in summary.logs.iter().filter(|log| log.read > 0) {
        writeln!(
            to,
            "          {:<10} {} stored, {} duplicate, {} quarantined",
            log.log,
            grouped(log.stored),
            grouped(log.duplicates),
            grouped(log.quarantined)
        )?;
    }
    if summary.quarantined > 0 {
        writeln!(
            to,
            "          what was quarantined: trailhound query \"SELECT _object, _record, reason, start FROM quarantine\""
        )?;
    }
    Ok(())
}

/// Bytes in the largest unit that leaves a number of at least one.
pub fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}
