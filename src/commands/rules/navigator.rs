//! Rules as a layer of the ATT&CK Navigator, or of its fork for ATLAS.
//!
//! The format is version 4.5 of <https://github.com/mitre-attack/attack-navigator/blob/master/layers/LAYERFORMATv4_5.md>;
//! what the fork reads is seen in the layers of <https://github.com/mitre-atlas/atlas-navigator-data>.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::detect::Rule;

/// Edition of ATT&CK whose ids the rules carry.
const ATTACK_VERSION: &str = "18";
/// Colour of a technique with one rule, and of the one with the most.
const COLOURS: [&str; 2] = ["#cfe8ff", "#08519c"];

/// A layer of ATT&CK for enterprises.
pub fn attack(rules: &[&Rule]) -> Value {
    let mut layer = layer("ATT&CK", rules, |rule| &rule.attack);
    layer["domain"] = "enterprise-attack".into();
    layer["versions"] = json!({"attack": ATTACK_VERSION, "navigator": "5.1.0", "layer": "4.5"});
    layer["layout"] = json!({"layout": "side", "showID": true, "expandedSubtechniques": "annotated"});
    layer
}

/// A layer of ATLAS. Its navigator does not know how to unfold what is annotated.
pub fn atlas(rules: &[&Rule]) -> Value {
    let mut layer = layer("ATLAS", rules, |rule| &rule.atlas);
    layer["domain"] = "atlas-atlas".into();
    layer["versions"] = json!({"navigator": "4.6.4", "layer": "4.3"});
    if let Some(techniques) = layer["techniques"].as_array_mut() {
        unfold(techniques);
    }
    layer
}

/// What both layers have.
fn layer(matrix: &str, rules: &[&Rule], ids: fn(&Rule) -> &Vec<String>) -> Value {
    let mut looked_for: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let tagged = rules.iter().filter(|rule| !ids(rule).is_empty()).count();
    for rule in rules {
        for technique in ids(rule) {
            looked_for.entry(technique).or_default().insert(&rule.id);
        }
    }
    // The bounds of a gradient have to differ.
    let most = looked_for.values().map(BTreeSet::len).max().unwrap_or_default().max(2);
    let mut techniques: Vec<Value> = Vec::new();
    for (technique, by) in &looked_for {
        let comment = by.iter().copied().collect::<Vec<_>>().join(", ");
        techniques.push(json!({"techniqueID": technique, "score": by.len(), "comment": comment, "enabled": true}));
    }
    let [few, many] = COLOURS;
    let (all, version) = (rules.len(), env!("CARGO_PKG_VERSION"));
    json!({
        "name": format!("Trailhound rules: {matrix}"),
        "description": format!(
            "Techniques that {tagged} of {all} detection rules of Trailhound {version} look for. A rule sees some forms of \
             a technique; the score is the number of rules."
        ),
        "sorting": 3,
        "hideDisabled": false,
        "techniques": techniques,
        "gradient": {"colors": COLOURS, "minValue": 1, "maxValue": most},
        "legendItems": [{"label": "1 rule", "color": few}, {"label": format!("{most} rules"), "color": many}],
    })
}

/// Shows sub-techniques, which are folded away unless their technique is there and says otherwise.
fn unfold(techniques: &mut Vec<Value>) {
    let id = |technique: &Value| technique["techniqueID"].as_str().unwrap_or_default().to_owned();
    // `AML.T0051.000` is a part of `AML.T0051`.
    let parent = |id: String| id.rsplit_once('.').map(|(parent, _)| parent.to_owned()).filter(|id| id.contains('.'));
    let mut parents: BTreeSet<String> = techniques.iter().filter_map(|technique| parent(id(technique))).collect();
    for technique in techniques.iter_mut() {
        if parents.remove(&id(technique)) {
            technique["showSubtechniques"] = true.into();
        }
    }
    techniques
        .extend(parents.into_iter().map(|id| json!({"techniqueID": id, "enabled": true, "showSubtechniques": true})));
}
