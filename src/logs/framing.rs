//! Bytes of one object to records: finds the envelope by content and hands each record to its log type.

mod document;
mod flow;
mod foreign;
mod lines;
mod recovery;
mod unwrap;
mod walk;

use bytes::Bytes;

use super::sink::{Decoded, Inventory, Sink};
use super::{Bodies, vpcflow};
use document::Document;
use walk::Walk;

/// Decodes one unpacked object, read from `object` (its URI), at `now` (microseconds UTC).
///
/// Accepts, with or without a byte order mark: `{"Records": [...]}`, arrays, one record per line, records without
/// anything between them, EventBridge and CloudWatch envelopes, `LookupEvents` answers, records inside the strings that
/// transports use, VPC flow logs as text and Parquet. Damage costs the damaged record: those before and after it are
/// read. Every record is counted: stored, quarantined, or foreign.
pub fn decode(object: &str, bytes: &[u8], bodies: &dyn Bodies, now: i64) -> Decoded {
    let mut sink = Sink::new(now);
    sink.begin(bytes.len());
    read(object, bytes, bodies, &mut sink);
    sink.finish(object)
}

/// The same for an object among others in one sink. When it could not be unpacked to its end, `fault` says why, and `bytes` are
/// those before it: what is missing and the record that it cut, if it did, are one piece in quarantine.
pub fn decode_into(sink: &mut Sink, object: &str, bytes: &[u8], fault: Option<&str>, bodies: &dyn Bodies) -> Inventory {
    sink.begin(bytes.len());
    if let Some(fault) = fault {
        sink.ends_with(fault);
    }
    if fault.is_none() || !bytes.is_empty() {
        read(object, bytes, bodies, sink);
    }
    sink.end(object)
}

fn read(object: &str, bytes: &[u8], bodies: &dyn Bodies, sink: &mut Sink) {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return sink.foreign("empty");
    }
    if is_body(object) {
        return sink.foreign("body of a model invocation, read with its record");
    }
    if bytes.starts_with(b"PAR1") {
        if !vpcflow::parquet(&Bytes::copy_from_slice(bytes), sink) {
            sink.foreign("Parquet of another kind");
        }
        return;
    }
    if let Some(packed) = packed(bytes) {
        return sink.quarantine(None, 0, bytes, packed);
    }
    let document = Document::new(bytes);
    if flow::is_flow_log(document.view().text) {
        return match document.whole() {
            Some(text) => vpcflow::utf8(text, sink),
            None => vpcflow::text(document.original(), sink),
        };
    }
    let mut walk = Walk::new(sink, object, bodies);
    walk.stream(document.view());
    walk.finish();
}

/// True for the objects in which Amazon Bedrock keeps bodies that are too large for a record.
pub fn is_body(object: &str) -> bool {
    object.split_once("/BedrockModelInvocationLogs/").is_some_and(|(_, rest)| rest.contains("/data/"))
}

/// Why data that is still packed cannot be read.
fn packed(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x1f, 0x8b, ..] => Some("gzip data that could not be unpacked"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("zstd data that could not be unpacked"),
        _ => None,
    }
}
