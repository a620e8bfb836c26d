//! Findings for people: incidents with what they are made of, then a table grouped by severity.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Result, Write};

use chrono::{DateTime, Utc};
use comfy_table::presets::NOTHING;
use comfy_table::{Cell, ColumnConstraint, ContentArrangement, Table};
use serde::Deserialize;

use super::escape;
use crate::findings::{Finding, SEVERITIES, Severity};

/// Columns that are not wrapped.
const WHEN: usize = 0;
const FROM: usize = 4;
const EVENTS: usize = 5;
/// Widest table when the width of the terminal is unknown.
const WIDTH: u16 = 140;

/// Writes the findings, worst first. Says so when there are none.
pub fn write(findings: &[Finding], to: &mut dyn Write) -> Result<()> {
    if findings.is_empty() {
        return writeln!(to, "No findings.");
    }
    let (incidents, single): (Vec<&Finding>, Vec<&Finding>) =
        findings.iter().partition(|finding| !finding.children.is_empty());
    if !incidents.is_empty() {
        writeln!(to, "INCIDENTS ({})\n", incidents.len())?;
        incidents.into_iter().try_for_each(|incident| write_incident(incident, to))?;
    }
    for severity in SEVERITIES {
        let group: Vec<&Finding> = single.iter().copied().filter(|f| f.rule.severity == severity).collect();
        if group.is_empty() {
            continue;
        }
        writeln!(to, "{} ({})", heading(severity), group.len())?;
        writeln!(to, "{}\n", table(&group))?;
    }
    write_lacks(findings, to)
}

/// Writes which evidence findings lack: once when it is the same for all, else a line for those of the same account and Region.
fn write_lacks(findings: &[Finding], to: &mut dyn Write) -> Result<()> {
    let mut groups: BTreeMap<&[String], (usize, BTreeSet<String>)> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| !finding.lacks.is_empty()) {
        let (count, places) = groups.entry(&finding.lacks).or_default();
        *count += 1;
        places.insert(place(finding));
    }
    for (lacks, (count, places)) in groups {
        let lacks = escape::terminal(&lacks.join("; ")).into_owned();
        if count == findings.len() {
            writeln!(to, "Not visible: {lacks}")?;
        } else {
            let places = places.iter().filter(|place| !place.is_empty()).cloned().collect::<Vec<_>>().join(", ");
            let of = if places.is_empty() { String::new() } else { format!(" in {}", escape::terminal(&places)) };
            writeln!(to, "Not visible to {count} findings{of}: {lacks}")?;
        }
    }
    Ok(())
}

/// A finding of an incident, as its evidence names it.
#[derive(Deserialize)]
struct Child {
    time: DateTime<Utc>,
    severity: String,
    title: String,
    rule_id: String,
}

/// Writes an incident, and its findings below it.
fn write_incident(incident: &Finding, to: &mut dyn Write) -> Result<()> {
    let facts = [incident.rule.severity.as_str(), who(incident), &place(incident)].map(escape::terminal).join("  ");
    let title = format!("{} ({})", incident.rule.title, incident.rule.rule_id);
    writeln!(to, "{}  {facts}", escape::terminal(&title))?;
    let children: Vec<Child> = incident.evidence.iter().filter_map(|row| serde_json::from_str(row).ok()).collect();
    for Child { time, severity, title, rule_id } in &children {
        let line = format!("{severity:<13}  {title} ({rule_id})");
        writeln!(to, "    {}  {}", time.format("%Y-%m-%d %H:%M:%S"), escape::terminal(&line))?;
    }
    if incident.children.len() > children.len() {
        writeln!(to, "    and {} more", incident.children.len() - children.len())?;
    }
    writeln!(to)
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
    table.set_header(["first seen (UTC)", "what (rule)", "who", "where", "from", "events"]);
    for finding in findings {
        table.add_row([
            Cell::new(finding.first_seen.format("%Y-%m-%d %H:%M:%S")),
            text(&format!("{} ({})", finding.rule.title, finding.rule.rule_id)),
            text(who(finding)),
            text(&place(finding)),
            text(finding.source_ip.as_deref().unwrap_or_default()),
            Cell::new(finding.event_count),
        ]);
    }
    for whole in [WHEN, FROM, EVENTS] {
        if let Some(column) = table.column_mut(whole) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    table
}

fn text(value: &str) -> Cell {
    Cell::new(escape::terminal(value))
}

/// The caller without the part of its ARN that the account column repeats; else the key or the thing acted on.
fn who(finding: &Finding) -> &str {
    match &finding.principal {
        Some(arn) if arn.starts_with("arn:") => arn.splitn(6, ':').last().unwrap_or(arn),
        Some(other) => other,
        None => finding.access_key_id.as_deref().or(finding.resource.as_deref()).unwrap_or_default(),
    }
}

fn place(finding: &Finding) -> String {
    match (&finding.account_id, &finding.region) {
        (Some(account), Some(region)) => format!("{account} {region}"),
        (Some(one), None) | (None, Some(one)) => one.clone(),
        (None, None) => String::new(),
    }
}
