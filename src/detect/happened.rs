//! Kinds of events in a window: by them, most built-in rules are known to find nothing before their SQL is read.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::Duration;
use datafusion::arrow::array::{AsArray, RecordBatch};
use futures::future::try_join;
use serde::{Deserialize, Serialize};

use super::{Rule, cells};
use crate::engine::{Engine, Value, Values, Window, sql_error};
use crate::error::{Error, Result};

/// Rule id -> what it wants, for built-in rules that want events of some kinds alone. Made from the rules by the test below.
static WANTED: &str = include_str!("../../detections/kinds.json");

/// Kinds of CloudTrail events, one of which has to be there for a rule to find something.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Wanted {
    /// Version of the rule that this is true of: parameters decide it too.
    version: String,
    /// Places where it reads the table.
    places: usize,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    eventname: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    eventsource: BTreeSet<String>,
}

/// What happened in a window.
#[derive(Debug)]
pub struct Happened {
    wanted: BTreeMap<String, Wanted>,
    /// Names and sources that some rule wants, of events that happened.
    kinds: HashSet<String>,
}

impl Happened {
    /// Reads names and sources of the events in the window itself.
    pub async fn within(engine: &Engine, window: &Window) -> Result<Happened> {
        let engine = engine.windowed(&Window { lookback: Duration::zero(), ..window.clone() }).await?;
        let wanted: BTreeMap<String, Wanted> =
            serde_json::from_str(WANTED).map_err(|error| Error::Rule(format!("detections/kinds.json: {error}")))?;
        let (names, sources) = try_join(
            seen(&engine, "eventname", wanted.values().flat_map(|wanted| &wanted.eventname)),
            seen(&engine, "eventsource", wanted.values().flat_map(|wanted| &wanted.eventsource)),
        )
        .await?;
        Ok(Happened { wanted, kinds: names.into_iter().chain(sources).collect() })
    }

    /// How many places of `rule` need not be looked at, since nothing happened that it wants; none when its SQL has to tell.
    pub fn quiet_places(&self, rule: &Rule) -> Option<usize> {
        let wanted = self.wanted.get(&rule.id).filter(|wanted| wanted.version == rule.version())?;
        let mut kinds = wanted.eventname.iter().chain(&wanted.eventsource);
        (!kinds.any(|kind| self.kinds.contains(kind))).then_some(wanted.places)
    }
}

/// Those of `kinds` that some event has in `column`.
async fn seen<'a>(engine: &Engine, column: &str, kinds: impl Iterator<Item = &'a String>) -> Result<Vec<String>> {
    if engine.tables().all(|table| table.name != "cloudtrail") {
        return Ok(Vec::new());
    }
    let kinds: BTreeSet<&String> = kinds.collect();
    let kinds = Value::Texts(kinds.into_iter().cloned().collect());
    let sql = format!("SELECT DISTINCT {column} FROM cloudtrail WHERE {column} IN ($kinds)");
    let frame = engine.sql_with(&sql, &Values::from([("kinds".into(), kinds)])).await?;
    let batches = frame.collect().await.map_err(sql_error)?;
    Ok(batches.iter().flat_map(texts).collect())
}

/// Texts of the first column.
fn texts(batch: &RecordBatch) -> Vec<String> {
    let column = batch.columns().first().map(cells::readable);
    let texts = column.as_ref().and_then(|column| column.as_string_opt::<i32>());
    texts.into_iter().flatten().flatten().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::detect::Shelf;
    use crate::detect::question::tests::wanted_by_built_in;
    use crate::detect::scan::Leaf;

    /// What `rule` wants where it reads tables; none when it wants more than kinds of CloudTrail events.
    fn wanted(rule: &Rule, leaves: &[Arc<Leaf>]) -> Option<Wanted> {
        let mut wanted = Wanted { version: rule.version(), places: leaves.len(), ..Wanted::default() };
        for leaf in leaves {
            match (leaf.keys.values("eventname"), leaf.keys.values("eventsource")) {
                (Some(names), _) => wanted.eventname.extend(names.iter().cloned()),
                (None, Some(sources)) => wanted.eventsource.extend(sources.iter().cloned()),
                (None, None) => return None,
            }
        }
        Some(wanted)
    }

    #[test]
    fn rules_are_quiet_that_want_other_kinds_and_are_as_they_were() {
        let shelf = Shelf::built_in().expect("rules");
        let rule = shelf.get("asked_for_model_quota").expect("a rule");
        let happened = |kinds: &[&str]| Happened {
            wanted: serde_json::from_str(WANTED).expect("JSON"),
            kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
        };
        assert_eq!(happened(&["InvokeModel", "s3.amazonaws.com"]).quiet_places(rule), Some(1));
        assert_eq!(happened(&["RequestServiceQuotaIncrease"]).quiet_places(rule), None);
        let mut changed = rule.clone();
        changed.sql = rule.sql.replace("RequestServiceQuotaIncrease", "GetServiceQuota");
        assert_eq!(happened(&[]).quiet_places(&changed), None, "its SQL has to tell");
    }

    #[test]
    fn kinds_are_those_that_the_rules_want() {
        let mut made = BTreeMap::new();
        for (rule, leaves) in wanted_by_built_in() {
            made.extend(leaves.and_then(|leaves| Some((rule.id.clone(), wanted(&rule, &leaves)?))));
        }
        let lines: Vec<String> = made
            .iter()
            .map(|(id, wanted)| format!("{}: {}", serde_json::json!(id), serde_json::json!(wanted)))
            .collect();
        let text = format!("{{\n{}\n}}\n", lines.join(",\n"));
        if std::env::var_os("UPDATE").is_some() {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("detections/kinds.json");
            return std::fs::write(path, text).expect("a file");
        }
        assert!(WANTED == text, "detections/kinds.json is stale: run UPDATE=1 cargo test --lib kinds");
    }
}
