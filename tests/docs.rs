//! The generated pages in docs/ are as the code is. `UPDATE=1 cargo test --test docs` rewrites them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use clap::CommandFactory;
use trailhound::commands::Cli;
use trailhound::detect::{Rule, Shelf};
use trailhound::engine::{functions, queries, views};
use trailhound::pipeline;
use trailhound::table::{Kind, Table};

const NOTICE: &str = "<!-- Generated from the code: run `UPDATE=1 cargo test --test docs` after a change. -->\n\n";

/// Compares a page with what the code says, or rewrites it.
fn page(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    let text = format!("{NOTICE}{}\n", text.trim_end());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == text, "docs/{name} is stale: run UPDATE=1 cargo test --test docs");
}

fn type_name(kind: Kind) -> String {
    match kind {
        Kind::Text => "text".into(),
        Kind::Json => "JSON text".into(),
        Kind::Int => "int".into(),
        Kind::Long => "bigint".into(),
        Kind::Double => "double".into(),
        Kind::Bool => "boolean".into(),
        Kind::Time => "timestamp UTC".into(),
        Kind::Texts => "list of text".into(),
        Kind::List(leaves) => {
            let names: Vec<&str> = leaves.iter().map(|leaf| leaf.name).collect();
            format!("list of ({})", names.join(", "))
        }
    }
}

fn describe(table: &Table, text: &mut String) {
    writeln!(text, "## {}\n\n{}\n", table.name, table.about).unwrap();
    writeln!(text, "| column | type | meaning |\n|---|---|---|").unwrap();
    for column in table.stored_columns() {
        let mark = if column.searched { " (indexed)" } else { "" };
        writeln!(text, "| `{}` | {}{mark} | {} |", column.name, type_name(column.kind), column.doc).unwrap();
        if let Kind::List(leaves) = column.kind {
            for leaf in leaves {
                writeln!(text, "| `{}[].{}` | | {} |", column.name, leaf.name, leaf.doc).unwrap();
            }
        }
        if column.name == "time" {
            writeln!(text, "| `date` | date | UTC day of `time`; the partition column |").unwrap();
        }
    }
    if let Some(name) = table.time_name {
        writeln!(text, "\n`{name}` is another name of `time`.").unwrap();
    }
    text.push('\n');
}

#[test]
fn tables_and_views() {
    let mut text = String::from(
        "# Tables\n\nColumns carry AWS's own names, in any case. A dot is a level of an object: `userIdentity.arn` works as typed. \
         In the Parquet files the levels are joined by `_` (`useridentity_arn`). Null means that the log did not say. \
         Indexed columns have bloom filters.\n\n",
    );
    for table in pipeline::tables() {
        describe(table, &mut text);
    }
    writeln!(text, "# Views\n").unwrap();
    writeln!(text, "| view | a row is |\n|---|---|").unwrap();
    for view in views::VIEWS {
        writeln!(text, "| `{}` | {} |", view.name, view.about).unwrap();
    }
    page("tables.md", &text);
}

#[test]
fn sql_functions() {
    let mut text = String::from(
        "# SQL functions\n\nBeside DataFusion's own, and the JSON functions (`json_get_str(text, key, ...)`, `->`, `->>`).\n\n",
    );
    for function in functions::list() {
        writeln!(text, "## {}\n\n{}\n", function.syntax, function.about).unwrap();
        writeln!(text, "```sql\n{}\n-- {}\n```\n", function.example, function.result).unwrap();
    }
    page("functions.md", &text);
}

/// What a rule says of itself in one scheme.
type TagsOf = fn(&Rule) -> Vec<String>;

/// A threat of the catalogue that the logs cannot show.
#[derive(serde::Deserialize)]
struct OutOfReach {
    id: String,
    reason: String,
}

#[derive(serde::Deserialize)]
struct OutOfReachPage {
    threat: Vec<OutOfReach>,
}

/// Families of the catalogue of threats, and how many each has.
const CATALOGUE: [(&str, usize); 14] = [
    ("LJ", 28),
    ("AK", 15),
    ("DW", 18),
    ("DE", 17),
    ("GR", 21),
    ("PI", 22),
    ("DL", 15),
    ("KB", 14),
    ("MT", 21),
    ("AG", 51),
    ("SM", 20),
    ("NW", 29),
    ("ID", 17),
    ("CH", 12),
];

#[test]
fn coverage() {
    let shelf = Shelf::built_in().unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let out_of_reach = std::fs::read_to_string(folder.join("out_of_reach.toml")).unwrap();
    let out_of_reach: OutOfReachPage = toml::from_str(&out_of_reach).unwrap();
    let mut text = String::from(
        "# Coverage\n\nWhich rules look for what. A rule that covers a technique sees some of its forms; its gaps say which not.\n",
    );
    let tags: [(&str, TagsOf); 5] = [
        ("Threats of our catalogue", |rule| rule.threats.clone()),
        ("MITRE ATLAS", |rule| rule.atlas.clone()),
        ("MITRE ATT&CK", |rule| rule.attack.clone()),
        ("OWASP Top 10 for LLM applications (2025) and for agentic applications (2026)", |rule| rule.owasp.clone()),
        ("AWS AI Security Framework: layer and phase", |rule| {
            vec![format!("{}, {}", rule.layer.as_str(), rule.phase.as_str())]
        }),
    ];
    for (title, tags_of) in tags {
        let mut covered: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for rule in shelf.rules() {
            for tag in tags_of(rule) {
                covered.entry(tag).or_default().push(&rule.id);
            }
        }
        writeln!(text, "\n## {title}\n\n| | rules |\n|---|---|").unwrap();
        for (tag, rules) in covered {
            let shown: Vec<String> = rules.iter().map(|id| format!("`{id}`")).collect();
            writeln!(text, "| {tag} | {} |", shown.join(" ")).unwrap();
        }
    }
    writeln!(text, "\n## Out of reach\n\nThreats that CloudTrail, invocation logs and flow logs do not show.\n")
        .unwrap();
    let is_covered = |id: &String| shelf.rules().iter().any(|rule| rule.threats.contains(id));
    for OutOfReach { id, reason } in &out_of_reach.threat {
        assert!(!is_covered(id), "{id} has a rule: take it out of docs/out_of_reach.toml");
        writeln!(text, "- {id}: {reason}").unwrap();
    }
    let all = CATALOGUE.iter().flat_map(|(family, count)| (1..=*count).map(move |n| format!("{family}-{n:02}")));
    let all: BTreeSet<String> = all.collect();
    for rule in shelf.rules() {
        let unknown = rule.threats.iter().find(|id| !all.contains(*id));
        assert!(unknown.is_none(), "{} names a threat that the catalogue does not have: {unknown:?}", rule.id);
    }
    let open = |id: &&String| !is_covered(id) && out_of_reach.threat.iter().all(|out| out.id != **id);
    let open: Vec<&String> = all.iter().filter(open).collect();
    assert!(open.is_empty(), "neither a rule nor a reason why there is none: {open:?}");
    page("coverage.md", &text);
}

#[test]
fn rules() {
    let shelf = Shelf::built_in().unwrap();
    let mut text =
        String::from("# Rules\n\n`trailhound rules show ID` prints a rule with its reasons, gaps and steps.\n\n");
    writeln!(text, "| rule | title | severity | kind | logs | threats |\n|---|---|---|---|---|---|").unwrap();
    for rule in shelf.rules() {
        writeln!(
            text,
            "| `{}/{}` | {} | {} | {} | {} | {} |",
            rule.family,
            rule.id,
            rule.title,
            rule.severity.as_str(),
            rule.kind.as_str(),
            rule.logs.join(", "),
            rule.threats.join(", ")
        )
        .unwrap();
    }
    page("rules.md", &text);
}

#[test]
fn saved_queries() {
    let mut text = String::from(
        "# Saved queries\n\n`trailhound query NAME -p parameter=value`.\n\n| query | answers | parameters |\n|---|---|---|\n",
    );
    for query in queries::load(None).unwrap().values() {
        let parameters: Vec<String> = query.params.iter().map(|p| format!("`{}`", p.name)).collect();
        writeln!(text, "| `{}` | {} | {} |", query.name, query.title, parameters.join(", ")).unwrap();
    }
    page("queries.md", &text);
}

#[test]
fn commands() {
    let mut text = String::from("# Commands\n\n");
    describe_command(&mut Cli::command().term_width(100), "trailhound", &mut text);
    page("commands.md", &text);
}

fn describe_command(command: &mut clap::Command, path: &str, text: &mut String) {
    let help = command.clone().bin_name(path).render_long_help().to_string();
    writeln!(text, "## {path}\n\n```text\n{}\n```\n", help.trim_end()).unwrap();
    for sub in command.get_subcommands_mut().filter(|sub| sub.get_name() != "help") {
        let path = format!("{path} {}", sub.get_name());
        let mut sub = sub.clone().term_width(100);
        describe_command(&mut sub, &path, text);
    }
}
