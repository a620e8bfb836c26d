//! The normal form and the record around it, written into a row of the table.

use sha2::{Digest, Sha256};

use super::body::Found;
use super::columns;
use super::invocation::Invocation;
use super::json::quote;
use super::record::Record;
use crate::logs::rows::{Cell, Rows};

/// Fills the columns of the current row; the caller finishes it.
pub(super) fn fill(rows: &mut Rows, record: &Record<'_>, invocation: &Invocation<'_>, found: Found) {
    for (column, value) in &record.texts {
        rows.text(*column, value);
    }
    for (column, value) in &record.numbers {
        rows.long(*column, *value);
    }
    if let Some(metadata) = record.metadata {
        rows.text(columns::METADATA, &metadata.raw());
    }
    rows.text(columns::BODIES, found.name());
    numbers(rows, invocation);
    guardrail(rows, invocation);
    calls(rows, invocation);
    words(rows, invocation);
    extra(rows, record);
}

fn numbers(rows: &mut Rows, invocation: &Invocation<'_>) {
    let usage = &invocation.usage;
    for (column, value) in [
        (columns::INPUT_TOKENS, usage.input),
        (columns::OUTPUT_TOKENS, usage.output),
        (columns::CACHE_READ_TOKENS, usage.cache_read),
        (columns::CACHE_WRITE_TOKENS, usage.cache_write),
        (columns::LATENCY, usage.latency),
        (columns::MAX_TOKENS, invocation.max_tokens),
    ] {
        if let Some(value) = value {
            rows.long(column, value);
        }
    }
    if let Some(temperature) = invocation.temperature {
        rows.double(columns::TEMPERATURE, temperature);
    }
    if let Some(turns) = invocation.turns {
        rows.int(columns::TURNS, turns);
        rows.int(columns::MEDIA, invocation.media());
    }
}

fn guardrail(rows: &mut Rows, invocation: &Invocation<'_>) {
    let guardrail = &invocation.guardrail;
    text(rows, columns::GUARDRAIL_ID, guardrail.id());
    text(rows, columns::GUARDRAIL_VERSION, guardrail.version());
    text(rows, columns::GUARDRAIL_ACTION, guardrail.verdict());
    for hit in &guardrail.hits {
        let score = hit.score.map_or(Cell::Null, Cell::Double);
        let threshold = hit.threshold.map_or(Cell::Null, Cell::Double);
        let cells = [
            Cell::Text(hit.policy),
            Cell::from(hit.name),
            Cell::Text(hit.side),
            Cell::from(hit.confidence),
            Cell::from(hit.action),
            score,
            threshold,
        ];
        rows.item(columns::GUARDRAIL_HITS, &cells);
    }
}

fn calls(rows: &mut Rows, invocation: &Invocation<'_>) {
    for tool in &invocation.tools {
        rows.item(columns::TOOLS, &[Cell::Text(tool)]);
    }
    for call in invocation.calls.iter() {
        let cells = [
            Cell::from(call.id.as_deref()),
            Cell::from(call.name.as_deref()),
            Cell::Text(&call.arguments),
            Cell::from(call.result.as_deref()),
        ];
        rows.item(columns::TOOL_CALLS, &cells);
    }
}

fn words(rows: &mut Rows, invocation: &Invocation<'_>) {
    text(rows, columns::STOP_REASON, invocation.stop_reason.as_deref());
    if let Some(system) = invocation.system_prompt() {
        rows.text(columns::SYSTEM_SHA256, &sha256(&system));
        rows.text(columns::SYSTEM_PROMPT, &system);
    }
    if let Some(prompt) = invocation.prompt() {
        rows.text(columns::PROMPT_SHA256, &sha256(&prompt));
        rows.text(columns::PROMPT, &prompt);
    }
    text(rows, columns::COMPLETION, invocation.completion().as_deref());
    text(rows, columns::REASONING, invocation.reasoning().as_deref());
    for part in &invocation.parts {
        let said = if part.text.is_empty() { Cell::Null } else { Cell::Text(&part.text) };
        rows.item(columns::MESSAGES, &[Cell::Text(part.role.name()), Cell::Text(part.kind.name()), said]);
    }
}

fn extra(rows: &mut Rows, record: &Record<'_>) {
    if record.extra.is_empty() {
        return;
    }
    let mut json = String::from("{");
    for (index, (path, value)) in record.extra.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        json.push_str(&quote(path));
        json.push(':');
        json.push_str(value);
    }
    json.push('}');
    rows.text(columns::EXTRA, &json);
}

fn text(rows: &mut Rows, column: usize, value: Option<&str>) {
    if let Some(value) = value {
        rows.text(column, value);
    }
}

fn sha256(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or_default();
    digest.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
