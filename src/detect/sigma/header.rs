//! What a Sigma rule says about itself: names, author, licence, level, tags.

use super::yaml::Node;

/// Licence of rules that do not name another: that of the public Sigma rules.
const LICENCE: &str = "DRL-1.1";

/// Keys of a Sigma document that do not decide what it matches.
#[derive(Debug, Clone, Default)]
pub struct Header {
    /// Title.
    pub title: String,
    /// Id, usually a UUID.
    pub id: Option<String>,
    /// Name by which correlations call it.
    pub name: Option<String>,
    /// Author.
    pub author: String,
    /// Licence.
    pub licence: String,
    /// Date of the last change, or of the first version.
    pub date: String,
    /// Status: stable, test, experimental, deprecated, unsupported.
    pub status: String,
    /// Description.
    pub description: String,
    /// Level.
    pub level: String,
    /// Tags.
    pub tags: Vec<String>,
    /// Pages about it.
    pub references: Vec<String>,
    /// Who does this legitimately.
    pub false_positives: Vec<String>,
}

impl Header {
    /// Reads the keys that are there.
    pub fn read(document: &Node) -> Header {
        let text = |key: &str| document.get(key).and_then(Node::text).map(|text| text.trim().to_owned());
        let texts = |key: &str| document.get(key).map(Node::texts).unwrap_or_default();
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        Header {
            title: text("title").unwrap_or_default(),
            id: some(text("id")),
            name: some(text("name")),
            author: some(text("author")).unwrap_or_else(|| "unknown".into()),
            licence: some(text("license").or_else(|| text("licence"))).unwrap_or_else(|| LICENCE.into()),
            date: some(text("modified")).or_else(|| some(text("date"))).unwrap_or_default(),
            status: text("status").unwrap_or_default().to_ascii_lowercase(),
            description: text("description").unwrap_or_default(),
            level: text("level").unwrap_or_default().to_ascii_lowercase(),
            tags: texts("tags").into_iter().map(|tag| tag.to_ascii_lowercase()).collect(),
            references: texts("references"),
            false_positives: texts("falsepositives"),
        }
    }

    /// True when a correlation may mean this rule by `reference`.
    pub fn is_called(&self, reference: &str) -> bool {
        let same = |own: &Option<String>| own.as_deref() == Some(reference);
        same(&self.id) || same(&self.name) || self.title == reference
    }

    /// Severity for the level.
    pub fn severity(&self) -> &'static str {
        match self.level.as_str() {
            "critical" => "critical",
            "high" => "high",
            "low" => "low",
            "informational" => "informational",
            _ => "medium",
        }
    }

    /// Confidence for the status.
    pub fn confidence(&self) -> &'static str {
        match self.status.as_str() {
            "stable" => "high",
            "test" => "medium",
            _ => "low",
        }
    }

    /// Kind for the level: what is informational is for hunting.
    pub fn kind(&self) -> &'static str {
        if self.severity() == "informational" { "hunt" } else { "threat" }
    }

    /// ATT&CK techniques of the tags.
    pub fn attack(&self) -> Vec<String> {
        self.techniques("attack.", "T")
    }

    /// ATLAS techniques of the tags.
    pub fn atlas(&self) -> Vec<String> {
        self.techniques("atlas.", "AML.T")
    }

    /// Techniques behind a prefix: four digits, or four and three.
    fn techniques(&self, prefix: &str, shown: &str) -> Vec<String> {
        let mut found = Vec::new();
        for tag in &self.tags {
            let Some(rest) = tag.strip_prefix(prefix) else { continue };
            let Some(number) = rest.strip_prefix(&shown.to_ascii_lowercase()) else { continue };
            let (first, second) =
                number.split_once('.').map_or((number, None), |(first, second)| (first, Some(second)));
            let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
            let id = format!("{shown}{number}");
            if digits(first, 4) && second.is_none_or(|second| digits(second, 3)) && !found.contains(&id) {
                found.push(id);
            }
        }
        found
    }

    /// Layer of the framework that the tags point to.
    pub fn layer(&self) -> &'static str {
        let of_identity = ["credential-access", "privilege-escalation", "initial-access", "persistence"];
        let identity = self.tags.iter().any(|tag| of_identity.iter().any(|tactic| tag.ends_with(tactic)));
        if identity { "identity" } else { "infrastructure" }
    }
}

/// A text as a rule's id: lower case, words joined by single underscores.
pub fn snake(text: &str) -> String {
    let mut id = String::new();
    for letter in text.chars() {
        if letter.is_ascii_alphanumeric() {
            id.push(letter.to_ascii_lowercase());
        } else if !id.ends_with('_') {
            id.push('_');
        }
    }
    id.truncate(80);
    id.trim_matches('_').to_owned()
}
