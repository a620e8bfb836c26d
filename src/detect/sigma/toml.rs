//! Text of TOML values and of rule files.

use serde_json::Value;

/// A text as a TOML string on one line.
pub fn text(text: &str) -> String {
    let mut written = String::with_capacity(text.len() + 2);
    written.push('"');
    for letter in text.chars() {
        escape(letter, &mut written);
    }
    written.push('"');
    written
}

fn escape(letter: char, written: &mut String) {
    match letter {
        '"' | '\\' => written.extend(['\\', letter]),
        '\n' => written.push_str("\\n"),
        '\t' => written.push_str("\\t"),
        '\r' => written.push_str("\\r"),
        // Control characters, and those that turn the direction of text or hide in it.
        c if c.is_control()
            || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}') =>
        {
            written.push_str(&format!("\\u{:04X}", u32::from(c)));
        }
        c => written.push(c),
    }
}

/// A text as a TOML string over several lines; SQL and descriptions read best so.
pub fn block(text: &str) -> String {
    let plain = |c: char| {
        c == '\n'
            || !(c.is_control()
                || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}'))
    };
    if !text.contains("'''") && !text.ends_with('\'') && text.chars().all(plain) {
        return format!("'''\n{text}'''");
    }
    let mut written = String::from("\"\"\"\n");
    for letter in text.chars() {
        if letter == '\n' { written.push('\n') } else { escape(letter, &mut written) }
    }
    written.push_str("\"\"\"");
    written
}

/// A list of texts, on one line when short.
pub fn texts(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|item| text(item)).collect();
    let line = format!("[{}]", items.join(", "));
    if line.len() <= 110 { line } else { format!("[\n  {},\n]", items.join(",\n  ")) }
}

/// A key, quoted where it has to be.
pub fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { text(name) }
}

/// A JSON value; null, which TOML does not have, becomes an empty text.
pub fn value(json: &Value) -> String {
    match json {
        Value::Null => "\"\"".into(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(string) => text(string),
        Value::Array(items) => format!("[{}]", items.iter().map(value).collect::<Vec<_>>().join(", ")),
        Value::Object(entries) if entries.is_empty() => "{}".into(),
        Value::Object(entries) => {
            let parts: Vec<String> =
                entries.iter().map(|(name, inner)| format!("{} = {}", key(name), value(inner))).collect();
            format!("{{ {} }}", parts.join(", "))
        }
    }
}

/// A text as a comment on one line.
pub fn comment(name: &str, told: &str) -> String {
    let told: String = told.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown = text(&told);
    format!("# {name}: {}\n", shown.trim_matches('"'))
}
