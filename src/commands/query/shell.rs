//! The shell: SQL until a semicolon, commands, history, completion; errors do not end it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::ValueEnum;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};

use super::answer::{Show, Workshop, answer};
use super::completion::{COMMANDS, Typing};
use super::{find, listing, parse_pair, statements};
use crate::engine::queries::SavedQuery;
use crate::engine::{Engine, Values};
use crate::error::{Error, Result};
use crate::outputs::{Format, escape};

/// Statements that the history keeps.
const REMEMBERED: usize = 2000;

struct Shell {
    engine: Engine,
    saved: BTreeMap<String, SavedQuery>,
    show: Show,
    workshop: Workshop,
}

/// Reads and answers until the user leaves.
pub async fn run(engine: Engine, saved: BTreeMap<String, SavedQuery>, show: Show, workshop: Workshop) -> Result<()> {
    let broken = |error: ReadlineError| Error::Output(format!("the shell cannot use this terminal: {error}"));
    let config = Config::builder().max_history_size(REMEMBERED).map_err(broken)?.history_ignore_space(true).build();
    let mut editor: Editor<Typing, FileHistory> = Editor::with_config(config).map_err(broken)?;
    editor.set_helper(Some(Typing::new(&engine, &saved)));
    let history = history_file();
    if let Some(path) = &history {
        let _ = editor.load_history(path); // there is none the first time
    }
    if !show.quiet {
        eprintln!("SQL ends with a semicolon; \\? lists commands, \\d tables, \\q leaves");
    }
    let mut shell = Shell { engine, saved, show, workshop };
    loop {
        let line = match editor.readline("trailhound> ") {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(broken(error)),
        };
        if !line.trim().is_empty() {
            let _ = editor.add_history_entry(line.trim());
        }
        match shell.take(&line).await {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                for line in error.to_string().lines() {
                    eprintln!("error: {}", escape::terminal(line));
                }
            }
        }
    }
    if let Some(path) = &history
        && let Err(error) = editor.save_history(path)
    {
        eprintln!("the history cannot be kept in {}: {error}", path.display());
    }
    Ok(())
}

/// Where the history is kept, in a folder that is made when it is missing.
fn history_file() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let data = set("XDG_DATA_HOME").or_else(|| set("HOME").map(|home| home.join(".local").join("share")))?;
    let folder = data.join("trailhound");
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder.join("history"))
}

impl Shell {
    /// Does what was typed; false to leave.
    async fn take(&mut self, typed: &str) -> Result<bool> {
        let typed = typed.trim();
        if typed.starts_with('\\') {
            return self.command(typed.trim_end_matches(';')).await;
        }
        let split = statements::split(typed);
        for sql in split.ended.into_iter().chain(split.rest) {
            if answer(&self.engine, sql, &Values::new(), &self.show, &mut self.workshop).await?.is_interrupted() {
                break;
            }
        }
        Ok(true)
    }

    async fn command(&mut self, typed: &str) -> Result<bool> {
        let mut words = typed.split_whitespace();
        let command = words.next().unwrap_or_default();
        let argument = words.next();
        let mut out = std::io::stdout().lock();
        match (command, argument) {
            ("\\q" | "\\quit" | "\\exit", _) => return Ok(false),
            ("\\?" | "\\h" | "\\help", _) => {
                COMMANDS.iter().for_each(|(name, about)| println!("{name:8}  {about}"));
            }
            ("\\d" | "\\dt" | "\\dv", None) => listing::tables(&self.engine, &mut out)?,
            ("\\d", Some(name)) => listing::table(&self.engine, name, &mut out).await?,
            ("\\df", name) => listing::functions(name, &mut out)?,
            ("\\saved", None) => listing::saved_queries(&self.saved, &mut out)?,
            ("\\saved", Some(name)) => listing::saved_query(find(&self.saved, name)?, &mut out)?,
            ("\\run", Some(name)) => {
                drop(out);
                let given: Vec<(String, String)> =
                    words.map(parse_pair).collect::<std::result::Result<_, _>>().map_err(Error::Usage)?;
                let query = find(&self.saved, name)?;
                answer(&self.engine, &query.sql, &query.values(&given)?, &self.show, &mut self.workshop).await?;
            }
            ("\\format", Some(name)) => self.show.format = Format::from_str(name, true).map_err(Error::Usage)?,
            ("\\format", None) => println!("{:?}", self.show.format),
            ("\\o", path) => {
                self.show.output = path.map(PathBuf::from);
                if let Some(format) = self.show.output.as_deref().and_then(Format::of_path) {
                    self.show.format = format;
                } else if self.show.output.is_none() && self.show.format == Format::Parquet {
                    self.show.format = Format::Table;
                }
            }
            ("\\rows", Some(number)) => {
                let rows = number.parse().map_err(|_| Error::Usage(format!("{number} is not a number of rows")))?;
                self.show.rows = rows;
            }
            ("\\timing", _) => {
                self.show.quiet = !self.show.quiet;
                println!("time and number of rows are {}", if self.show.quiet { "off" } else { "on" });
            }
            _ => return Err(Error::Usage(format!("{command} is not a command, or needs more; \\? lists commands"))),
        }
        Ok(true)
    }
}
