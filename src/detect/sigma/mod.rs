//! Sigma rules for CloudTrail, VPC flow logs and Bedrock as rules of ours, or why one cannot be.
//!
//! A Sigma document becomes a [`check::Check`], a tree of questions about fields, and that becomes SQL and two tests: an
//! event for which the tree holds, and one for which it does not. Correlations become queries over the events of the
//! rules that they name. The specification is at <https://github.com/SigmaHQ/sigma-specification>.

mod check;
mod condition;
mod correlation;
mod detection;
mod encoding;
mod event;
mod fields;
mod header;
mod measure;
mod modifiers;
mod page;
mod pattern;
mod regex;
mod rehearsal;
mod related;
mod single;
mod sql;
mod toml;
mod yaml;

use std::collections::BTreeSet;
use std::path::Path;

use check::Check;
use correlation::Correlation;
use fields::Log;
use header::Header;
use yaml::{Node, Value};

/// Bytes of a file with Sigma documents; longer ones are refused.
pub const MOST_BYTES: usize = yaml::MOST_BYTES;
/// Bytes of a rule's SQL.
const LONGEST_SQL: usize = 256 << 10;
/// Before the ids of imported rules, so that they never take the place of built-in ones.
const PREFIX: &str = "sigma_";

/// A file with Sigma documents.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its path, for messages; its last part goes into the rule.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// What became of the documents of some files.
#[derive(Debug, Default)]
pub struct Import {
    /// Rules of ours.
    pub rules: Vec<Imported>,
    /// Documents that are used only within a correlation that was imported.
    pub parts: usize,
    /// Documents that could not be imported.
    pub refused: Vec<Refused>,
}

/// An imported rule.
#[derive(Debug)]
pub struct Imported {
    /// Id: the stem of its file.
    pub id: String,
    /// The text of its file.
    pub text: String,
    /// Where it comes from.
    pub source: String,
    /// Title of the Sigma rule.
    pub title: String,
    /// Line of the Sigma rule in its file.
    pub line: usize,
    /// What changed its meaning.
    pub notes: Vec<String>,
}

/// A document that could not be imported.
#[derive(Debug)]
pub struct Refused {
    /// The file.
    pub source: String,
    /// Line of what is wrong.
    pub line: usize,
    /// Title of the document, when it has one.
    pub title: String,
    /// Why.
    pub reason: String,
}

/// A document that was read.
#[derive(Debug)]
struct Document {
    source: usize,
    /// Place in its file.
    number: usize,
    line: usize,
    header: Header,
    body: Result<Body, (usize, String)>,
}

#[derive(Debug)]
enum Body {
    Rule(Log, Check),
    Correlation(Correlation),
}

impl Document {
    /// Names by which aliases may call it.
    fn names(&self) -> Vec<&str> {
        let header = &self.header;
        [header.name.as_deref(), header.id.as_deref(), Some(header.title.as_str())].into_iter().flatten().collect()
    }
}

/// Imports all documents of `sources`; correlations may name rules of any of them.
pub fn import(sources: &[Source]) -> Import {
    let mut import = Import::default();
    let mut documents = Vec::new();
    for (number, source) in sources.iter().enumerate() {
        match yaml::read(&source.text) {
            Ok(nodes) => {
                let used = nodes.iter().filter(|node| !matches!(node.value, Value::Null));
                documents.extend(used.enumerate().map(|(place, node)| document(number, place, node)));
            }
            Err((line, reason)) => {
                import.refused.push(Refused { source: source.name.clone(), line, title: String::new(), reason });
            }
        }
    }
    let hidden = hidden(&documents);
    let mut taken = BTreeSet::new();
    for (index, document) in documents.iter().enumerate() {
        let name = sources.get(document.source).map(|source| source.name.as_str()).unwrap_or_default();
        if hidden.contains(&index) && document.body.is_ok() {
            import.parts += 1;
            continue;
        }
        match rule(&documents, document, name) {
            Ok((text, notes)) => {
                let id = unused(&mut taken, document, name);
                let (source, title, line) = (name.to_owned(), document.header.title.clone(), document.line);
                import.rules.push(Imported { id, text, source, title, line, notes });
            }
            Err((line, reason)) => {
                let (source, title) = (name.to_owned(), document.header.title.clone());
                import.refused.push(Refused { source, line, title, reason });
            }
        }
    }
    import
}

fn document(source: usize, number: usize, node: &Node) -> Document {
    Document { source, number, line: node.line, header: Header::read(node), body: body(node) }
}

fn body(node: &Node) -> Result<Body, (usize, String)> {
    let fail = |reason: &str| Err((node.line, reason.to_owned()));
    if !matches!(node.value, Value::Map(_)) {
        return fail("the document is not a Sigma rule: it is no mapping");
    }
    if node.get("action").is_some() {
        return fail("rule collections with 'action' were taken out of Sigma; write each rule out");
    }
    if node.get("filter").is_some() {
        return fail("a Sigma filter changes other rules; write its condition into them");
    }
    if let Some(taxonomy) = node.get("taxonomy").filter(|node| node.text().is_none_or(|name| name != "sigma")) {
        let name = taxonomy.text().unwrap_or_default();
        return Err((taxonomy.line, format!("it uses the names of the taxonomy '{name}', not those of the log")));
    }
    let status = node.get("status").and_then(Node::text).unwrap_or_default();
    if status.eq_ignore_ascii_case("unsupported") {
        return fail("its author marks it as unsupported");
    }
    if let Some(correlation) = node.get("correlation") {
        return correlation::read(correlation).map(Body::Correlation);
    }
    let Some(found) = node.get("detection") else { return fail("it has neither a detection nor a correlation") };
    let log = match Log::read(node.get("logsource")) {
        Ok(log) => log,
        Err(reason) => return Err((node.get("logsource").map_or(node.line, |source| source.line), reason)),
    };
    detection::read(log, found).map(|check| Body::Rule(log, check))
}

/// Documents that correlations use and that are not wanted on their own.
fn hidden(documents: &[Document]) -> BTreeSet<usize> {
    let mut hidden = BTreeSet::new();
    for (index, document) in documents.iter().enumerate() {
        let Ok(Body::Correlation(correlation)) = &document.body else { continue };
        if correlation.generate || related::page(documents, document, correlation).is_err() {
            continue;
        }
        for reference in &correlation.rules {
            hidden.extend(related::find(documents, document, reference).filter(|found| *found != index));
        }
    }
    hidden
}

/// The text of the rule that a document becomes, and what a reader has to know.
fn rule(documents: &[Document], document: &Document, source: &str) -> Result<(String, Vec<String>), (usize, String)> {
    let fail = |reason: String| (document.line, reason);
    let page = match &document.body {
        Err(reason) => return Err(reason.clone()),
        Ok(Body::Rule(log, check)) => single::page(*log, check),
        Ok(Body::Correlation(correlation)) => related::page(documents, document, correlation),
    };
    let mut page = page.map_err(fail)?;
    if document.header.status == "deprecated" {
        page.gaps.push("its author calls it deprecated, because another rule takes its place".into());
    }
    if page.sql.len() > LONGEST_SQL {
        return Err(fail(format!("its SQL would have more than {LONGEST_SQL} bytes")));
    }
    let file = Path::new(source).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok((page::write(&document.header, &file, &page), page.gaps))
}

/// An id for a document that no other has: from its file's name, or from its title when the file has several.
fn unused(taken: &mut BTreeSet<String>, document: &Document, source: &str) -> String {
    let stem = Path::new(source).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let told = if document.number == 0 { header::snake(&stem) } else { header::snake(&document.header.title) };
    let base = format!("{PREFIX}{}", if told.is_empty() { "rule" } else { told.as_str() });
    let mut id = base.clone();
    let mut number = 2;
    while !taken.insert(id.clone()) {
        id = format!("{base}_{number}");
        number += 1;
    }
    id
}
