//! Findings for people: a table grouped by severity.

use std::io::{Result, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, ContentArrangement, Table};

use super::escape;
use crate::findings::{Finding, SEVERITIES, Severity};

/// Widest table when the width of the terminal is unknown.
const WIDTH: u16 = 140;

/// Writes the findings, worst first. Says so when there are none.
pub fn write(findings: &[Finding], to: &mut dyn Write) -> Result<()> {
    if findings.is_empty() {
        return writeln!(to, "No findings.");
    }
    for severity in SEVERITIES {
        let group: Vec<&Finding> = findings.iter().filter(|f| f.severity == severity).collect();
        if group.is_empty() {
            continue;
        }
        writeln!(to, "{} ({})", heading(severity), group.len())?;
        writeln!(to, "{}\n", table(&group))?;
    }
    Ok(())
}

fn heading(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "CRITICAL",
        Severity::High => "HIGH",
        Severity::Medium => "MEDIUM",
        Severity::Low => "LOW",
        Severity::Informational => "INFORMATIONAL",
    }
}

fn table(findings: &[&Finding]) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if table.width().is_none() {
        table.set_width(WIDTH);
    }
    table.set_header(["first seen (UTC)", "what", "who", "where", "from", "events", "rule"]);
    for finding in findings {
        table.add_row([
            Cell::new(finding.first_seen.format("%Y-%m-%d %H:%M:%S")),
            text(Some(&finding.title)),
            text(finding.principal.as_ref().or(finding.access_key_id.as_ref()).or(finding.resource.as_ref())),
            text(Some(&place(finding))),
            text(finding.source_ip.as_ref()),
            Cell::new(finding.event_count),
            text(Some(&finding.rule_id)),
        ]);
    }
    table
}

fn text(value: Option<&String>) -> Cell {
    Cell::new(value.map(|v| escape::terminal(v)).unwrap_or_default())
}

fn place(finding: &Finding) -> String {
    match (&finding.account_id, &finding.region) {
        (Some(account), Some(region)) => format!("{account} {region}"),
        (Some(one), None) | (None, Some(one)) => one.clone(),
        (None, None) => String::new(),
    }
}
