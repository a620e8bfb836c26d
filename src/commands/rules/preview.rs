//! `trailhound rules preview`: how often rules would have fired in the lake, and for whom. Nothing is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use chrono::{DateTime, Duration, Utc};
use clap::{Args, ValueEnum};
use comfy_table::{ContentArrangement, Table, presets};
use datafusion::arrow::array::AsArray;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use serde_json::{Value, json};

use super::super::shared::{LakeArguments, prices, run_id};
use super::super::verdicts;
use crate::config::{Config, parse_instant};
use crate::detect::{self, Report, Rule, Scans, Shelf, Tuned, Tuning, Withheld};
use crate::engine::{Engine, Window, sql_error};
use crate::error::{Error, Result};
use crate::findings::Finding;
use crate::outputs::escape;

/// Who shows up in a preview of a rule, at most.
const MOST_PRINCIPALS: usize = 5;
/// Width of the table when that of the terminal is unknown.
const WIDTH: u16 = 160;

#[derive(Debug, Args)]
#[command(
    after_help = "FINDINGS and PER DAY are before tuning, SHOWN is what allow-lists and silences leave. A day counts when the logs of the rule have events on it. Rules that are switched off are judged too.\n\nExamples:\n  trailhound rules preview\n  trailhound rules preview identity rules/mine/borrowed_root.toml --since 30d"
)]
pub struct Arguments {
    /// Ids, families, files or folders; all rules when none
    #[arg(value_name = "RULE")]
    names: Vec<String>,
    /// First instant: 2026-10-01T00:00:00Z, 2026-10-01, or 7d for seven days ago
    #[arg(long, value_name = "TIME", value_parser = parse_instant)]
    since: Option<DateTime<Utc>>,
    /// First instant after the range, in the same forms
    #[arg(long, value_name = "TIME", value_parser = parse_instant)]
    until: Option<DateTime<Utc>>,
    /// Form of the answer
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    lake: LakeArguments,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    /// Rules that would have fired, the noisiest first, and why others could not be judged.
    Table,
    /// One object with every rule.
    Json,
}

/// What a rule found, before tuning.
#[derive(Debug, Default)]
struct Found {
    findings: usize,
    first: Option<DateTime<Utc>>,
    last: Option<DateTime<Utc>>,
    principals: BTreeMap<String, usize>,
}

/// A rule in a preview.
struct Previewed<'a> {
    rule: &'a Rule,
    verdict: &'a detect::Verdict,
    off: bool,
    found: Found,
    withheld: Withheld,
    /// Days (UTC) on which its logs have events.
    days: usize,
}

/// Runs the command: writes `page`; the number is the exit code.
pub async fn run(arguments: Arguments, folder: Option<&Path>, page: &mut String) -> Result<u8> {
    let config = arguments.lake.load_config()?;
    let (rules, tuning) = choose(&arguments.names, folder, &config)?;
    let settings = arguments.lake.settings(&config)?;
    let lake = arguments.lake.open_existing(&config).await?;
    let engine = Engine::with_prices(settings.clone(), lake.providers().await?, prices(&config)?).await?;
    let window = Window { start: arguments.since, end: arguments.until, lookback: Duration::zero() };
    let mut judged = detect::run(&engine, &rules, &tuning, &window, settings.threads, Scans::Shared, &run_id()).await?;
    let mut found = count(&judged.findings);
    let tuned = tuning.apply(std::mem::take(&mut judged.findings), Utc::now());
    let days = days(&engine.windowed(&window).await?, &rules).await?;
    let mut previews: Vec<Previewed<'_>> = Vec::new();
    for (rule, verdict) in rules.iter().zip(&judged.verdicts) {
        let logs = rule.logs.iter().filter_map(|log| days.get(log));
        previews.push(Previewed {
            rule,
            verdict,
            off: tuning.is_off(&rule.id),
            found: found.remove(&rule.id).unwrap_or_default(),
            withheld: tuned.withheld.get(&rule.id).copied().unwrap_or_default(),
            days: logs.flatten().collect::<BTreeSet<&String>>().len(),
        });
    }
    previews.sort_by_key(|preview| {
        let severity = std::cmp::Reverse(preview.rule.severity);
        (std::cmp::Reverse((preview.shown(), preview.found.findings)), severity, &preview.rule.id)
    });
    match arguments.format {
        Format::Table => page.push_str(&table(&previews, &judged, &tuned)?),
        Format::Json => {
            let rows: Vec<Value> = previews.iter().map(Previewed::as_json).collect();
            let whole = json!({"since": arguments.since, "until": arguments.until, "rules": rows,
                               "tuning": verdicts::tuning_as_json(&tuned)});
            page.push_str(&format!("{whole:#}\n"));
        }
    }
    Ok(judged.exit_code())
}

/// The rules to judge, also those that are switched off, with the parameters of the configuration; and its tuning. A rule
/// that is named by file takes the place of the one on the shelf.
fn choose(names: &[String], folder: Option<&Path>, config: &Config) -> Result<(Vec<Rule>, Tuning)> {
    let (paths, ids): (Vec<String>, Vec<String>) = names.iter().cloned().partition(|name| super::is_path(name));
    let mut named = Shelf::default();
    for path in paths {
        named = named.with_path(Path::new(&path))?;
    }
    let is_named = |id: &str| named.rules().iter().any(|rule| rule.id == id);
    let (own, others) = config.params.clone().into_iter().partition(|(id, _)| is_named(id));
    let shelf = Shelf::load(folder.or(config.rules.as_deref()), &others)?;
    for note in shelf.notes() {
        eprintln!("note: {}", escape::terminal(note));
    }
    let mut rules = if ids.is_empty() && !names.is_empty() { Vec::new() } else { shelf.select(&ids)? };
    rules.retain(|rule| !is_named(&rule.id));
    let mut known: Vec<Rule> = shelf.rules().iter().filter(|rule| !is_named(&rule.id)).cloned().collect();
    let named = named.with_params(&own)?;
    rules.extend_from_slice(named.rules());
    known.extend_from_slice(named.rules());
    Ok((rules, Tuning::read(config, &known)?))
}

fn count(findings: &[Finding]) -> BTreeMap<String, Found> {
    let mut all: BTreeMap<String, Found> = BTreeMap::new();
    for finding in findings {
        let found = all.entry(finding.rule.rule_id.clone()).or_default();
        found.findings += 1;
        found.first = Some(found.first.map_or(finding.first_seen, |first| first.min(finding.first_seen)));
        found.last = Some(found.last.map_or(finding.last_seen, |last| last.max(finding.last_seen)));
        *found.principals.entry(who(finding).to_owned()).or_default() += 1;
    }
    all
}

/// Whom a finding is about: the caller, or what comes closest.
fn who(finding: &Finding) -> &str {
    let names =
        [&finding.principal, &finding.access_key_id, &finding.source_ip, &finding.resource, &finding.account_id];
    names.into_iter().find_map(Option::as_deref).unwrap_or("unknown")
}

/// Days (UTC) on which each table that the rules read has events.
async fn days(engine: &Engine, rules: &[Rule]) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let is_read = |name: &str| rules.iter().any(|rule| rule.logs.iter().any(|log| log == name));
    for table in engine.tables().filter(|table| is_read(table.name)) {
        let days = all.entry(table.name.to_owned()).or_default();
        let sql = format!("SELECT DISTINCT \"date\" FROM {}", table.name);
        for batch in engine.sql(&sql).await?.collect().await.map_err(sql_error)? {
            let text = cast(batch.column(0), &DataType::Utf8)
                .map_err(|e| Error::Lake(format!("cannot read the days of {}: {e}", table.name)))?;
            days.extend(text.as_string::<i32>().iter().flatten().map(str::to_owned));
        }
    }
    Ok(all)
}

impl Previewed<'_> {
    /// Findings that people would have seen.
    fn shown(&self) -> usize {
        self.found.findings.saturating_sub(self.withheld.allowed + self.withheld.silenced)
    }

    /// Findings per day that has events; none on no day.
    fn per_day(&self) -> f64 {
        self.found.findings as f64 / self.days.max(1) as f64
    }

    /// Whom the findings are about, most findings first.
    fn principals(&self) -> Vec<(&str, usize)> {
        let mut counted: Vec<(&str, usize)> = self.found.principals.iter().map(|(who, n)| (who.as_str(), *n)).collect();
        counted.sort_by_key(|(who, findings)| (std::cmp::Reverse(*findings), *who));
        counted.truncate(MOST_PRINCIPALS);
        counted
    }

    fn as_json(&self) -> Value {
        let principals: Vec<Value> = self
            .principals()
            .into_iter()
            .map(|(who, findings)| json!({"principal": who, "findings": findings}))
            .collect();
        json!({
            "rule_id": self.rule.id, "title": self.rule.title, "severity": self.rule.severity, "off": self.off,
            "outcome": self.verdict.outcome.as_str(), "because": self.verdict.outcome.reason(),
            "findings": self.found.findings, "days": self.days, "per_day": self.per_day(),
            "allowed": self.withheld.allowed, "silenced": self.withheld.silenced, "shown": self.shown(),
            "first_seen": self.found.first, "last_seen": self.found.last, "principals": principals,
        })
    }
}

fn table(previews: &[Previewed<'_>], judged: &Report, tuned: &Tuned) -> Result<String> {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if table.width().is_none() {
        table.set_width(WIDTH);
    }
    table.set_header(["RULE", "SEVERITY", "FINDINGS", "PER DAY", "SHOWN", "FIRST (UTC)", "LAST (UTC)", "WHO"]);
    let mut loud = 0;
    for preview in previews.iter().filter(|preview| preview.found.findings > 0) {
        loud += 1;
        let off = if preview.off { " (off)" } else { "" };
        let when =
            |time: Option<DateTime<Utc>>| time.map(|t| t.format("%Y-%m-%d %H:%M").to_string()).unwrap_or_default();
        let who: Vec<String> = preview
            .principals()
            .into_iter()
            .map(|(who, findings)| format!("{findings} {}", escape::terminal(who)))
            .collect();
        let others = preview.found.principals.len().saturating_sub(MOST_PRINCIPALS);
        let more = if others > 0 { format!("\nand {others} others") } else { String::new() };
        table.add_row([
            format!("{}{off}", preview.rule.id),
            preview.rule.severity.as_str().to_owned(),
            preview.found.findings.to_string(),
            format!("{:.1}", preview.per_day()),
            preview.shown().to_string(),
            when(preview.found.first),
            when(preview.found.last),
            format!("{}{more}", who.join("\n")),
        ]);
    }
    let failed = |e: std::io::Error| Error::Output(format!("cannot write to stdout: {e}"));
    let mut page = if loud == 0 { "No rule would have fired.\n".to_owned() } else { format!("{}\n", table.trim_fmt()) };
    let mut talk = Vec::new();
    verdicts::write(judged, &mut talk).map_err(failed)?;
    verdicts::write_tuning(tuned, &mut talk).map_err(failed)?;
    page.push_str(&format!("\n{}", String::from_utf8_lossy(&talk)));
    Ok(page)
}
