//! Images, documents, video and audio in messages: their names and addresses, and the text that documents carry.

use std::borrow::Cow;

use super::invocation::{Invocation, Kind};
use super::json::Json;

/// Keys that name media inside tool results.
pub(super) const KINDS: [(&str, Kind); 5] = [
    ("image", Kind::Image),
    ("document", Kind::Document),
    ("video", Kind::Video),
    ("audio", Kind::Audio),
    ("searchResult", Kind::Document),
];

/// Adds media of the current message.
pub(super) fn add<'t>(kind: Kind, block: &'t Json<'t>, invocation: &mut Invocation<'t>) {
    invocation.push(invocation.role(), kind, Cow::Owned(describe(kind, block)));
}

/// Name and address of media, or else the format; for documents also the text that they carry.
pub(super) fn describe(kind: Kind, block: &Json) -> String {
    let mut text = [name(block), address(block)].into_iter().flatten().collect::<Vec<_>>().join(" ");
    if kind == Kind::Document {
        carried(block, &mut text);
    }
    if text.is_empty() {
        text.push_str(format(block).unwrap_or_default());
    }
    text
}

fn name<'t>(block: &'t Json) -> Option<&'t str> {
    block.get("file").unwrap_or(block).any(&["name", "title", "filename", "file_name"])?.text()
}

/// Where the media came from. Data URLs are the media itself: of these the type remains.
fn address<'t>(block: &'t Json) -> Option<&'t str> {
    const PATHS: [&[&str]; 12] = [
        &["source", "s3Uri"],
        &["source", "s3Location", "uri"],
        &["s3Location", "uri"],
        &["source", "url"],
        &["source", "file_id"],
        &["image_url", "url"],
        &["video_url", "url"],
        &["image_url"],
        &["file_url"],
        &["file_id"],
        &["file", "file_id"],
        &["url"],
    ];
    let found = PATHS.iter().find_map(|path| block.at(path)?.text()).or_else(|| block.text_of("source"));
    if let Some(address) = found.filter(|address| address.starts_with("data:")) {
        return address.split(',').next();
    }
    found.or_else(|| block.text().filter(|text| text.contains("://")))
}

/// Adds the text that a document brings with it: the model reads it, so an attacker may have planted it.
fn carried(block: &Json, text: &mut String) {
    let source = block.get("source");
    let inline = source.filter(|source| source.text_of("type") == Some("text"));
    let single = [
        block.get("context"),
        inline.and_then(|source| source.get("data")),
        source.and_then(|source| source.get("text")),
        block.any(&["snippet", "text", "data"]),
    ];
    let lists = [source.and_then(|source| source.get("content")), block.get("content")];
    let listed = lists
        .into_iter()
        .flatten()
        .flat_map(|list| list.items().iter().map(|item| item.get("text")).chain([Some(list)]));
    for piece in single.into_iter().chain(listed).flatten().filter_map(Json::text) {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(piece);
    }
}

fn format<'t>(block: &'t Json) -> Option<&'t str> {
    let format = block.get("format").or_else(|| block.at(&["source", "media_type"]));
    format.or_else(|| block.at(&["input_audio", "format"]))?.text()
}
