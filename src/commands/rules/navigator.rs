//! Rules as a layer of the ATT&CK Navigator, or of its fork for ATLAS.
//!
//! The format is version 4.5 of <https://github.com/mitre-attack/attack-navigator/blob/master/layers/LAYERFORMATv4_5.md>;
//! what the fork reads is seen in the layers of <https://github.com/mitre-atlas/atlas-navigator-data>.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};

use crate::detect::Rule;

/// Edition of ATT&CK whose ids the rules carry.
const ATTACK_VERSION: &str = "18";
/// Colour of a technique with one rule, and of the one with the most.
const COLOURS: [&str; 2] = ["#cfe8ff", "#08519c"];

/// A layer of ATT&CK for enterprises.
pub fn attack(rules: &[&Rule]) -> Value {
    let versions = json!({"attack": ATTACK_VERSION, "navigator": "5.1.0", "layer": "4.5"});
    let layout = json!({"layout": "side", "showID": true, "expandedSubtechniques": "annotated"});
    let techniques = techniques(rules, |rule| &rule.attack);
    layer("ATT&CK", "enterprise-attack", versions, layout, techniques, rules.len())
}

/// A layer of ATLAS.
pub fn atlas(rules: &[&Rule]) -> Value {
    let versions = json!({"navigator": "4.6.4", "layer": "4.3"});
    let layout = json!({"layout": "side", "showID": true});
    let mut techniques = techniques(rules, |rule| &rule.atlas);
    unfold(&mut techniques);
    layer("ATLAS", "atlas-atlas", versions, layout, techniques, rules.len())
}

/// A technique of a layer.
#[derive(Serialize)]
struct Technique {
    #[serde(rename = "techniqueID")]
    id: String,
    enabled: bool,
    /// Rules that look for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<usize>,
    #[serde(skip_serializing_if = "String::is_empty")]
    comment: String,
    #[serde(rename = "showSubtechniques", skip_serializing_if = "Option::is_none")]
    unfolded: Option<bool>,
}

fn techniques(rules: &[&Rule], ids: fn(&Rule) -> &Vec<String>) -> Vec<Technique> {
    let mut looked_for: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for rule in rules {
        for technique in ids(rule) {
            looked_for.entry(technique).or_default().insert(&rule.id);
        }
    }
    let technique = |(id, by): (&str, BTreeSet<&str>)| Technique {
        id: id.to_owned(),
        enabled: true,
        score: Some(by.len()),
        comment: by.into_iter().collect::<Vec<_>>().join(", "),
        unfolded: None,
    };
    looked_for.into_iter().map(technique).collect()
}

/// Shows sub-techniques. The navigator of ATLAS folds them away unless their technique is there and says otherwise.
fn unfold(techniques: &mut Vec<Technique>) {
    // `AML.T0051.000` is a part of `AML.T0051`.
    let parent = |id: &str| id.rsplit_once('.').map(|(parent, _)| parent.to_owned()).filter(|id| id.contains('.'));
    let mut parents: BTreeSet<String> = techniques.iter().filter_map(|technique| parent(&technique.id)).collect();
    for technique in techniques.iter_mut() {
        technique.unfolded = parents.remove(&technique.id).then_some(true);
    }
    let unscored =
        |id: String| Technique { id, enabled: true, score: None, comment: String::new(), unfolded: Some(true) };
    techniques.extend(parents.into_iter().map(unscored));
}

fn layer(
    matrix: &str,
    domain: &str,
    versions: Value,
    layout: Value,
    techniques: Vec<Technique>,
    rules: usize,
) -> Value {
    // The bounds of a gradient have to differ.
    let most = techniques.iter().filter_map(|technique| technique.score).max().unwrap_or_default().max(2);
    let [few, many] = COLOURS;
    json!({
        "name": format!("Trailhound rules: {matrix}"),
        "description": format!(
            "Techniques that {rules} detection rules of Trailhound {} look for. A rule sees some forms of a technique; the \
             score is the number of rules.",
            env!("CARGO_PKG_VERSION")
        ),
        "versions": versions,
        "domain": domain,
        "layout": layout,
        "sorting": 3,
        "hideDisabled": false,
        "techniques": techniques,
        "gradient": {"colors": COLOURS, "minValue": 1, "maxValue": most},
        "legendItems": [{"label": "1 rule", "color": few}, {"label": format!("{most} rules"), "color": many}],
    })
}
