//! `trailhound rules list`: the rules that filters leave, as a table, JSON, Markdown or a layer of a navigator.

use clap::{Args, ValueEnum};
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::json;

use super::navigator;
use crate::detect::rule::{self, Need};
use crate::detect::{Rule, duration_text};
use crate::error::Result;
use crate::findings::{Purpose, Severity};
use crate::outputs::escape;

/// Which rules, and in which form. A rule has to pass every filter that is given.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Only rules at least this severe
    #[arg(long, value_name = "SEVERITY")]
    severity: Option<Severity>,
    /// Only rules that read this log
    #[arg(long, value_name = "LOG")]
    log: Option<String>,
    /// Only rules of this family
    #[arg(long, value_name = "FAMILY")]
    family: Option<String>,
    /// Only rules of this kind
    #[arg(long, value_enum, value_name = "KIND")]
    kind: Option<Kind>,
    /// Only rules of this layer of the AI security framework
    #[arg(long, value_enum, value_name = "LAYER")]
    layer: Option<Layer>,
    /// Only rules that matter from this phase of the AI security framework on
    #[arg(long, value_enum, value_name = "PHASE")]
    phase: Option<Phase>,
    /// Only rules with this id of ATT&CK, ATLAS, OWASP, the threat catalogue or a control, in any case; T1078 also stands
    /// for T1078.004. With several, all of them
    #[arg(long = "tag", value_name = "ID")]
    tags: Vec<String>,
    /// Form of the list
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Kind {
    Threat,
    Posture,
    Hunt,
}

impl From<Kind> for Purpose {
    fn from(kind: Kind) -> Purpose {
        match kind {
            Kind::Threat => Purpose::Threat,
            Kind::Posture => Purpose::Posture,
            Kind::Hunt => Purpose::Hunt,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Layer {
    Infrastructure,
    Identity,
    Application,
}

impl From<Layer> for rule::Layer {
    fn from(layer: Layer) -> rule::Layer {
        match layer {
            Layer::Infrastructure => rule::Layer::Infrastructure,
            Layer::Identity => rule::Layer::Identity,
            Layer::Application => rule::Layer::Application,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Phase {
    Prototype,
    Production,
    Scale,
}

impl From<Phase> for rule::Phase {
    fn from(phase: Phase) -> rule::Phase {
        match phase {
            Phase::Prototype => rule::Phase::Prototype,
            Phase::Production => rule::Phase::Production,
            Phase::Scale => rule::Phase::Scale,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    /// A table for people.
    Table,
    /// An array.
    Json,
    /// A Markdown page per family.
    Md,
    /// A layer for the ATT&CK Navigator: techniques scored by how many of the rules look for them.
    Navigator,
    /// The same of ATLAS, for the ATLAS Navigator.
    NavigatorAtlas,
}

impl Arguments {
    /// The list as text, with a newline at its end.
    pub fn page(&self, rules: &[Rule]) -> Result<String> {
        let rules: Vec<&Rule> = rules.iter().filter(|rule| self.keeps(rule)).collect();
        Ok(match self.format {
            Format::Table => table(&rules),
            Format::Json => {
                let list = rules.iter().map(|rule| as_json(rule)).collect::<Result<serde_json::Value>>()?;
                format!("{list:#}\n")
            }
            Format::Md => markdown(&rules),
            Format::Navigator => format!("{:#}\n", navigator::attack(&rules)),
            Format::NavigatorAtlas => format!("{:#}\n", navigator::atlas(&rules)),
        })
    }

    fn keeps(&self, rule: &Rule) -> bool {
        self.severity.is_none_or(|least| rule.severity >= least)
            && self.log.as_ref().is_none_or(|log| rule.logs.contains(log))
            && self.family.as_ref().is_none_or(|family| rule.family == *family)
            && self.kind.is_none_or(|kind| rule.kind == kind.into())
            && self.layer.is_none_or(|layer| rule.layer == layer.into())
            && self.phase.is_none_or(|phase| rule.phase == phase.into())
            && self.tags.iter().all(|tag| has_tag(rule, tag))
    }
}

/// True when one of the rule's ids is `asked`, or a part of it: a sub-technique, or an edition.
fn has_tag(rule: &Rule, asked: &str) -> bool {
    let asked = asked.trim().to_ascii_lowercase();
    let lists = [&rule.atlas, &rule.attack, &rule.owasp, &rule.threats, &rule.controls];
    lists.into_iter().flatten().any(|tag| {
        let rest = tag.to_ascii_lowercase().strip_prefix(&asked).map(str::to_owned);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', ':']))
    })
}

fn table(rules: &[&Rule]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["ID", "SEVERITY", "KIND", "LOGS", "TITLE"]);
    for rule in rules {
        let (severity, logs) = (rule.severity.as_str().to_owned(), rule.logs.join(" "));
        let title = escape::terminal(&rule.title).into_owned();
        table.add_row([rule.id.clone(), severity, rule.kind.as_str().to_owned(), logs, title]);
    }
    format!("{}\n{} rules\n", table.trim_fmt(), rules.len())
}

fn as_json(rule: &Rule) -> Result<serde_json::Value> {
    Ok(json!({
        "id": rule.id, "title": rule.title, "severity": rule.severity, "confidence": rule.confidence, "kind": rule.kind,
        "family": rule.family, "logs": rule.logs, "needs": rule.needs.iter().map(Need::to_string).collect::<Vec<_>>(),
        "threats": rule.threats, "atlas": rule.atlas, "attack": rule.attack, "owasp": rule.owasp,
        "layer": rule.layer.as_str(), "phase": rule.phase.as_str(), "controls": rule.controls,
        "params": rule.params, "entity": rule.entity, "rules": rule.chain.iter().flat_map(|c| c.rules()).collect::<Vec<_>>(),
        "lookback": duration_text(rule.lookback), "quiet": duration_text(rule.quiet),
        "tests": rule.tests()?.len(), "version": rule.version(), "source": rule.source, "built_in": !rule.added,
    }))
}

fn markdown(rules: &[&Rule]) -> String {
    let mut page = format!("# Rules\n\n{} rules.\n", rules.len());
    let mut family = None;
    for rule in rules {
        if family != Some(&rule.family) {
            family = Some(&rule.family);
            let heading = escape::markdown(&rule.family);
            page.push_str(&format!(
                "\n## {heading}\n\n| Rule | Severity | Kind | Logs | Finds | ATLAS | ATT&CK | OWASP |\n"
            ));
            page.push_str("|---|---|---|---|---|---|---|---|\n");
        }
        let cells = [
            format!("`{}`", rule.id),
            rule.severity.as_str().to_owned(),
            rule.kind.as_str().to_owned(),
            rule.logs.join(", "),
            escape::markdown(&rule.title).into_owned(),
            rule.atlas.join(", "),
            rule.attack.join(", "),
            rule.owasp.join(", "),
        ];
        page.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    page
}
