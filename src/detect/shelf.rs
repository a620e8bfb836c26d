//! The shelf of rules: those that are built in, and a user's own on top.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;

use super::chain::Chain;
use super::{Param, Rule, spelling};
use crate::error::{Error, Result};

/// (path below `detections`, text) of the rules that are built in.
static DETECTIONS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/detections.rs"));

/// Values for parameters, from the configuration: rule id -> parameter -> value.
pub type Overrides = BTreeMap<String, BTreeMap<String, toml::Value>>;

/// Rules in a stable order: by family, then by id.
#[derive(Debug, Clone, Default)]
pub struct Shelf {
    rules: Vec<Rule>,
    notes: Vec<String>,
}

impl Shelf {
    /// The rules of a run: the built-in ones, a user's folder on top, and parameters from the configuration.
    pub fn load(folder: Option<&Path>, params: &Overrides) -> Result<Shelf> {
        let shelf = Shelf::built_in()?;
        let shelf = match folder {
            Some(folder) => shelf.with_path(folder)?,
            None => shelf,
        };
        shelf.with_params(params)
    }

    /// The rules that are built in.
    pub fn built_in() -> Result<Shelf> {
        let files = DETECTIONS.iter().map(|(path, text)| (format!("detections/{path}"), (*text).to_owned()));
        Shelf::default().with_files(files.collect(), false)
    }

    /// Adds the rules of a file, or of a folder and the folders below it. A rule whose id is on the shelf replaces the one
    /// that is there, with a note. All files are read before mistakes are reported.
    pub fn with_path(self, path: &Path) -> Result<Shelf> {
        let mut files = Vec::new();
        read_files(path, 0, &mut files)?;
        if files.is_empty() {
            return Err(Error::Usage(format!(
                "{} holds no rules; rules are files such as family/rule_id.toml",
                path.display()
            )));
        }
        files.sort();
        self.with_files(files, true)
    }

    /// Sets parameters from the configuration.
    pub fn with_params(mut self, overrides: &Overrides) -> Result<Shelf> {
        for (id, values) in overrides {
            let hint = spelling::hint(id, self.ids());
            let Some(rule) = self.rules.iter_mut().find(|rule| rule.id == *id) else {
                return Err(Error::Usage(format!("the configuration sets parameters of an unknown rule '{id}'{hint}")));
            };
            for (name, value) in values {
                let param = Param::read(value);
                let param = param
                    .map_err(|mistake| Error::Usage(format!("the configuration sets {id}.{name} to {mistake}")))?;
                rule.set_param(name, &param)?;
            }
        }
        Ok(self)
    }

    /// All rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Things that a user should know about the shelf, such as which built-in rules were replaced.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The rule with an id; the error names the nearest one.
    pub fn get(&self, id: &str) -> Result<&Rule> {
        let unknown = || Error::Usage(format!("there is no rule '{id}'{}", spelling::hint(id, self.ids())));
        self.rules.iter().find(|rule| rule.id == id).ok_or_else(unknown)
    }

    /// The rules that `names` name by id or family, in the order of the shelf; all of them when there are no names.
    pub fn select(&self, names: &[String]) -> Result<Vec<Rule>> {
        let is_known = |name: &String| self.rules.iter().any(|rule| rule.id == *name || rule.family == *name);
        if let Some(unknown) = names.iter().find(|name| !is_known(name)) {
            let known: Vec<&str> = self.ids().chain(self.rules.iter().map(|rule| rule.family.as_str())).collect();
            let hint = spelling::hint(unknown, known);
            return Err(Error::Usage(format!("there is no rule or family '{unknown}'{hint}")));
        }
        let wanted =
            |rule: &&Rule| names.is_empty() || names.iter().any(|name| rule.id == *name || rule.family == *name);
        Ok(self.rules.iter().filter(wanted).cloned().collect())
    }

    /// The rules that [`Shelf::select`] selects, and those that the chains among them are made of.
    pub fn select_with_steps(&self, names: &[String]) -> Result<Vec<Rule>> {
        let mut rules = self.select(names)?;
        let chains: Vec<Chain> = rules.iter().filter_map(|rule| rule.chain.clone()).collect();
        for child in &self.rules {
            let is_step = chains.iter().any(|chain| chain.rules().any(|id| id == child.id));
            if is_step && rules.iter().all(|rule| rule.id != child.id) {
                rules.push(child.clone());
            }
        }
        Ok(rules)
    }

    fn ids(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.id.as_str())
    }

    fn with_files(mut self, files: Vec<(String, String)>, added: bool) -> Result<Shelf> {
        let mut mistakes: Vec<String> = Vec::new();
        // With hundreds of them, that is felt before a hunt begins.
        let read: Vec<_> = files.par_iter().map(|(source, text)| (source, Rule::read(source, text, added))).collect();
        for (source, rule) in read {
            let rule = match rule {
                Ok(rule) => rule,
                Err(mistake) => {
                    mistakes.push(mistake.to_string());
                    continue;
                }
            };
            match self.rules.iter_mut().find(|known| known.id == rule.id) {
                None => self.rules.push(rule),
                Some(known) if known.added == added => {
                    mistakes
                        .push(format!("{source}: the id '{}' is taken by {}; rename the file", rule.id, known.source));
                }
                Some(known) => {
                    self.notes.push(format!("{source} replaces the built-in rule {}", rule.id));
                    *known = rule;
                }
            }
        }
        if !mistakes.is_empty() {
            return Err(Error::Rule(mistakes.join("\n")));
        }
        self.rules.sort_by(|a, b| (&a.family, &a.id).cmp(&(&b.family, &b.id)));
        Ok(self)
    }
}

/// Folders below a user's folder that are looked into; more are a loop or a mistake.
const DEEPEST: usize = 8;

/// Adds (path, text) of the rule files at and below `path`.
fn read_files(path: &Path, depth: usize, files: &mut Vec<(String, String)>) -> Result<()> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::Usage(format!("{} does not exist; name a rule file or a folder of rules", path.display()))
        }
        _ => Error::Input(format!("cannot read rules at {}: {error}", path.display())),
    };
    if std::fs::metadata(path).map_err(failed)?.is_dir() {
        if depth > DEEPEST {
            return Ok(());
        }
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let inner = entry.map_err(failed)?.path();
            if inner.is_dir() || inner.extension().is_some_and(|extension| extension == "toml") {
                read_files(&inner, depth + 1, files)?;
            }
        }
        return Ok(());
    }
    files.push((path.to_string_lossy().into_owned(), std::fs::read_to_string(path).map_err(failed)?));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_rules_are_sound_and_have_their_tests_last() {
        for (path, text) in DETECTIONS {
            let whole = Rule::read(path, text, true).unwrap_or_else(|mistake| panic!("{mistake}"));
            let mut short = Rule::read(path, text, false).expect(path);
            short.added = true;
            assert_eq!(format!("{whole:?}"), format!("{short:?}"), "{path}");
        }
    }
}
