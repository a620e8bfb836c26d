//! The walk over an object's text: streams, lists and envelopes, each record judged, each damaged piece kept.

use bumpalo::Bump;

use super::document::View;
use super::foreign;
use super::recovery::{Recovery, resembles};
use crate::logs::cloudtrail::{self, Recognised, Record};
use crate::logs::json::{CONTROL, Fault, Scanner, Value};
use crate::logs::sink::{Sink, start_of};
use crate::logs::vpcflow::Format;
use crate::logs::{Bodies, LogType, bedrock};

/// Keys whose value is the list of records of an envelope.
pub(super) const LISTS: [&str; 5] = ["Records", "Events", "logEvents", "records", "events"];
/// How many envelopes may be inside each other.
pub(super) const DEEPEST: u32 = 8;
/// How many damaged pieces are remembered while it is not known whether the object is a log of ours.
const REMEMBERED: usize = 10_000;
/// After so many damaged pieces, ten times more than whole records, the rest of a text is one damaged piece: an object
/// made to be damaged everywhere must not take forever.
const HOPELESS: u64 = 100_000;

/// What became of an object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Found {
    /// A record of ours: stored, or quarantined with its reason.
    Ours,
    /// A record that is known to be none of ours.
    Other(&'static str),
    /// Perhaps an envelope.
    Unknown,
}

/// The state of the walk over one object.
pub(super) struct Walk<'w> {
    pub sink: &'w mut Sink,
    pub index: u64,
    /// What was found inside the envelope at hand that is none of our logs.
    pub kind: Option<&'static str>,
    /// Format of the flow log lines that follow, when a header told it.
    pub format: Option<Format>,
    object: &'w str,
    bodies: &'w dyn Bodies,
    /// Room for one record after the other.
    arena: Bump,
    last: Option<&'static LogType>,
    unclear: Vec<Unclear>,
    damaged: u64,
    notices: u64,
}

/// A damaged piece that may belong to anything: it is quarantined if the object turns out to be a log of ours.
struct Unclear {
    index: u64,
    start: Vec<u8>,
    length: usize,
    why: String,
}

impl<'w> Walk<'w> {
    pub fn new(sink: &'w mut Sink, object: &'w str, bodies: &'w dyn Bodies) -> Self {
        Walk {
            sink,
            index: 0,
            kind: None,
            format: None,
            object,
            bodies,
            arena: Bump::new(),
            last: None,
            unclear: Vec::new(),
            damaged: 0,
            notices: 0,
        }
    }

    /// Walks over values that follow each other, on lines of their own or not, and text between them.
    pub fn stream(&mut self, view: View<'_>) {
        let mut recovery = Recovery::in_stream(view.text);
        let mut at = 0;
        loop {
            let mut scanner = Scanner::new(view.text, at);
            let byte = scanner.peek();
            let start = scanner.position();
            at = match byte {
                None => break,
                Some(b',') => start + 1,
                Some(0xef) if view.text.get(start..start + 3) == Some("\u{feff}") => start + 3,
                Some(b'[') if opens_list(scanner) => self.list(view, start, 0).0,
                Some(b'{') => {
                    recovery.learn(start);
                    match self.object(view, start, 0) {
                        Ok(end) => end,
                        Err(fault) => {
                            let end = self.resume(&mut recovery, view, start);
                            self.damaged(view, start, end, &fault);
                            end
                        }
                    }
                }
                Some(_) => self.line(view, start),
            };
        }
        if self.last.is_none() && !self.unclear.is_empty() {
            self.last = resembles(view.original);
        }
    }

    /// Walks over a list that begins at `at`. Returns where it ends, and false if the text ended before.
    pub fn list(&mut self, view: View<'_>, at: usize, depth: u32) -> (usize, bool) {
        let mut recovery = Recovery::in_list(view.text);
        let mut at = at + 1;
        loop {
            let mut scanner = Scanner::new(view.text, at);
            let byte = scanner.peek();
            let start = scanner.position();
            let item = match byte {
                None => {
                    self.cut_off(view, "the list of records is not closed");
                    return (start, false);
                }
                Some(b']') => return (start + 1, true),
                Some(b',') => Ok(start + 1),
                Some(b'{') => {
                    recovery.learn(start);
                    self.object(view, start, depth)
                }
                Some(b'[') if depth < DEEPEST => {
                    let (end, closed) = self.list(view, start, depth + 1);
                    if !closed {
                        return (end, false);
                    }
                    Ok(end)
                }
                Some(_) => scanner.value().map(|value| {
                    self.item(&value, depth);
                    scanner.position()
                }),
            };
            at = match item {
                Ok(end) => end,
                Err(fault) => {
                    let end = self.resume(&mut recovery, view, start);
                    self.damaged(view, start, end, &fault);
                    if end == view.text.len() {
                        return (end, false);
                    }
                    end
                }
            };
        }
    }

    /// An item of a list that is no object: a record inside a string, or nothing that we read.
    fn item(&mut self, value: &Value<'_>, depth: u32) {
        self.kind = None;
        if !self.inside_text(value, None, depth + 1) {
            let kind = self.kind.take().unwrap_or("JSON without records");
            self.foreign(kind);
        }
    }

    /// Walks over the object at `at` and returns where it ends.
    pub fn object(&mut self, view: View<'_>, at: usize, depth: u32) -> Result<usize, Box<Fault>> {
        let mut scanner = Scanner::new(view.text, at);
        match first_member(scanner.clone()) {
            Some((key, b'[')) if depth < DEEPEST && LISTS.contains(&key) => return Ok(self.envelope(view, at, depth)),
            Some((key, _)) if bedrock::is_key(key) => {
                let arena = std::mem::take(&mut self.arena);
                let end = bedrock::Ahead::read(view.text, at, &arena).map(|record| {
                    self.store_ahead(&record);
                    at + record.raw.len()
                });
                self.arena = arena;
                self.arena.reset();
                if let Some(end) = end {
                    return Ok(end);
                }
            }
            _ => {}
        }
        match Record::scan(&mut scanner) {
            Ok(record) => {
                self.judge(&record, depth);
                Ok(scanner.position())
            }
            Err(_) if depth < DEEPEST && has_list(Scanner::new(view.text, at)) => Ok(self.envelope(view, at, depth)),
            Err(fault) => Err(fault),
        }
    }

    /// Walks over an object with a list of records, item by item, so that damage in one does not hide the others.
    fn envelope(&mut self, view: View<'_>, at: usize, depth: u32) -> usize {
        let mut scanner = Scanner::new(view.text, at);
        scanner.eat();
        let mut first = true;
        loop {
            let start = scanner.position();
            let fault = match scanner.member(first) {
                Ok(None) => return scanner.position(),
                Ok(Some(key)) if LISTS.contains(&key.raw) && scanner.peek() == Some(b'[') => {
                    let (end, closed) = self.list(view, scanner.position(), depth + 1);
                    if !closed {
                        return end;
                    }
                    scanner = Scanner::new(view.text, end);
                    None
                }
                Ok(Some(_)) => scanner.value().err(),
                Err(fault) => Some(fault),
            };
            first = false;
            let Some(fault) = fault else { continue };
            if Scanner::new(view.text, start).peek().is_none() {
                self.cut_off(view, "the object around the records is not closed");
                return view.text.len();
            }
            let end = self.resume(&mut Recovery::in_stream(view.text), view, start);
            self.damaged(view, start, end, &fault);
            return end;
        }
    }

    /// Decides what an object is, and stores or counts it.
    fn judge(&mut self, record: &Record<'_>, depth: u32) {
        match self.store(record) {
            Found::Ours => return,
            Found::Other(kind) => return self.foreign(kind),
            Found::Unknown => {}
        }
        self.kind = None;
        let own = foreign::kind(record);
        if own.is_none_or(|kind| kind.wraps) && self.inside_object(record, depth + 1) {
            return;
        }
        let inner = self.kind.take();
        self.foreign(inner.or(own.map(|kind| kind.name)).unwrap_or("JSON of another kind"));
    }

    /// Stores an object if it is a record of ours.
    pub fn store(&mut self, record: &Record<'_>) -> Found {
        match record.recognise() {
            Recognised::Event => {
                let index = self.next(&cloudtrail::CLOUDTRAIL);
                let bytes = record.raw.as_bytes();
                self.sink.record(&cloudtrail::CLOUDTRAIL, index, bytes, |rows| record.store(rows, index));
                Found::Ours
            }
            Recognised::Foreign(kind) => Found::Other(kind),
            Recognised::No if self.store_invocation(record) || self.flow_object(record) => Found::Ours,
            Recognised::No => Found::Unknown,
        }
    }

    fn store_invocation(&mut self, record: &Record<'_>) -> bool {
        let likely = record.others.iter().any(|other| {
            let key = other.key.to_ascii_lowercase();
            key.starts_with("schema") || key.starts_with("model")
        });
        if !likely || !bedrock::recognise(record.raw) {
            return false;
        }
        let index = self.next(&bedrock::BEDROCK);
        let (object, bodies) = (self.object, self.bodies);
        self.sink.record(&bedrock::BEDROCK, index, record.raw.as_bytes(), |rows| {
            bedrock::decode(rows, index, record.raw, object, bodies)
        });
        true
    }

    /// Stores a model invocation that was read already.
    fn store_ahead(&mut self, record: &bedrock::Ahead<'_>) {
        let index = self.next(&bedrock::BEDROCK);
        let bodies = self.bodies;
        self.sink.record(&bedrock::BEDROCK, index, record.raw.as_bytes(), |rows| record.decode(rows, index, bodies));
    }

    /// Index for a record of `log`.
    pub fn next(&mut self, log: &'static LogType) -> u64 {
        self.last = Some(log);
        self.index += 1;
        self.index - 1
    }

    /// Counts a record that is none of ours.
    pub fn foreign(&mut self, kind: &'static str) {
        self.index += 1;
        self.sink.foreign(kind);
    }

    /// Counts a line of plain text: a notice if the object is a log of ours.
    pub fn notice(&mut self) {
        self.index += 1;
        self.notices += 1;
    }

    /// Where to go on after the damaged value at `start`.
    fn resume(&self, recovery: &mut Recovery<'_>, view: View<'_>, start: usize) -> usize {
        let whole = self.index.saturating_sub(self.damaged);
        if self.damaged > HOPELESS && whole < self.damaged / 10 {
            return view.text.len();
        }
        recovery.after(start)
    }

    /// Keeps a piece that is damaged.
    pub fn damaged(&mut self, view: View<'_>, from: usize, to: usize, fault: &Fault) {
        let not_utf8 = fault.why == CONTROL && view.original.get(fault.at).is_some_and(|byte| *byte >= 0x80);
        let why = if not_utf8 { "bytes that are not UTF-8" } else { fault.why };
        let why = format!("damaged JSON: {why} (byte {} of the object)", fault.at);
        self.keep(view.bytes(from, to).trim_ascii_end(), why);
    }

    /// Keeps the fact that the text ends too early although no record is damaged.
    fn cut_off(&mut self, view: View<'_>, what: &str) {
        let why = format!("{what}: the object is cut off at byte {}", view.text.len());
        self.keep(&[], why);
    }

    /// Keeps a piece of whatever log it seems to be.
    pub fn keep(&mut self, piece: &[u8], why: String) {
        let index = self.index;
        self.index += 1;
        self.damaged += 1;
        match resembles(piece) {
            Some(log) => {
                self.last = Some(log);
                self.sink.quarantine(Some(log), index, piece, &why);
            }
            None if self.last.is_some() => self.sink.quarantine(self.last, index, piece, &why),
            None if self.unclear.len() < REMEMBERED => {
                let start = start_of(piece).to_vec();
                self.unclear.push(Unclear { index, start, length: piece.len(), why });
            }
            None => {}
        }
    }

    /// Ends the walk: what was unclear is judged by what the object turned out to be.
    pub fn finish(self) {
        if self.last.is_some() {
            for piece in &self.unclear {
                self.sink.quarantine_start(self.last, piece.index, &piece.start, piece.length, &piece.why);
            }
            for _ in 0..self.notices {
                self.sink.foreign("plain text between records");
            }
        } else if self.notices > 0 || !self.unclear.is_empty() {
            self.sink.foreign("not a log that Trailhound reads");
        }
        if self.sink.is_empty() {
            self.sink.foreign("no records");
        }
    }
}

/// True when a bracket opens a list of records rather than a line of text, such as `[2026-10-01 12:00:00] INFO`.
fn opens_list(mut scanner: Scanner<'_>) -> bool {
    scanner.eat();
    matches!(scanner.peek(), Some(b'{' | b'[' | b'"' | b']') | None)
}

/// The key of an object's first member, and the byte with which its value begins.
#[inline]
fn first_member(mut scanner: Scanner<'_>) -> Option<(&str, u8)> {
    scanner.eat();
    let key = scanner.member(true).ok()??;
    Some((key.raw, scanner.peek()?))
}

/// True when a damaged object has a list of records before the damage.
fn has_list(mut scanner: Scanner<'_>) -> bool {
    scanner.eat();
    let mut first = true;
    while let Ok(Some(key)) = scanner.member(first) {
        first = false;
        if LISTS.contains(&key.raw) && scanner.peek() == Some(b'[') {
            return true;
        }
        if scanner.value().is_err() {
            return false;
        }
    }
    false
}
