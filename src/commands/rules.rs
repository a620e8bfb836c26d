//! `trailhound rules`: list, show, preview, test, lint, start and import detection rules.

mod list;
mod navigator;
mod preview;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::import;
use crate::detect::lint::Linter;
use crate::detect::rule::{Need, is_snake_case};
use crate::detect::{Rule, Shelf, duration_text, selftest};
use crate::error::{Error, Result};
use crate::outputs::escape;

/// List, show, preview, test and lint detection rules, start a new one, or import Sigma rules
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  trailhound rules list --severity high --log bedrock\n  trailhound rules list --tag T1078 --format navigator > layer.json\n  trailhound rules show stopped_trail\n  trailhound rules preview identity --since 30d\n  trailhound rules new identity/borrowed_root\n  trailhound rules test detections/identity/borrowed_root.toml\n  trailhound rules import sigma/rules/cloud/aws --dir rules/sigma"
)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
    /// Folder with rules of your own; they win over built-in rules of the same id
    #[arg(long, global = true, value_name = "FOLDER")]
    rules: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List rules
    List(list::Arguments),
    /// Show one rule: what it finds, what it does not see, what to do, and its SQL
    Show {
        /// Id of the rule
        id: String,
    },
    /// Run the tests inside rules: of all rules, or of these ids, families, files and folders
    Test {
        /// Ids, families, files or folders
        #[arg(value_name = "RULE")]
        names: Vec<String>,
    },
    /// Check that rules fit the tables, and say how each is judged
    Lint {
        /// Ids, families, files or folders
        #[arg(value_name = "RULE")]
        names: Vec<String>,
    },
    /// Write a rule to start from
    New {
        /// Where it belongs and its id, such as identity/borrowed_root
        #[arg(value_name = "FAMILY/NAME")]
        name: String,
        /// Folder that holds the families
        #[arg(long, default_value = "detections", value_name = "FOLDER")]
        dir: PathBuf,
    },
    /// Say how often rules would have fired in the lake, and for whom, before they are switched on; nothing is stored
    Preview(preview::Arguments),
    Import(import::Arguments),
}

/// Runs the command; the number is the exit code.
pub async fn run(arguments: Arguments) -> Result<u8> {
    let mut page = String::new();
    let code = match arguments.action {
        Action::Import(arguments) => import::run(arguments).await?,
        Action::New { name, dir } => {
            let path = start(&name, &dir)?;
            page.push_str(&format!("wrote {}; edit it, then: trailhound rules test {0}\n", path.display()));
            0
        }
        Action::List(filters) => {
            page = filters.page(shelf(arguments.rules.as_deref())?.rules())?;
            0
        }
        Action::Show { id } => {
            page = sheet(shelf(arguments.rules.as_deref())?.get(&id)?)?;
            0
        }
        Action::Test { names } => test(&chosen(arguments.rules.as_deref(), &names)?, &mut page).await?,
        Action::Preview(asked) => preview::run(asked, arguments.rules.as_deref(), &mut page).await?,
        Action::Lint { names } => lint(&chosen(arguments.rules.as_deref(), &names)?, &mut page).await?,
    };
    print(&page)?;
    Ok(code)
}

fn print(page: &str) -> Result<()> {
    let mut screen = std::io::stdout().lock();
    match screen.write_all(page.as_bytes()).and_then(|()| screen.flush()) {
        // The reader has seen enough (`| head`).
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| Error::Output(format!("cannot write to stdout: {error}"))),
    }
}

/// The shelf with a user's folder on top; its notes go to stderr.
fn shelf(folder: Option<&Path>) -> Result<Shelf> {
    let shelf = Shelf::load(folder, &Default::default())?;
    for note in shelf.notes() {
        eprintln!("note: {}", escape::terminal(note));
    }
    Ok(shelf)
}

/// True for names of files and folders, as against ids and families.
fn is_path(name: &str) -> bool {
    name.ends_with(".toml") || name.contains(['/', '\\']) || Path::new(name).is_dir()
}

/// Rules that are named by file or folder, or by id or family on the shelf; all of the shelf when nothing is named.
fn chosen(folder: Option<&Path>, names: &[String]) -> Result<Vec<Rule>> {
    let (paths, ids): (Vec<&String>, Vec<&String>) = names.iter().partition(|name| is_path(name));
    let mut rules = Vec::new();
    if names.is_empty() || !ids.is_empty() {
        let ids: Vec<String> = ids.into_iter().cloned().collect();
        rules = shelf(folder)?.select(&ids)?;
    }
    for path in paths {
        rules.extend_from_slice(Shelf::default().with_path(Path::new(path))?.rules());
    }
    Ok(rules)
}

async fn test(rules: &[Rule], page: &mut String) -> Result<u8> {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let outcomes = selftest::run(rules, threads).await?;
    let mut broken = 0;
    for outcome in &outcomes {
        if let Some(problem) = &outcome.problem {
            broken += 1;
            page.push_str(&format!("FAILED {}, test \"{}\"\n", outcome.rule_id, escape::terminal(&outcome.test)));
            for line in problem.lines() {
                page.push_str(&format!("  {}\n", escape::terminal(line)));
            }
        }
    }
    page.push_str(&format!("{} rules, {} tests, {broken} failed\n", rules.len(), outcomes.len()));
    Ok(if broken == 0 { 0 } else { 2 })
}

async fn lint(rules: &[Rule], page: &mut String) -> Result<u8> {
    let linter = Linter::new().await?.knowing(rules);
    let (mut errors, mut warnings) = (0, 0);
    for rule in rules {
        let notes = linter.check(rule).await;
        let path = notes.path.map_or_else(|| "does not plan".to_owned(), |path| path.to_string());
        page.push_str(&format!("{}: {}\n", escape::terminal(&rule.source), escape::terminal(&path)));
        errors += notes.errors.len();
        warnings += notes.warnings.len();
        let told =
            notes.errors.iter().map(|text| ("error", text)).chain(notes.warnings.iter().map(|text| ("warning", text)));
        for (weight, text) in told {
            page.push_str(&format!("  {weight}: {}\n", escape::terminal(text)));
        }
    }
    page.push_str(&format!("{} rules, {errors} errors, {warnings} warnings\n", rules.len()));
    Ok(if errors == 0 { 0 } else { 2 })
}

/// Writes the template of a new rule; never over a file that is there.
fn start(name: &str, dir: &Path) -> Result<PathBuf> {
    let Some((family, id)) = name.split_once('/').filter(|(family, id)| is_snake_case(family) && is_snake_case(id))
    else {
        let advice = "a rule is named FAMILY/NAME, both snake_case, such as identity/borrowed_root";
        return Err(Error::Usage(format!("'{name}' cannot be the name of a rule: {advice}")));
    };
    let folder = dir.join(family);
    let path = folder.join(format!("{id}.toml"));
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Error::Usage(format!("{} is there already; choose another name", path.display()))
        }
        _ => Error::Output(format!("cannot write {}: {error}", path.display())),
    };
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let mut file = std::fs::File::create_new(&path).map_err(failed)?;
    file.write_all(include_bytes!("new_rule.toml")).map_err(failed)?;
    Ok(path)
}

/// The page of one rule, for people.
fn sheet(rule: &Rule) -> Result<String> {
    let (severity, confidence, kind) = (rule.severity.as_str(), rule.confidence.as_str(), rule.kind.as_str());
    let mut page = format!("{}\n{kind}, {severity} severity, {confidence} confidence\n", escape::terminal(&rule.title));
    let texts = |title: &str, lines: &[String]| -> String {
        let shown: Vec<String> = lines.iter().map(|line| format!("  - {}\n", escape::terminal(line))).collect();
        if shown.is_empty() { String::new() } else { format!("\n{title}\n{}", shown.concat()) }
    };
    let block = |title: &str, text: &str| -> String {
        let shown: Vec<String> =
            text.trim_matches('\n').lines().map(|line| format!("  {}\n", escape::terminal(line))).collect();
        format!("\n{title}\n{}", shown.concat())
    };
    page.push_str(&block("Why it matters", &rule.why));
    page.push_str(&block("What it does not see", &rule.gaps));
    page.push_str(&texts("Who does this legitimately", &rule.false_positives));
    page.push_str(&texts("Look at next", &rule.triage));
    page.push_str(&texts("Respond", &rule.respond));
    page.push_str("\nFacts\n");
    let needs: Vec<String> = rule.needs.iter().map(Need::to_string).collect();
    let params: Vec<String> = rule.params.iter().map(|(name, value)| format!("{name} = {}", json!(value))).collect();
    let facts = [
        ("id", rule.id.clone()),
        ("file", rule.source.clone()),
        ("version", rule.version()),
        ("logs", rule.logs.join(", ")),
        ("needs", needs.join(", ")),
        ("parameters", params.join(", ")),
        ("entity", rule.entity.join(", ")),
        ("lookback", duration_text(rule.lookback)),
        ("quiet", duration_text(rule.quiet)),
        ("ATLAS", rule.atlas.join(", ")),
        ("ATT&CK", rule.attack.join(", ")),
        ("OWASP", rule.owasp.join(", ")),
        ("threats", rule.threats.join(", ")),
        (
            "framework",
            format!("{} layer, {} phase {}", rule.layer.as_str(), rule.phase.as_str(), rule.controls.join(" ")),
        ),
    ];
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        page.push_str(&format!("  {name:<11}{}\n", escape::terminal(value.trim_end())));
    }
    let tests = rule.tests()?;
    let tests: Vec<String> =
        tests.iter().map(|t| format!("{}: {}", if t.fires { "fires" } else { "quiet" }, t.name)).collect();
    page.push_str(&texts("Tests", &tests));
    page.push_str(&texts("References", &rule.references));
    match &rule.chain {
        Some(chain) => page.push_str(&block("Steps", &chain.to_string())),
        None => page.push_str(&block("SQL", &rule.sql)),
    }
    Ok(page)
}
