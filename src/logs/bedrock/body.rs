//! Where the bodies of a record are: inline, written into a string by an export, or in an object of their own.

use std::borrow::Cow;

use bumpalo::Bump;

use super::columns;
use super::json::{Json, quote};
use super::parse;
use super::record::{Record, SKIPPED};
use crate::logs::Bodies;

/// Where a body was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Found {
    Nowhere,
    Inline,
    S3,
    S3Missing,
}

/// A body before it is read.
#[derive(Debug)]
pub(super) enum Body<'t> {
    /// There is none.
    Absent,
    /// It is part of the record.
    Inline(&'t Json<'t>),
    /// It is a text of its own that has to be parsed.
    Apart(Cow<'t, str>),
}

/// Which body.
#[derive(Debug, Clone, Copy)]
pub(super) enum Side {
    Input,
    Output,
}

impl Found {
    /// Value of the `bodies` column.
    pub(super) fn name(self) -> &'static str {
        match self {
            Found::Nowhere => "none",
            Found::Inline => "inline",
            Found::S3 => "s3",
            Found::S3Missing => "s3 missing",
        }
    }
}

/// Finds a body of the record; one that cannot be had is noted with its reason.
pub(super) fn find<'t>(record: &mut Record<'t>, side: Side, bodies: &dyn Bodies) -> (Body<'t>, Found) {
    let (inline, column, path) = match side {
        Side::Input => (record.input, columns::INPUT_PATH, "input.inputBodyS3Path"),
        Side::Output => (record.output, columns::OUTPUT_PATH, "output.outputBodyS3Path"),
    };
    if let Some(json) = inline {
        let body = match apart(json) {
            Some(text) => Body::Apart(text),
            None => Body::Inline(json),
        };
        return (body, Found::Inline);
    }
    let Some(uri) = record.text(column) else { return (Body::Absent, Found::Nowhere) };
    match bodies.body(uri) {
        Ok(bytes) => {
            let text =
                String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into());
            (Body::Apart(Cow::Owned(text)), Found::S3)
        }
        Err(reason) => {
            record.note(path, quote(&reason));
            (Body::Absent, Found::S3Missing)
        }
    }
}

impl Body<'_> {
    /// Parses a body that is a text of its own. A text that is no JSON is noted, and stays a plain string when the record
    /// itself holds it.
    pub(super) fn parse<'p>(
        &'p self,
        record: &mut Record<'_>,
        side: Side,
        found: Found,
        arena: &'p Bump,
    ) -> Option<Json<'p>> {
        let Body::Apart(text) = self else { return None };
        match parse::parse_many(text, arena) {
            Ok(json) => Some(json),
            Err(_) if found == Found::Inline => Some(Json::Text(text)),
            Err(reason) => {
                record.note(path(side), quote(&reason));
                None
            }
        }
    }
}

/// Notes that parts of a body were too deep or too many to read.
pub(super) fn note_skipped(record: &mut Record<'_>, side: Side, body: &Json) {
    if body.has_skipped() {
        record.note(path(side), quote(SKIPPED));
    }
}

fn path(side: Side) -> &'static str {
    match side {
        Side::Input => "input.inputBodyJson",
        Side::Output => "output.outputBodyJson",
    }
}

/// Text to parse when JSON was written into strings: the whole body, or the elements of a stream.
fn apart<'t>(body: &'t Json<'t>) -> Option<Cow<'t, str>> {
    if let Json::Text(text) = body {
        return text.trim_start().starts_with(['{', '[']).then_some(Cow::Borrowed(*text));
    }
    let event = |item: &'t Json<'t>| {
        let text = item.text()?.trim_start();
        Some(text.strip_prefix("data:").unwrap_or(text)).filter(|text| text.trim_start().starts_with('{'))
    };
    if !body.items().iter().any(|item| event(item).is_some()) {
        return None;
    }
    let texts = body.items().iter().map(|item| event(item).map_or_else(|| item.raw(), Cow::Borrowed));
    Some(Cow::Owned(texts.collect::<Vec<_>>().join("\n")))
}
