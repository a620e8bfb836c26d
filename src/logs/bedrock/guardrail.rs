//! What guardrails found: every container in which Converse and InvokeModel put their assessments.

use super::json::Json;

/// A guardrail's judgement of one invocation.
#[derive(Debug, Default)]
pub(super) struct Guardrail<'t> {
    pub(super) id: Option<&'t str>,
    pub(super) version: Option<&'t str>,
    /// What was detected, never the text that matched.
    pub(super) hits: Vec<Hit<'t>>,
    /// Id and version that the caller asked for: used when no assessment names them.
    asked: (Option<&'t str>, Option<&'t str>),
    seen: bool,
    intervened: bool,
}

/// One detection.
#[derive(Debug)]
pub(super) struct Hit<'t> {
    pub(super) policy: &'static str,
    pub(super) name: Option<&'t str>,
    pub(super) side: &'static str,
    pub(super) confidence: Option<&'t str>,
    pub(super) action: Option<&'t str>,
    pub(super) score: Option<f64>,
    pub(super) threshold: Option<f64>,
}

/// Lists of findings in an assessment: policy, list, and the name of the policy in our column.
const LISTS: [(&str, &str, &str); 8] = [
    ("topicPolicy", "topics", "topic"),
    ("contentPolicy", "filters", "content"),
    ("wordPolicy", "customWords", "word"),
    ("wordPolicy", "managedWordLists", "word"),
    ("sensitiveInformationPolicy", "piiEntities", "pii"),
    ("sensitiveInformationPolicy", "regexes", "regex"),
    ("contextualGroundingPolicy", "filters", "grounding"),
    ("automatedReasoningPolicy", "findings", "reasoning"),
];

/// Levels between a container and the assessments in it: a list or an object keyed by guardrail id, each at most twice.
const LEVELS: u8 = 4;

impl<'t> Guardrail<'t> {
    /// Reads which guardrail the request asked for.
    pub(super) fn configured(&mut self, request: &'t Json<'t>) {
        let Some(config) = request.any(&["guardrailConfig", "amazon-bedrock-guardrailConfig"]) else { return };
        let id = config.any(&["guardrailIdentifier", "guardrailId"]).and_then(Json::text);
        self.asked = (id, config.text_of("guardrailVersion"));
    }

    /// Reads what an answer, or an element of a stream, says about guardrails.
    pub(super) fn judged(&mut self, answer: &'t Json<'t>) {
        self.action(answer.text_of("amazon-bedrock-guardrailAction"));
        for trace in [answer.get("trace"), answer.get("amazon-bedrock-trace")].into_iter().flatten() {
            let Some(trace) = trace.get("guardrail") else { continue };
            self.seen = true;
            self.action(trace.text_of("action"));
            for (key, side) in [
                ("inputAssessment", "input"),
                ("input", "input"),
                ("outputAssessments", "output"),
                ("outputs", "output"),
            ] {
                if let Some(assessments) = trace.get(key) {
                    self.assessments(assessments, side, None, LEVELS);
                }
            }
        }
    }

    /// Id of the guardrail.
    pub(super) fn id(&self) -> Option<&'t str> {
        self.id.or(self.asked.0)
    }

    /// Version of the guardrail.
    pub(super) fn version(&self) -> Option<&'t str> {
        self.version.or(self.asked.1)
    }

    /// `INTERVENED`, `NONE`, or nothing when the log does not show that a guardrail judged.
    pub(super) fn verdict(&self) -> Option<&'static str> {
        match (self.intervened, self.seen) {
            (true, _) => Some("INTERVENED"),
            (false, true) => Some("NONE"),
            (false, false) => None,
        }
    }

    /// Takes the word for what the guardrail did, wherever it stands: `INTERVENED`, `GUARDRAIL_INTERVENED`, `NONE`.
    pub(super) fn action(&mut self, action: Option<&str>) {
        let Some(action) = action else { return };
        self.seen = true;
        self.intervened |= action.contains("INTERVENED");
    }

    fn assessments(&mut self, value: &'t Json<'t>, side: &'static str, id: Option<&'t str>, levels: u8) {
        let Some(levels) = levels.checked_sub(1) else { return };
        for item in value.items() {
            self.assessments(item, side, id, levels);
        }
        let is_assessment = LISTS.iter().any(|(policy, ..)| value.get(policy).is_some())
            || value.any(&["invocationMetrics", "appliedGuardrailDetails"]).is_some();
        if is_assessment {
            return self.assessment(value, side, id);
        }
        for (key, item) in value.fields() {
            self.assessments(item, side, Some(key), levels);
        }
    }

    fn assessment(&mut self, assessment: &'t Json<'t>, side: &'static str, id: Option<&'t str>) {
        self.seen = true;
        let applied = assessment.get("appliedGuardrailDetails");
        let applied_id = applied.and_then(|details| details.text_of("guardrailId"));
        self.id = self.id.or(applied_id).or(id);
        self.version = self.version.or(applied.and_then(|details| details.text_of("guardrailVersion")));
        for (policy, list, name) in LISTS {
            let Some(findings) = assessment.at(&[policy, list]) else { continue };
            for finding in findings.items() {
                let hit = if name == "reasoning" { reasoning(finding, side) } else { hit(finding, name, side) };
                let Some(hit) = hit else { continue };
                self.intervened |= matches!(hit.action, Some("BLOCKED" | "ANONYMIZED"));
                self.hits.push(hit);
            }
        }
    }
}

/// A finding that is a detection. Full traces also list what was looked for and not found, and older ones do not say
/// `detected`.
fn hit<'t>(finding: &'t Json<'t>, policy: &'static str, side: &'static str) -> Option<Hit<'t>> {
    let action = finding.text_of("action");
    let confidence = finding.text_of("confidence");
    let score = finding.get("score").and_then(Json::double);
    let threshold = finding.get("threshold").and_then(Json::double);
    let stopped = action.is_some_and(|action| action != "NONE");
    let detected = match finding.get("detected").and_then(Json::bool) {
        Some(detected) => detected,
        None if policy == "grounding" => score < threshold,
        None => confidence != Some("NONE"),
    };
    if !stopped && !detected {
        return None;
    }
    // Own words have no name but the matched text itself.
    let name = finding.any(&["name", "type"]).and_then(Json::text).or((policy == "word").then_some("CUSTOM"));
    Some(Hit { policy, name, side, confidence, action, score, threshold })
}

/// A finding of automated reasoning: its one key says what was found; `valid` is nothing to report.
fn reasoning<'t>(finding: &'t Json<'t>, side: &'static str) -> Option<Hit<'t>> {
    let (name, _) = finding.fields().first()?;
    let hit = Hit {
        policy: "reasoning",
        name: Some(name),
        side,
        confidence: None,
        action: None,
        score: None,
        threshold: None,
    };
    (*name != "valid").then_some(hit)
}
