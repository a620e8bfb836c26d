//! The rule file that a Sigma rule becomes.

use super::fields::Log;
use super::header::Header;
use super::toml;

/// Words of a description that are kept.
const LONGEST_TEXT: usize = 4_000;

/// What a rule file has beside what its header says.
#[derive(Debug, Default)]
pub struct Page {
    /// Tables that the SQL reads.
    pub logs: Vec<Log>,
    /// Evidence without which the rule cannot be judged.
    pub needs: Vec<String>,
    /// What the rule does not see.
    pub gaps: Vec<String>,
    /// Parameters of the SQL and their values.
    pub params: Vec<(String, String)>,
    /// Columns that name who or what.
    pub entity: Vec<String>,
    /// History that the SQL needs.
    pub lookback: String,
    /// Length of a finding's slot.
    pub quiet: String,
    /// The SQL.
    pub sql: String,
    /// Entries of `events` of the test that fires, and of the one that stays quiet.
    pub tests: [Vec<String>; 2],
}

/// The text of the rule file; `source` is the name of the file that the Sigma rule was read from.
pub fn write(header: &Header, source: &str, page: &Page) -> String {
    let mut text = String::new();
    text.push_str(
        "# Imported from a Sigma rule. What the rule matches is its author's work, under the licence below.\n",
    );
    let facts = [
        ("title", header.title.as_str()),
        ("id", header.id.as_deref().unwrap_or("none")),
        ("author", &header.author),
        ("licence", &header.licence),
        ("date", &header.date),
        ("status", &header.status),
        ("source", source),
    ];
    for (name, told) in facts.into_iter().filter(|(_, told)| !told.is_empty()) {
        text.push_str(&toml::comment(name, told));
    }
    let (secure, other): (Vec<String>, Vec<String>) =
        header.references.iter().cloned().partition(|url| url.starts_with("https://") && !url.contains(' '));
    for reference in &other {
        text.push_str(&toml::comment("reference", reference));
    }
    let mut set = |key: &str, value: String| text.push_str(&format!("{key} = {value}\n"));
    let title = if header.title.is_empty() { "Sigma rule without a title" } else { header.title.as_str() };
    set("title", toml::text(title));
    set("severity", toml::text(header.severity()));
    set("confidence", toml::text(header.confidence()));
    set("kind", toml::text(header.kind()));
    set("logs", toml::texts(&page.logs.iter().map(|log| log.table().to_owned()).collect::<Vec<_>>()));
    set("needs", toml::texts(&page.needs));
    set("threats", "[]".into());
    set("atlas", toml::texts(&header.atlas()));
    set("attack", toml::texts(&header.attack()));
    set("owasp", "[]".into());
    let layer = if page.logs.contains(&Log::Bedrock) { "application" } else { header.layer() };
    set("layer", toml::text(layer));
    set("phase", toml::text("production"));
    set("why", toml::block(&why(header, title)));
    let gaps = if page.gaps.is_empty() {
        "What its author left out; nothing was lost in the import.".to_owned()
    } else {
        sentences(&page.gaps)
    };
    set("gaps", toml::text(&gaps));
    let unsaid = vec!["the author of the Sigma rule names nobody".to_owned()];
    set(
        "false_positives",
        toml::texts(if header.false_positives.is_empty() { &unsaid } else { &header.false_positives }),
    );
    set("triage", toml::texts(&triage(&page.logs)));
    set(
        "respond",
        toml::texts(&[
            "Ask the owner of the identity or host; when nobody stands by it, cut it off and keep the logs.".into(),
        ]),
    );
    set("references", toml::texts(&secure));
    if !page.params.is_empty() {
        let params: Vec<String> = page.params.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        set("params", format!("{{ {} }}", params.join(", ")));
    }
    set("entity", toml::texts(&page.entity));
    set("lookback", toml::text(&page.lookback));
    set("quiet", toml::text(&page.quiet));
    set("sql", toml::block(&page.sql));
    for (events, (name, fires)) in
        page.tests.iter().zip([("events made from the rule's own conditions", true), ("an ordinary event", false)])
    {
        let list: Vec<String> = events.iter().map(|event| format!("  {event},\n")).collect();
        text.push_str(&format!(
            "\n[[test]]\nname = {}\nfires = {fires}\nevents = [\n{}]\n",
            toml::text(name),
            list.concat()
        ));
    }
    text
}

fn why(header: &Header, title: &str) -> String {
    let mut told: String = header.description.chars().take(LONGEST_TEXT).collect();
    if told.trim().is_empty() {
        told = title.to_owned();
    }
    let id = header.id.as_ref().map(|id| format!(" {id}")).unwrap_or_default();
    format!("{}\nSigma rule{id} by {}, {}.", told.trim(), header.author, header.licence)
}

fn sentences(parts: &[String]) -> String {
    let mut text = String::new();
    for part in parts {
        let mut letters = part.chars();
        if let Some(first) = letters.next() {
            text.extend(first.to_uppercase().chain(letters).chain(". ".chars()));
        }
    }
    text.trim_end().to_owned()
}

fn triage(logs: &[Log]) -> Vec<String> {
    let of = |log: &Log| match log {
        Log::CloudTrail => "Other calls of the same userIdentity.arn and sourceIPAddress in the hour before and after.",
        Log::Bedrock => "Other prompts and completions of the same identity.arn in the hour before and after.",
        Log::VpcFlow => "Other flows of the same interface_id and addresses in the hour before and after.",
    };
    logs.iter().map(|log| of(log).to_owned()).collect()
}
