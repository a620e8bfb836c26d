//! The generated pages in docs/ are as the code is. `UPDATE=1 cargo test --test docs` rewrites them.

use std::fmt::Write;
use std::path::Path;

use clap::CommandFactory;
use trailhound::commands::Cli;
use trailhound::detect::Shelf;
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
