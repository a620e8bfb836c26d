//! `trailhound query`: SQL, a saved query, or a shell over the lake.

mod answer;
mod completion;
mod listing;
mod shell;
mod statements;

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use clap::Args;

use super::shared::{LakeArguments, TalkArguments};
use crate::engine::queries::{self, SavedQuery};
use crate::engine::{Engine, Values};
use crate::error::{Error, Result};
use crate::outputs::Format;

use answer::{Show, Workshop, answer};

/// Query the lake with SQL or with a saved query; a shell opens when neither is given
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  trailhound query \"SELECT eventName, count(*) FROM cloudtrail GROUP BY 1 ORDER BY 2 DESC\"\n  trailhound query --list\n  trailhound query key_activity -p key=AKIAIOSFODNN7EXAMPLE -o activity.csv\n  trailhound query < question.sql"
)]
pub struct Arguments {
    /// SQL, or the name of a saved query; without it the SQL comes from standard input, or from a shell on a terminal
    #[arg(value_name = "SQL|NAME")]
    query: Option<String>,
    /// Value of a parameter ($name in SQL); may be repeated
    #[arg(short, long = "param", value_name = "NAME=VALUE", value_parser = parse_pair)]
    params: Vec<(String, String)>,
    /// Form of the result [default: by the extension of -o, else table]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    /// File that gets the result; it appears when it is complete
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Rows that a table on a terminal shows at most; 0 shows all
    #[arg(long, value_name = "N", default_value_t = 200)]
    rows: usize,
    /// List the saved queries
    #[arg(long, conflicts_with_all = ["params", "format", "output"])]
    list: bool,
    /// Show a saved query instead of running it
    #[arg(long, conflicts_with_all = ["params", "format", "output", "list"])]
    show: bool,
    /// Folder with saved queries of your own; they win over built-in ones of the same name
    #[arg(long, value_name = "FOLDER")]
    queries: Option<PathBuf>,
    #[command(flatten)]
    lake: LakeArguments,
    #[command(flatten)]
    talk: TalkArguments,
}

/// Longest SQL that is read from standard input, in bytes.
const LONGEST_INPUT: u64 = 1 << 20;

/// Runs the command; the number is the exit code. `open` makes the engine when it is needed.
pub async fn run(arguments: Arguments, open: impl AsyncFnOnce(&LakeArguments) -> Result<Engine>) -> Result<u8> {
    let config = arguments.lake.load_config()?;
    let saved = queries::load(arguments.queries.as_deref().or(config.queries.as_deref()))?;
    if arguments.list {
        return listing::saved_queries(&saved, &mut std::io::stdout().lock()).map(|()| 0);
    }
    if arguments.show {
        let name =
            arguments.query.as_deref().ok_or_else(|| Error::Usage("--show needs the name of a saved query".into()))?;
        return listing::saved_query(find(&saved, name)?, &mut std::io::stdout().lock()).map(|()| 0);
    }
    let show = Show {
        format: format(arguments.format, arguments.output.as_deref())?,
        output: arguments.output.clone(),
        rows: arguments.rows,
        quiet: arguments.talk.quiet,
    };
    let mut workshop = Workshop::new(arguments.lake.settings(&config)?.threads);
    let text = match &arguments.query {
        Some(text) if text != "-" => text.clone(),
        None if std::io::stdin().is_terminal() => {
            let engine = open(&arguments.lake).await?;
            return shell::run(engine, saved, show, workshop).await.map(|()| 0);
        }
        _ => read_input()?,
    };
    let questions = questions(&saved, &text, &arguments.params)?;
    if questions.len() > 1 && show.output.is_some() {
        return Err(Error::Usage("-o takes the result of one statement, and there are several".into()));
    }
    let engine = open(&arguments.lake).await?;
    for (sql, values) in &questions {
        if answer(&engine, sql, values, &show, &mut workshop).await?.is_interrupted() {
            return Ok(INTERRUPTED);
        }
    }
    Ok(0)
}

/// Exit code of a command that Ctrl-C ended, as shells expect it.
const INTERRUPTED: u8 = 130;

/// The statements to run, with values for their parameters: those of a saved query when `text` is the name of one.
fn questions(
    saved: &BTreeMap<String, SavedQuery>,
    text: &str,
    given: &[(String, String)],
) -> Result<Vec<(String, Values)>> {
    let text = text.trim();
    let is_name = !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    if is_name {
        let query = find(saved, text)?;
        return Ok(vec![(query.sql.clone(), query.values(given)?)]);
    }
    let values = queries::loose_values(given);
    let split = statements::split(text);
    let parts = split.ended.into_iter().chain(split.rest);
    let questions: Vec<(String, Values)> = parts.map(|sql| (sql.to_owned(), values.clone())).collect();
    if questions.is_empty() {
        return Err(Error::Usage(
            "there is no SQL to run; write a query, or name a saved one (--list shows them)".into(),
        ));
    }
    Ok(questions)
}

fn find<'a>(saved: &'a BTreeMap<String, SavedQuery>, name: &str) -> Result<&'a SavedQuery> {
    saved.get(name).ok_or_else(|| {
        let near: Vec<&str> = saved.keys().map(String::as_str).filter(|known| shares_a_word(known, name)).collect();
        let hint = if near.is_empty() { String::new() } else { format!("; there is {}", near.join(", ")) };
        Error::Usage(format!("there is no saved query {name:?}{hint} (trailhound query --list shows all)"))
    })
}

fn shares_a_word(known: &str, name: &str) -> bool {
    let squashed = |text: &str| text.to_lowercase().replace(['_', '-'], "");
    let words = name.split(['_', '-']).any(|word| word.len() > 3 && known.contains(word));
    words || squashed(known) == squashed(name)
}

fn format(wanted: Option<Format>, output: Option<&Path>) -> Result<Format> {
    match (wanted, output) {
        (Some(format), _) => Ok(format),
        (None, None) => Ok(Format::Table),
        (None, Some(path)) => Format::of_path(path).ok_or_else(|| {
            Error::Usage(format!(
                "{} does not say which format it wants; name it .csv, .json, .ndjson or .parquet, or add --format",
                path.display()
            ))
        }),
    }
}

fn read_input() -> Result<String> {
    let mut text = String::new();
    let read = std::io::stdin().take(LONGEST_INPUT + 1).read_to_string(&mut text);
    read.map_err(|error| Error::Input(format!("the SQL on standard input cannot be read: {error}")))?;
    if text.len() as u64 > LONGEST_INPUT {
        return Err(Error::Usage(format!("the SQL on standard input is longer than {LONGEST_INPUT} bytes")));
    }
    Ok(text)
}

/// `name=value` of a parameter.
fn parse_pair(text: &str) -> std::result::Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.trim().is_empty());
    pair.map(|(name, value)| (name.trim().to_owned(), value.to_owned()))
        .ok_or_else(|| format!("{text} is not a parameter; write name=value"))
}
