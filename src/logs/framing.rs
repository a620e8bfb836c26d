//! Bytes of one object to records: finds the envelope by content and hands each record to its log type.

mod document;
mod flow;
mod foreign;
mod lines;
mod recovery;
mod unwrap;
mod walk;

use bytes::Bytes;

use super::sink::{Decoded, Sink};
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
    read(object, bytes, bodies, Sink::for_object(now, bytes.len()))
}

/// The same for the bytes before a fault of an object that cannot be unpacked to its end: `fault` says why. What is missing
/// and the record that it cut, if it did, are one piece in quarantine.
pub fn decode_until(fault: &str, object: &str, bytes: &[u8], bodies: &dyn Bodies, now: i64) -> Decoded {
    let mut sink = Sink::for_object(now, bytes.len());
    sink.ends_with(fault);
    if bytes.is_empty() {
        return sink.finish(object);
    }
    read(object, bytes, bodies, sink)
}

fn read(object: &str, bytes: &[u8], bodies: &dyn Bodies, mut sink: Sink) -> Decoded {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        sink.foreign("empty");
        return sink.finish(object);
    }
    if is_body(object) {
        sink.foreign("body of a model invocation, read with its record");
        return sink.finish(object);
    }
    if bytes.starts_with(b"PAR1") {
        if !vpcflow::parquet(&Bytes::copy_from_slice(bytes), &mut sink) {
            sink.foreign("Parquet of another kind");
        }
        return sink.finish(object);
    }
    if let Some(packed) = packed(bytes) {
        sink.quarantine(None, 0, bytes, packed);
        return sink.finish(object);
    }
    let document = Document::new(bytes);
    if flow::is_flow_log(document.view().text) {
        match document.whole() {
            Some(text) => vpcflow::utf8(text, &mut sink),
            None => vpcflow::text(document.original(), &mut sink),
        }
        return sink.finish(object);
    }
    let mut walk = Walk::new(sink, object, bodies);
    walk.stream(document.view());
    walk.finish()
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
