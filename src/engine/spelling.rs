//! Rewrites that let AWS's own spelling work: subscripts, quoted names, paths into JSON.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use datafusion::logical_expr::sqlparser::ast::{
    AccessExpr, BinaryOperator, Expr, Ident, ObjectName, ObjectNamePart, Select, SelectItem, Subscript, Value,
    VisitorMut,
};

use super::precedence::{is_json_operator, regroup, take};
use crate::table::{Kind, Table};

/// Names that the tables know, lower case.
pub struct Names {
    /// Tables and first levels of columns, each with whether something can stand below it.
    known: HashMap<String, bool>,
    /// Paths of JSON columns, levels separated by dots.
    json: HashSet<String>,
}

impl Names {
    /// The names of these tables.
    pub fn of(tables: impl Iterator<Item = &'static Table>) -> Names {
        let mut names = Names { known: HashMap::new(), json: HashSet::new() };
        for name in ["time", "date", "fresh"] {
            names.known.insert(name.into(), false);
        }
        for table in tables {
            names.known.entry(table.name.into()).or_default();
            names.known.extend(table.time_name.map(|name| (name.to_ascii_lowercase(), false)));
            for column in table.columns {
                let path = column.sql_path();
                let below = path.len() > 1 || matches!(column.kind, Kind::Json | Kind::List(_));
                if let Some(first) = path.first() {
                    *names.known.entry(first.clone()).or_default() |= below;
                }
                if column.kind == Kind::Json {
                    names.json.insert(path.join("."));
                }
            }
        }
        names
    }

    fn has_levels(&self, name: &str) -> bool {
        self.known.get(name).copied().unwrap_or(false)
    }
}

/// The rewrites, over one statement.
pub struct Spelling<'a> {
    pub names: &'a Names,
    /// Names that the statement defines itself.
    pub aliases: HashSet<String>,
}

/// One level of `userIdentity['sessionContext'].sessionIssuer` or `requestParameters.tags[0]`.
#[derive(Clone)]
enum Level {
    Name(Ident),
    Key(String),
    Index(Value),
}

impl Level {
    fn text(&self) -> String {
        match self {
            Level::Name(ident) => ident.value.clone(),
            Level::Key(key) => key.clone(),
            Level::Index(index) => index.to_string(),
        }
    }
}

impl VisitorMut for Spelling<'_> {
    type Break = ();

    /// `SELECT userIdentity.arn` gets the column name `useridentity_arn`, the one that the stored table has; a call gets the
    /// text of the call, without the table names that the planner would add.
    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let mut taken: HashSet<String> = HashSet::new();
        for item in &mut select.projection {
            let SelectItem::UnnamedExpr(expr) = item else { continue };
            let Some(name) = self.column_name(expr).or_else(|| call_text(expr)) else { continue };
            if taken.insert(name.clone()) {
                let expr = take(expr);
                *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', name) };
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<()> {
        for part in &mut relation.0 {
            if let ObjectNamePart::Identifier(ident) = part {
                self.fold(ident);
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(ident) => self.fold(ident),
            Expr::CompoundIdentifier(_) | Expr::CompoundFieldAccess { .. } => self.respell_path(expr),
            Expr::BinaryOp { op, .. } if is_json_operator(op) => regroup(expr),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Spelling<'_> {
    /// `"eventName"` in quotes means the column too, unless the statement has a name of its own that is spelled so.
    fn fold(&self, ident: &mut Ident) {
        if ident.quote_style.is_some() && !self.aliases.contains(&ident.value) {
            let lower = ident.value.to_lowercase();
            if lower != ident.value && self.names.known.contains_key(&lower) {
                ident.value = lower;
            }
        }
    }

    /// Index of the level that names a column with levels below: the first, or the second after a table or alias.
    fn column_at(&self, levels: &[Level]) -> Option<usize> {
        let first = levels.first()?.text();
        let is_alias = self.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(&first));
        let candidates = if is_alias { 1..2 } else { 0..2 };
        candidates.into_iter().find(|at| match levels.get(*at) {
            Some(Level::Name(ident)) => self.names.has_levels(&ident.value.to_lowercase()),
            _ => false,
        })
    }

    /// Number of levels from `start` that name a JSON column, when more levels follow.
    fn json_column(&self, levels: &[Level], start: usize) -> Option<usize> {
        let mut path = String::new();
        for (index, level) in levels.iter().enumerate().skip(start) {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&level.text().to_lowercase());
            if self.names.json.contains(&path) && index + 1 < levels.len() {
                return Some(index + 1);
            }
        }
        None
    }

    fn column_name(&self, expr: &Expr) -> Option<String> {
        let levels = levels(expr)?;
        let start = self.column_at(&levels)?;
        if levels.len() == start + 1 {
            return None;
        }
        let words: Vec<String> = levels.iter().skip(start).map(|level| level.text().to_lowercase()).collect();
        Some(words.join("_").replace(|c: char| !c.is_alphanumeric(), "_"))
    }

    fn respell_path(&self, expr: &mut Expr) {
        let Some(levels) = levels(expr) else { return };
        if let Some(start) = self.column_at(&levels) {
            if let Some(end) = self.json_column(&levels, start) {
                *expr = json_path(&levels, end);
                return;
            }
            match expr {
                Expr::CompoundFieldAccess { access_chain, .. } => access_chain.iter_mut().for_each(lower_key),
                Expr::CompoundIdentifier(parts) => parts.iter_mut().skip(start + 1).for_each(lower_name),
                _ => {}
            }
        }
        if let Expr::CompoundIdentifier(parts) = expr {
            parts.iter_mut().for_each(|ident| self.fold(ident));
        }
    }
}

/// The text of a function call. `unnest` makes columns of its own and keeps their names.
fn call_text(expr: &Expr) -> Option<String> {
    let Expr::Function(call) = expr else { return None };
    (!call.name.to_string().eq_ignore_ascii_case("unnest")).then(|| call.to_string())
}

/// The levels of a path that consists of names and constants only.
fn levels(expr: &Expr) -> Option<Vec<Level>> {
    match expr {
        Expr::Identifier(ident) => Some(vec![Level::Name(ident.clone())]),
        Expr::CompoundIdentifier(parts) => Some(parts.iter().cloned().map(Level::Name).collect()),
        Expr::CompoundFieldAccess { root, access_chain } => {
            let mut found = levels(root)?;
            for access in access_chain {
                found.push(match access {
                    AccessExpr::Dot(Expr::Identifier(ident)) => Level::Name(ident.clone()),
                    AccessExpr::Subscript(Subscript::Index { index: Expr::Value(value) }) => match &value.value {
                        Value::SingleQuotedString(key) => Level::Key(key.clone()),
                        number @ Value::Number(..) => Level::Index(number.clone()),
                        _ => return None,
                    },
                    _ => return None,
                });
            }
            Some(found)
        }
        _ => None,
    }
}

/// `column -> 'a' ->> 'b'` for the levels after the first `end`, which name the column.
fn json_path(levels: &[Level], end: usize) -> Expr {
    let (column, path) = levels.split_at(end);
    let mut names: Vec<Ident> = column.iter().map(|level| Ident::new(level.text())).collect();
    let mut value = match names.len() {
        1 => Expr::Identifier(names.remove(0)),
        _ => Expr::CompoundIdentifier(names),
    };
    for (index, level) in path.iter().enumerate() {
        let last = index + 1 == path.len();
        let key = match level {
            Level::Name(ident) => Value::SingleQuotedString(ident.value.clone()),
            Level::Key(key) => Value::SingleQuotedString(key.clone()),
            Level::Index(number) => number.clone(),
        };
        value = Expr::BinaryOp {
            left: Box::new(value),
            op: if last { BinaryOperator::LongArrow } else { BinaryOperator::Arrow },
            right: Box::new(Expr::Value(key.with_empty_span())),
        };
    }
    value
}

/// Fields of closed objects are lower case, however they are written.
fn lower_key(access: &mut AccessExpr) {
    match access {
        AccessExpr::Dot(Expr::Identifier(ident)) => lower_name(ident),
        AccessExpr::Subscript(Subscript::Index { index: Expr::Value(value) }) => {
            if let Value::SingleQuotedString(key) = &mut value.value {
                *key = key.to_lowercase();
            }
        }
        _ => {}
    }
}

fn lower_name(ident: &mut Ident) {
    ident.value = ident.value.to_lowercase();
}
