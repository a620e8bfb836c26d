//! `trailhound rules import`: Sigma rules become rule files, each checked before it is written.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::detect::lint::Linter;
use crate::detect::sigma::{self, Import, Imported, Refused, Source};
use crate::detect::{Rule, selftest};
use crate::error::{Error, Result};
use crate::outputs::escape;

/// Folders below a folder that are looked into; more are a loop or a mistake.
const DEEPEST: usize = 16;
/// Files that one import reads.
const MOST_FILES: usize = 20_000;

/// Turn Sigma rules for CloudTrail, VPC flow logs and Bedrock into rules, and say why others cannot be
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  trailhound rules import sigma/rules/cloud/aws --dir rules/sigma\n  trailhound rules import many_denied.yml --dir rules/sigma --overwrite\n  trailhound hunt sample-data --rules rules/sigma"
)]
pub struct Arguments {
    /// Sigma files, or folders with .yml and .yaml files; correlations may name rules of any of them
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Folder that gets the rules, one file each
    #[arg(long, value_name = "FOLDER")]
    dir: PathBuf,
    /// Replace files that are there already
    #[arg(long)]
    overwrite: bool,
    /// Exit with 3 when any rule could not be imported
    #[arg(long)]
    strict: bool,
}

/// Runs the command; the number is the exit code. What was imported and refused goes to stderr.
pub async fn run(arguments: Arguments) -> Result<u8> {
    let mut sources = Vec::new();
    let mut unreadable = Vec::new();
    for path in files(&arguments.paths)? {
        match read(&path)? {
            Ok(source) => sources.push(source),
            Err(refused) => unreadable.push(refused),
        }
    }
    let mut import = sigma::import(&sources);
    import.refused.extend(unreadable);
    let sound = check(&mut import, &arguments.dir).await?;
    let mut written = 0;
    for rule in sound {
        match write(&rule, &arguments) {
            Ok(()) => {
                written += 1;
                for note in &rule.notes {
                    eprintln!("note: {}: {}", rule.id, escape::terminal(note));
                }
            }
            Err(Error::Usage(reason)) => import.refused.push(refusal(&rule, reason)),
            Err(error) => return Err(error),
        }
    }
    import.refused.sort_by(|a, b| (&a.source, a.line).cmp(&(&b.source, b.line)));
    for refused in &import.refused {
        let title = if refused.title.is_empty() { String::new() } else { format!("{}: ", refused.title) };
        let told = format!("refused: {}:{}: {title}{}", refused.source, refused.line, refused.reason);
        eprintln!("{}", escape::terminal(&told));
    }
    let parts = if import.parts == 0 { String::new() } else { format!(", {} within correlations", import.parts) };
    let folder = arguments.dir.to_string_lossy();
    let refused = import.refused.len();
    eprintln!("{written} rules imported into {}{parts}, {refused} refused", escape::terminal(&folder));
    Ok(if arguments.strict && refused > 0 { 3 } else { 0 })
}

/// The files that the paths name, in a stable order.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        collect(path, 0, &mut found)?;
    }
    found.sort();
    found.dedup();
    if found.is_empty() {
        return Err(Error::Usage("there are no .yml or .yaml files there; name Sigma files or their folder".into()));
    }
    if found.len() > MOST_FILES {
        return Err(Error::Usage(format!("more than {MOST_FILES} files; import the folders one by one")));
    }
    Ok(found)
}

/// Adds `path`, or the Sigma files below it.
fn collect(path: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => {
            Error::Usage(format!("{} does not exist; name a Sigma file or a folder of them", path.display()))
        }
        _ => Error::Input(format!("cannot read {}: {error}", path.display())),
    };
    if !std::fs::metadata(path).map_err(failed)?.is_dir() {
        found.push(path.to_owned());
        return Ok(());
    }
    if depth > DEEPEST || found.len() > MOST_FILES {
        return Ok(());
    }
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let inner = entry.map_err(failed)?.path();
        let is_sigma = inner.extension().is_some_and(|extension| extension == "yml" || extension == "yaml");
        if is_sigma || inner.is_dir() {
            collect(&inner, depth + 1, found)?;
        }
    }
    Ok(())
}

/// Reads a file, though no more of it than a Sigma file has; the inner error is the reason why it is none.
fn read(path: &Path) -> Result<std::result::Result<Source, Refused>> {
    let failed = |error: std::io::Error| Error::Input(format!("cannot read {}: {error}", path.display()));
    let name = path.to_string_lossy().into_owned();
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(sigma::MOST_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > sigma::MOST_BYTES {
        let reason = format!("the file has more than {} bytes; a Sigma rule is far shorter", sigma::MOST_BYTES);
        return Ok(Err(Refused { source: name, line: 1, title: String::new(), reason }));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Ok(Source { name, text })),
        Err(_) => {
            let reason = "the file is not UTF-8".to_owned();
            Ok(Err(Refused { source: name, line: 1, title: String::new(), reason }))
        }
    }
}

/// Takes out the rules that fit the tables and pass their own tests; the others are refused.
async fn check(import: &mut Import, dir: &Path) -> Result<Vec<Imported>> {
    let linter = Linter::new().await?;
    let (mut candidates, mut readable) = (Vec::new(), Vec::new());
    for imported in std::mem::take(&mut import.rules) {
        let rule = match Rule::read(&target(dir, &imported.id).to_string_lossy(), &imported.text, true) {
            Ok(rule) => rule,
            Err(error) => {
                import.refused.push(refusal(&imported, format!("it makes no sound rule: {error}")));
                continue;
            }
        };
        let notes = linter.check(&rule).await;
        match notes.errors.first() {
            Some(error) => import.refused.push(refusal(&imported, format!("its SQL does not fit: {error}"))),
            None => {
                readable.push(rule);
                candidates.push(imported);
            }
        }
    }
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let mut problems: BTreeMap<String, String> = BTreeMap::new();
    for outcome in selftest::run(&readable, threads).await? {
        if let Some(problem) = outcome.problem {
            problems.entry(outcome.rule_id).or_insert(problem);
        }
    }
    let mut sound = Vec::new();
    for imported in candidates {
        match problems.get(&imported.id) {
            None => sound.push(imported),
            Some(problem) => import.refused.push(refusal(&imported, format!("it fails its own test: {problem}"))),
        }
    }
    Ok(sound)
}

fn refusal(rule: &Imported, reason: String) -> Refused {
    Refused { source: rule.source.clone(), line: rule.line, title: rule.title.clone(), reason }
}

fn target(dir: &Path, id: &str) -> PathBuf {
    dir.join(format!("{id}.toml"))
}

/// Writes a rule; a usage error when something else is in its place.
fn write(rule: &Imported, arguments: &Arguments) -> Result<()> {
    let path = target(&arguments.dir, &rule.id);
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::AlreadyExists => {
            Error::Usage(format!("{} is there already and differs; --overwrite replaces it", path.display()))
        }
        _ => Error::Output(format!("cannot write {}: {error}", path.display())),
    };
    std::fs::create_dir_all(&arguments.dir)
        .map_err(|error| Error::Output(format!("cannot make the folder {}: {error}", arguments.dir.display())))?;
    if std::fs::read_to_string(&path).is_ok_and(|there| there == rule.text) {
        return Ok(());
    }
    let file = if arguments.overwrite { std::fs::File::create(&path) } else { std::fs::File::create_new(&path) };
    file.and_then(|mut file| file.write_all(rule.text.as_bytes())).map_err(failed)
}
