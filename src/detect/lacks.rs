//! Which evidence a finding lacks: logs and categories that would have confirmed or refuted it, and are not there.

use std::collections::HashMap;

use super::coverage::{Coverage, Place};
use super::scope::Scope;
use crate::findings::Finding;

/// Entries that a finding carries.
const MOST_LACKS: usize = 5;

/// Services whose use is seen in Data events alone: the name that people know, and what stays unknown without them.
const SERVICES: [(&str, &str, &str); 3] = [
    ("bedrock.amazonaws.com", "Bedrock", "calls of agents, flows and knowledge bases are unknown"),
    ("bedrock-agentcore.amazonaws.com", "AgentCore", "sessions, memories and tool calls of agents are unknown"),
    ("sagemaker.amazonaws.com", "SageMaker", "calls of endpoints are unknown"),
];

impl Coverage {
    /// Writes into each finding what it lacks.
    pub fn tell(&self, findings: &mut [Finding]) {
        let mut told: HashMap<(Option<String>, Option<String>), Vec<String>> = HashMap::new();
        for finding in findings {
            let place = (finding.account_id.clone(), finding.region.clone());
            let lacks = told
                .entry(place)
                .or_insert_with(|| self.lacking(finding.account_id.as_deref(), finding.region.as_deref()));
            finding.lacks = lacks.clone();
        }
    }

    /// What is not visible of an account and Region, what matters most first, 5 entries at most.
    ///
    /// Text that models read and wrote counts as missing only where models were called, and Data events of a service only
    /// where the service is in use; who acted, which objects were read and where data went are asked of every account.
    /// A finding without an account, or about one that no log names, is measured against all rows.
    fn lacking(&self, account: Option<&str>, region: Option<&str>) -> Vec<String> {
        let known = account.filter(|account| self.names(account));
        let place =
            known.map(|account| Place { account: account.to_owned(), region: region.unwrap_or_default().to_owned() });
        let here = |log| place.as_ref().map_or(Scope::whole(self, log), |place| Scope::of_place(self, log, place));
        let of_account = |log| known.map_or(Scope::whole(self, log), |account| Scope::of_account(self, log, account));
        let (account_name, place_name) = match (&place, region) {
            (None, _) => (String::new(), String::new()),
            (Some(place), None) => (format!(" of {}", place.account), format!(" of {}", place.account)),
            (Some(place), Some(region)) => {
                (format!(" of {}", place.account), format!(" of {} {region}", place.account))
            }
        };
        let mut lacks = Vec::new();
        let (trail, called, logged) = (of_account("cloudtrail"), here("cloudtrail").invokes(), here("bedrock"));
        if !trail.has("Management", None) {
            lacks.push(format!("no Management events{account_name}: who did what is unknown"));
        }
        if called && !logged.any() {
            lacks.push(format!("no invocation log{place_name}: prompts and completions are unknown"));
        } else if logged.any() && !logged.invokes() {
            lacks.push(format!("no text in the invocation log{place_name}: prompts and completions are unknown"));
        }
        if !trail.has("Data", Some("s3.amazonaws.com")) {
            lacks.push(format!("no S3 data events{account_name}: reads of objects are unknown"));
        }
        if !of_account("vpcflow").any() {
            lacks.push(format!("no flow logs{account_name}: where data went is unknown"));
        }
        for (service, name, unknown) in SERVICES {
            if trail.uses(service) && !trail.has("Data", Some(service)) {
                lacks.push(format!("no {name} data events{account_name}: {unknown}"));
            }
        }
        lacks.truncate(MOST_LACKS);
        lacks
    }
}
