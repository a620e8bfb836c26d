//! Saved queries: SQL files whose header says what they answer and which parameters they take.
//!
//! ```sql
//! -- title: What one access key did
//! -- about: Every event of an access key in all logs, in order.
//! -- param: key text required access key id
//! -- param: since time 1970-01-01 first instant
//! SELECT ... WHERE access_key_id = $key AND time >= $since
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use super::{Value, Values};
use crate::config;
use crate::error::{Error, Result};

/// (path below `queries`, text) of the queries that are built in.
static BUILT_IN: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/queries.rs"));

/// A saved query.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedQuery {
    /// Name: the file's, without extension.
    pub name: String,
    /// The question in a few words.
    pub title: String,
    /// What the answer shows.
    pub about: String,
    /// Parameters, in the order of the header.
    pub params: Vec<Param>,
    /// The SQL.
    pub sql: String,
}

/// A parameter of a saved query.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    /// Name, `$name` in the SQL.
    pub name: String,
    /// Type of its values.
    pub kind: ParamKind,
    /// Value when none is given; a parameter without one must be given.
    pub default: Option<String>,
    /// What it means.
    pub about: String,
}

/// Type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ParamKind {
    /// Any text.
    Text,
    /// Whole or decimal number.
    Number,
    /// Instant: RFC 3339, a day, or a span back from now such as `7d`.
    Time,
    /// Texts, separated by commas.
    List,
}

impl ParamKind {
    fn of(word: &str) -> Option<ParamKind> {
        match word {
            "text" => Some(ParamKind::Text),
            "number" => Some(ParamKind::Number),
            "time" => Some(ParamKind::Time),
            "list" => Some(ParamKind::List),
            _ => None,
        }
    }

    /// Name in headers.
    pub fn name(self) -> &'static str {
        match self {
            ParamKind::Text => "text",
            ParamKind::Number => "number",
            ParamKind::Time => "time",
            ParamKind::List => "list",
        }
    }

    fn read(self, text: &str) -> std::result::Result<Value, String> {
        match self {
            ParamKind::Text => Ok(Value::Text(text.to_owned())),
            ParamKind::Time => config::parse_instant(text).map(|time| Value::Text(time.to_rfc3339())),
            ParamKind::List => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Ok(Value::Texts(items.map(str::to_owned).collect()))
            }
            ParamKind::Number => match (text.parse::<i64>(), text.parse::<f64>()) {
                (Ok(whole), _) => Ok(Value::Whole(whole)),
                (_, Ok(number)) if number.is_finite() => Ok(Value::Number(number)),
                _ => Err(format!("{text} is not a number")),
            },
        }
    }
}

/// All saved queries by name: the built-in ones, and those of a user's folder, which win.
pub fn load(folder: Option<&Path>) -> Result<BTreeMap<String, SavedQuery>> {
    let mut found = BTreeMap::new();
    for (path, text) in BUILT_IN {
        let query = SavedQuery::read(path, text)?;
        found.insert(query.name.clone(), query);
    }
    let Some(folder) = folder else { return Ok(found) };
    let unreadable = |path: &Path, error: std::io::Error| {
        Error::Usage(format!("saved queries cannot be read from {}: {error}", path.display()))
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| unreadable(folder, error))? {
        paths.push(entry.map_err(|error| unreadable(folder, error))?.path());
    }
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "sql")) {
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, error))?;
        let query = SavedQuery::read(&path.to_string_lossy(), &text)?;
        found.insert(query.name.clone(), query);
    }
    Ok(found)
}

/// A query that is built in, whatever users keep under its name.
pub fn built_in(name: &str) -> Result<SavedQuery> {
    let found = BUILT_IN.iter().find(|(path, _)| path.strip_suffix(".sql") == Some(name));
    let (path, text) = found.ok_or_else(|| Error::Sql(format!("there is no saved query {name}")))?;
    SavedQuery::read(path, text)
}

impl SavedQuery {
    /// Reads a file; its header must say title and about, and declare every parameter.
    pub fn read(path: &str, text: &str) -> Result<SavedQuery> {
        let stem = Path::new(path).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let mut query =
            SavedQuery { name: stem, title: String::new(), about: String::new(), params: Vec::new(), sql: text.into() };
        let wrong = |line: &str, what: &str| Error::Sql(format!("{path}: {what}: {line}"));
        for line in text.lines().map_while(|line| line.strip_prefix("--")) {
            let Some((key, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            match key.trim() {
                "title" => query.title = value.into(),
                "about" if query.about.is_empty() => query.about = value.into(),
                "about" => query.about = format!("{} {value}", query.about),
                "param" => {
                    let param = Param::read(value).ok_or_else(|| {
                        wrong(line, "a parameter is `name text|number|time|list default description`")
                    })?;
                    query.params.push(param);
                }
                _ => return Err(wrong(line, "a header line is title, about or param")),
            }
        }
        if query.title.is_empty() || query.about.is_empty() {
            return Err(Error::Sql(format!("{path}: a saved query begins with `-- title: ...` and `-- about: ...`")));
        }
        Ok(query)
    }

    /// Values for all parameters: those given (`name`, text), and defaults for the rest.
    ///
    /// # Errors
    /// [`Error::Usage`] for names that the query does not have, values of the wrong type, and parameters without a value.
    pub fn values(&self, given: &[(String, String)]) -> Result<Values> {
        let names: Vec<&str> = self.params.iter().map(|param| param.name.as_str()).collect();
        if let Some((name, _)) = given.iter().find(|(name, _)| !names.contains(&name.as_str())) {
            let known = if names.is_empty() { "it has none".into() } else { format!("it has {}", names.join(", ")) };
            return Err(Error::Usage(format!("{} has no parameter {name}; {known}", self.name)));
        }
        let mut values = Values::new();
        for param in &self.params {
            let text = given.iter().rev().find(|(name, _)| *name == param.name).map(|(_, text)| text);
            let Some(text) = text.or(param.default.as_ref()) else {
                return Err(Error::Usage(format!(
                    "{} needs {name}, {about}: -p {name}=VALUE",
                    self.name,
                    name = param.name,
                    about = param.about
                )));
            };
            let value = param.kind.read(text).map_err(|error| Error::Usage(format!("{}: {error}", param.name)))?;
            values.insert(param.name.clone(), value);
        }
        Ok(values)
    }
}

impl Param {
    /// Reads `name type default description`; the default is one word, or `required`, or text in double quotes.
    fn read(text: &str) -> Option<Param> {
        let (name, rest) = text.split_once(' ')?;
        let (kind, rest) = rest.trim_start().split_once(' ')?;
        let rest = rest.trim_start();
        let (default, about) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => rest.split_once(' ')?,
        };
        let is_name =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        let default = (default != "required").then(|| default.to_owned());
        let param = Param { name: name.into(), kind: ParamKind::of(kind)?, default, about: about.trim().into() };
        is_name.then_some(param)
    }
}

/// Values that are given for SQL without a header: numbers and times are told from text by their look.
pub fn loose_values(given: &[(String, String)]) -> Values {
    let value = |text: &str| ParamKind::Number.read(text).unwrap_or_else(|_| Value::Text(text.to_owned()));
    given.iter().map(|(name, text)| (name.clone(), value(text))).collect()
}
