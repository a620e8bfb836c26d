//! A rule file as written: read strictly, so that mistakes name file, line and remedy.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use toml::Spanned;

use super::chain::Link;
use super::params::Param;
use super::spelling;
use super::steps::StepPage;
use crate::error::Error;
use crate::findings::{Confidence, Purpose, Severity};

/// Keys of a rule file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    pub title: String,
    pub severity: Severity,
    pub confidence: Confidence,
    pub kind: Purpose,
    pub logs: Vec<String>,
    #[serde(default)]
    pub needs: Vec<String>,
    #[serde(default)]
    pub threats: Vec<String>,
    #[serde(default)]
    pub atlas: Vec<String>,
    #[serde(default)]
    pub attack: Vec<String>,
    #[serde(default)]
    pub owasp: Vec<String>,
    pub layer: Layer,
    pub phase: Phase,
    #[serde(default)]
    pub controls: Vec<String>,
    pub why: String,
    pub gaps: String,
    pub false_positives: Vec<String>,
    pub triage: Vec<String>,
    #[serde(default)]
    pub respond: Vec<String>,
    #[serde(default)]
    pub references: Vec<String>,
    #[serde(default)]
    pub params: BTreeMap<String, Param>,
    pub entity: Vec<String>,
    pub lookback: String,
    pub quiet: String,
    #[serde(default)]
    pub sql: String,
    #[serde(default)]
    pub span: Option<String>,
    #[serde(default)]
    pub links: Vec<Link>,
    #[serde(default)]
    pub step: Vec<StepPage>,
    #[serde(default)]
    pub test: Vec<TestPage>,
}

/// Keys of a `[[test]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestPage {
    pub name: String,
    pub fires: bool,
    pub fresh_from: Option<String>,
    #[serde(default)]
    pub rules: Vec<String>,
    pub events: Vec<Spanned<Node>>,
}

/// Layer of the AI security framework that a rule watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// Networks, compute, logging.
    Infrastructure,
    /// Identities and data.
    Identity,
    /// Models, guardrails, agents, prompts.
    Application,
}

/// Phase of the AI security framework from which the rule matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// From the first experiment on.
    Prototype,
    /// From production on.
    Production,
    /// At scale.
    Scale,
}

impl Layer {
    /// The word that rules and outputs use.
    pub fn as_str(self) -> &'static str {
        match self {
            Layer::Infrastructure => "infrastructure",
            Layer::Identity => "identity",
            Layer::Application => "application",
        }
    }
}

impl Phase {
    /// The word that rules and outputs use.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Prototype => "prototype",
            Phase::Production => "production",
            Phase::Scale => "scale",
        }
    }
}

/// A value of a test event. Tables keep the place where each value was written, which tells `a = { b = 1 }` (a whole value)
/// from `a.b = 1` (a path to one).
#[derive(Debug, Clone)]
pub enum Node {
    /// Anything but a table.
    Plain(Value),
    /// A table.
    Table(Vec<(String, Spanned<Node>)>),
}

impl Node {
    /// The node as a JSON value, tables as objects.
    pub fn to_json(&self) -> Value {
        match self {
            Node::Plain(value) => value.clone(),
            Node::Table(entries) => {
                Value::Object(entries.iter().map(|(key, node)| (key.clone(), node.get_ref().to_json())).collect())
            }
        }
    }
}

/// Key under which the TOML reader hands over dates, which have no type of their own in serde.
const DATE_KEY: &str = "$__toml_private_datetime";

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of an event")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Plain(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Plain(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Plain(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Plain(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Plain(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut values = Vec::new();
        while let Some(item) = items.next_element::<Node>()? {
            values.push(item.to_json());
        }
        Ok(Node::Plain(Value::Array(values)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            if key == DATE_KEY {
                return Ok(Node::Plain(map.next_value::<String>()?.into()));
            }
            entries.push((key, map.next_value()?));
        }
        Ok(Node::Table(entries))
    }
}

/// Reads a rule file; `file` names it in errors.
pub fn read(file: &str, text: &str) -> Result<Page, Error> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line(text, span.start));
        mistake(file, line, &explain(error.message()))
    })
}

/// The text before the first test, which is what a hunt needs of a rule file whose tests come last.
pub fn without_tests(text: &str) -> &str {
    let end = text.find("\n[[test]]").map_or(text.len(), |place| place + 1);
    text.get(..end).unwrap_or(text)
}

/// A mistake in a rule file, at a line that counts from 1.
pub fn mistake(file: &str, line: usize, message: &str) -> Error {
    Error::Rule(format!("{file}:{line}: {message}"))
}

/// Line of a byte of `text`, from 1.
pub fn line(text: &str, byte: usize) -> usize {
    1 + text.bytes().take(byte).filter(|b| *b == b'\n').count()
}

/// Line on which `key` is set at the start of a line, or the first one.
pub fn line_of(text: &str, key: &str) -> usize {
    let set = |line: &str| line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='));
    text.lines().position(set).map_or(1, |index| index + 1)
}

/// The TOML reader's message in our words, with a remedy.
fn explain(message: &str) -> String {
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let (first, others) = names.split_first().map_or(("", &[][..]), |(first, others)| (*first, others));
    if message.starts_with("unknown field") {
        let remedy = match spelling::nearest(first, others.iter().copied()) {
            Some(known) => format!("did you mean '{known}'?"),
            None => format!("keys are {}", others.join(", ")),
        };
        return format!("unknown key '{first}'; {remedy}");
    }
    if message.starts_with("unknown variant") {
        return format!(
            "'{first}' is not one of {}{}",
            others.join(", "),
            spelling::hint(first, others.iter().copied())
        );
    }
    if message.starts_with("missing field") {
        return format!("the key '{first}' is missing; add `{first} = ...`");
    }
    if message.contains("untagged enum") {
        return "a parameter is a number, a text, a boolean or a list of texts".into();
    }
    message.trim_end().replace('\n', "; ")
}
