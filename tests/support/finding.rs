//! A plain finding, which tests change where they have to.

use std::sync::Arc;

use trailhound::findings::{Confidence, Finding, Origin, Purpose, Severity};

/// A finding of `stopped_trail` about an account of ours and nobody in particular; `number` makes its id.
pub fn finding(number: usize) -> Finding {
    let rule = Origin {
        rule_id: "stopped_trail".into(),
        rule_version: "1".into(),
        title: "A trail was stopped".into(),
        severity: Severity::High,
        confidence: Confidence::High,
        kind: Purpose::Threat,
        layer: "infrastructure".into(),
        phase: "production".into(),
        atlas: vec![],
        attack: vec!["T1562.008".into()],
        owasp: vec![],
        threats: vec![],
        controls: vec![],
        triage: vec![],
        respond: vec![],
        false_positives: vec![],
        why: "It hides what follows.".into(),
    };
    let time = "2026-10-01T12:00:00Z".parse().expect("a time");
    Finding {
        finding_id: format!("{number:032x}"),
        rule: Arc::new(rule),
        first_seen: time,
        last_seen: time,
        account_id: Some("111122223333".into()),
        region: None,
        principal: None,
        access_key_id: None,
        source_ip: None,
        user_agent: None,
        model_id: None,
        resource: None,
        event_count: 1,
        created_at: time,
        run_id: "run".into(),
        event_ids: vec![],
        request_ids: vec![],
        children: vec![],
        entities: serde_json::Map::new(),
        lacks: vec![],
        evidence: vec![],
        silenced: None,
    }
}
