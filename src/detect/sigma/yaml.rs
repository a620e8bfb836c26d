//! YAML documents as trees with line numbers, within limits that hostile files cannot exceed.

use std::collections::{HashMap, HashSet};

use granit_parser::{Event, Parser, ScalarStyle};

/// Bytes of a file. The longest published rules have some ten thousand.
pub const MOST_BYTES: usize = 2 << 20;
/// Nodes of a file, those that aliases repeat included.
const MOST_NODES: usize = 50_000;
/// Levels of nesting.
const DEEPEST: usize = 32;

/// A node and the line on which it begins, from 1.
#[derive(Debug, Clone)]
pub struct Node {
    /// Line of the node in its file.
    pub line: usize,
    /// What it is.
    pub value: Value,
}

/// Value of a node.
#[derive(Debug, Clone)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, and how it was written.
    Number(f64, String),
    /// Text.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in the order of the file; keys are unique.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// The value of `key`, when this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// The entries of a mapping; none for anything else.
    pub fn entries(&self) -> &[(String, Node)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list, or the node itself.
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => std::slice::from_ref(self),
        }
    }

    /// Text, or a number or boolean as it is written; none for null, lists and mappings.
    pub fn text(&self) -> Option<String> {
        match &self.value {
            Value::Text(text) | Value::Number(_, text) => Some(text.clone()),
            Value::Bool(value) => Some(value.to_string()),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// The number, also one between quotes.
    pub fn number(&self) -> Option<f64> {
        match &self.value {
            Value::Number(number, _) => Some(*number),
            Value::Text(text) => number(text),
            _ => None,
        }
    }

    /// Texts of a list, or of one value; what is not text is left out.
    pub fn texts(&self) -> Vec<String> {
        self.items()
            .iter()
            .filter_map(Node::text)
            .map(|text| text.trim().to_owned())
            .filter(|t| !t.is_empty())
            .collect()
    }
}

/// What cannot be read: line and reason.
pub type Fault = (usize, String);

/// A collection that is being read.
struct Open {
    line: usize,
    anchor: usize,
    is_map: bool,
    key: Option<String>,
    keys: HashSet<String>,
    items: Vec<Node>,
    entries: Vec<(String, Node)>,
}

/// The documents of a file; the error says where and why it is no usable YAML.
pub fn read(text: &str) -> Result<Vec<Node>, Fault> {
    if text.len() > MOST_BYTES {
        return Err((1, format!("the file has more than {MOST_BYTES} bytes; a Sigma rule is far shorter")));
    }
    let mut reader = Reader { documents: Vec::new(), open: Vec::new(), anchors: HashMap::new(), nodes: 0 };
    for next in Parser::new_from_str(text) {
        let (event, span) = next.map_err(|error| (error.marker().line(), format!("not YAML: {}", error.info())))?;
        reader.take(event, span.start.line())?;
    }
    Ok(reader.documents)
}

struct Reader {
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
}

impl Reader {
    fn take(&mut self, event: Event<'_>, line: usize) -> Result<(), Fault> {
        match event {
            Event::DocumentStart(..) => self.anchors.clear(),
            Event::Scalar(text, style, anchor, _) => {
                let node = Node { line, value: scalar(&text, style) };
                self.count(1, line)?;
                self.put(node, 1, anchor)?;
            }
            Event::SequenceStart(_, anchor, _) => self.begin(line, anchor, false)?,
            Event::MappingStart(_, anchor, _) => self.begin(line, anchor, true)?,
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(done) = self.open.pop() else { return Ok(()) };
                let value = if done.is_map { Value::Map(done.entries) } else { Value::List(done.items) };
                let node = Node { line: done.line, value };
                let size = if done.anchor == 0 { 0 } else { size(&node) };
                self.put(node, size, done.anchor)?;
            }
            Event::Alias(anchor) => {
                let Some((_, size)) = self.anchors.get(&anchor) else {
                    return Err((line, "an alias stands inside what it names".into()));
                };
                let size = *size;
                self.count(size, line)?;
                let Some((node, _)) = self.anchors.get(&anchor).cloned() else { return Ok(()) };
                if self.open.len() + depth(&node) > DEEPEST {
                    return Err((line, format!("nested more than {DEEPEST} levels deep")));
                }
                self.put(node, size, 0)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn count(&mut self, more: usize, line: usize) -> Result<(), Fault> {
        self.nodes = self.nodes.saturating_add(more);
        if self.nodes > MOST_NODES {
            return Err((
                line,
                format!("more than {MOST_NODES} values, aliases counted each time; no Sigma rule needs that"),
            ));
        }
        Ok(())
    }

    fn begin(&mut self, line: usize, anchor: usize, is_map: bool) -> Result<(), Fault> {
        self.count(1, line)?;
        if self.open.len() >= DEEPEST {
            return Err((line, format!("nested more than {DEEPEST} levels deep")));
        }
        let (keys, items, entries) = (HashSet::new(), Vec::new(), Vec::new());
        self.open.push(Open { line, anchor, is_map, key: None, keys, items, entries });
        Ok(())
    }

    /// Puts a finished node into the collection that is being read, as key or value.
    fn put(&mut self, node: Node, size: usize, anchor: usize) -> Result<(), Fault> {
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(parent) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        if !parent.is_map {
            parent.items.push(node);
            return Ok(());
        }
        match parent.key.take() {
            Some(key) => parent.entries.push((key, node)),
            None => {
                let Some(key) = node.text().or_else(|| matches!(node.value, Value::Null).then(String::new)) else {
                    return Err((node.line, "a key is a list or a mapping; keys are text".into()));
                };
                if !parent.keys.insert(key.clone()) {
                    return Err((node.line, format!("the key '{key}' is there twice")));
                }
                parent.key = Some(key);
            }
        }
        Ok(())
    }
}

fn size(node: &Node) -> usize {
    let inner: usize = match &node.value {
        Value::List(items) => items.iter().map(size).sum(),
        Value::Map(entries) => entries.iter().map(|(_, node)| 1 + size(node)).sum(),
        _ => 0,
    };
    1 + inner
}

fn depth(node: &Node) -> usize {
    let inner = match &node.value {
        Value::List(items) => items.iter().map(depth).max(),
        Value::Map(entries) => entries.iter().map(|(_, node)| depth(node)).max(),
        _ => return 0,
    };
    1 + inner.unwrap_or(0)
}

/// A scalar by the core schema of YAML 1.2: what is quoted is text.
fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::Text(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => match number(text) {
            Some(number) => Value::Number(number, text.to_owned()),
            None => Value::Text(text.to_owned()),
        },
    }
}

/// A decimal number; `inf`, `nan` and other words are text.
fn number(text: &str) -> Option<f64> {
    let numeric = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
    if !text.chars().all(numeric) || !text.chars().any(|c| c.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}
