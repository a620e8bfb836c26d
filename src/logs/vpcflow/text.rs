//! A text object of flow log lines: finds the format, follows it when it changes, reads what can be read.

use memchr::memchr;

use super::format::begins_like_header;
use super::{Format, VPCFLOW, decode};
use crate::logs::sink::Sink;

const NO_FORMAT: &str = "the line fits no flow log format that is known without a header";

/// Reads an unpacked text object. Header lines and blank lines are not records; everything else is a row or is quarantined.
///
/// The index of a record is its number among the records of the object, from 0. A header holds until the next one, so
/// objects that were put together are read; lines before any header must fit a format that AWS documents.
pub fn text(bytes: &[u8], sink: &mut Sink) {
    // Nearly every object is UTF-8 as a whole: one check is faster than one for each line.
    lines(bytes, simdutf8::basic::from_utf8(bytes).ok(), sink);
}

/// The same for an object that is known to be UTF-8.
pub fn utf8(text: &str, sink: &mut Sink) {
    lines(text.as_bytes(), Some(text), sink);
}

fn lines(bytes: &[u8], whole: Option<&str>, sink: &mut Sink) {
    let mut formats = Formats { current: None, guessing: true };
    let mark = b"\xef\xbb\xbf";
    let (mut from, mut index) = (if bytes.starts_with(mark) { mark.len() } else { 0 }, 0);
    while let Some(rest) = bytes.get(from..).filter(|rest| !rest.is_empty()) {
        let end = memchr(b'\n', rest);
        let line = rest.get(..end.unwrap_or(rest.len())).unwrap_or(rest);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = whole.and_then(|whole| whole.get(from..from + line.len()));
        if record(line, text, end.is_none(), &mut formats, index, sink) {
            index += 1;
        }
        from += end.map_or(rest.len(), |end| end + 1);
    }
}

/// What the lines are read with.
struct Formats {
    current: Option<Format>,
    /// True until a header is seen: each line is checked against the known formats, since nothing else names its fields.
    guessing: bool,
}

/// Reads one line, given as `text` too when that is known to be UTF-8; false when it is not a record.
fn record(bytes: &[u8], text: Option<&str>, is_cut: bool, formats: &mut Formats, index: u64, sink: &mut Sink) -> bool {
    if bytes.trim_ascii().is_empty() {
        return false;
    }
    let Some(line) = text.or_else(|| std::str::from_utf8(bytes).ok()) else {
        sink.quarantine(Some(&VPCFLOW), index, bytes, "the line is not UTF-8");
        return true;
    };
    if begins_like_header(line)
        && let Some(format) = Format::from_header(line)
    {
        *formats = Formats { current: Some(format), guessing: false };
        return false;
    }
    if formats.guessing
        && let Some(format) = Format::guess(line)
    {
        formats.current = Some(format);
    }
    match &formats.current {
        Some(format) if is_cut && ends_in_part_of_a_word(format, line) => {
            sink.quarantine(Some(&VPCFLOW), index, bytes, "the object ends within this line");
        }
        Some(format) => sink.record(&VPCFLOW, index, bytes, |rows| decode(rows, format, index, line)),
        None => sink.quarantine(Some(&VPCFLOW), index, bytes, NO_FORMAT),
    }
    true
}

/// True when a line that ends in a status or action has only the beginning of one: all fields are there, the last one is cut.
fn ends_in_part_of_a_word(format: &Format, line: &str) -> bool {
    let words: &[&str] = match format.order.fields.last().map(|field| field.name.as_str()) {
        Some("log_status") => &["OK", "NODATA", "SKIPDATA"],
        Some("action") => &["ACCEPT", "REJECT"],
        _ => return false,
    };
    let last = line.rsplit([' ', '\t', ',']).next().unwrap_or(line);
    words.iter().any(|word| !last.is_empty() && last.len() < word.len() && word.starts_with(last))
}
