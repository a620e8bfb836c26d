//! Where decoders put what they find in objects: rows, quarantine, foreign records, and their counts.

use super::rows::{Batch, Rows, Share};
use super::{LOG_TYPES, LogType};
use crate::table::{Column, Kind, Table, column, searched};

/// Records that could not be read, with the reason and their first bytes.
pub static QUARANTINE: Table = Table {
    name: "quarantine",
    about: "A record, or the rest of an object, that could not be read.",
    time_name: None,
    clustered_by: &[],
    columns: &QUARANTINE_COLUMNS,
};

static QUARANTINE_COLUMNS: [Column; 4] = [
    searched("log", Kind::Text, "log type, when it was recognised before the error"),
    column("reason", Kind::Text, "why it could not be read"),
    column("bytes", Kind::Long, "length of the record in bytes"),
    column("start", Kind::Text, "the first bytes, non-UTF-8 ones replaced"),
];

/// How much of a quarantined record is kept: enough to recognise it, too little to fill the lake with hostile text.
const KEPT_BYTES: usize = 512;

/// Largest record: CloudTrail ends at 1 MiB, model invocations with inline bodies at a few hundred KiB.
const LARGEST_RECORD: usize = 64 << 20;

/// How many quarantined records of one object are kept: a small compressed object can hold millions of broken lines.
/// The counts always hold all of them. Must stay below the rows of one batch.
const KEPT_RECORDS: usize = 100_000;

/// What was read of one log type in one object.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct Counts {
    /// Records recognised as this log: decoded or quarantined.
    pub read: u64,
    /// Records of them that went to quarantine.
    pub quarantined: u64,
}

/// Collects what objects hold, one after the other.
#[derive(Debug)]
pub struct Sink {
    /// Rows per log type, which objects share.
    rows: Vec<Option<Rows>>,
    /// Objects that ended.
    objects: usize,
    found: Inventory,
    quarantine: Option<Rows>,
    /// What was quarantined last, as long as nothing comes after it: a fault may have cut it.
    last: Option<Piece>,
    /// Highest index of anything seen so far, and one more.
    next: u64,
    fault: Option<String>,
    now: i64,
    object_size: usize,
}

/// A record, or the rest of an object, on its way to quarantine.
#[derive(Debug)]
struct Piece {
    log: Option<&'static LogType>,
    index: u64,
    start: Vec<u8>,
    length: Option<usize>,
    reason: String,
}

/// Everything that one object held.
#[derive(Debug)]
pub struct Decoded {
    /// Rows per log type, in the order of [`LOG_TYPES`]; none for those that have no rows, several for large objects.
    pub batches: Vec<Batch>,
    /// Everything else.
    pub found: Inventory,
}

/// What one object held, apart from rows.
#[derive(Debug)]
pub struct Inventory {
    /// Quarantined records, if any.
    pub quarantine: Option<Batch>,
    /// Counts per log type, in the order of [`LOG_TYPES`].
    pub counts: Vec<Counts>,
    /// Records that were quarantined before their log type was known.
    pub unrecognised: Counts,
    /// Records (or, for content without records, objects) that are readable but are none of our logs.
    pub foreign: u64,
    /// What the first foreign record was, in a few words.
    pub foreign_kind: Option<&'static str>,
}

impl Inventory {
    fn new() -> Self {
        Inventory {
            quarantine: None,
            counts: vec![Counts::default(); LOG_TYPES.len()],
            unrecognised: Counts::default(),
            foreign: 0,
            foreign_kind: None,
        }
    }
}

impl Sink {
    /// An empty sink. `now` (microseconds UTC) is the time that quarantined records carry.
    pub fn new(now: i64) -> Self {
        Sink {
            rows: LOG_TYPES.iter().map(|_| None).collect(),
            objects: 0,
            found: Inventory::new(),
            quarantine: None,
            last: None,
            next: 0,
            fault: None,
            now,
            object_size: 0,
        }
    }

    /// Begins an object of `size` bytes: rows get the room that they will probably need.
    pub fn begin(&mut self, size: usize) {
        self.object_size = size;
        for rows in self.rows.iter_mut().flatten() {
            rows.begin(size);
        }
    }

    /// Says why the object could not be unpacked to its end. That is one piece in quarantine: the one that was quarantined
    /// last, when nothing came after it, or else what is missing.
    pub fn ends_with(&mut self, fault: &str) {
        self.fault = Some(fault.to_owned());
    }

    /// Decodes one record of a log: `decode` fills and finishes exactly one row, or says why it cannot.
    pub fn record(
        &mut self,
        log: &'static LogType,
        index: u64,
        bytes: &[u8],
        decode: impl FnOnce(&mut Rows) -> Result<(), String>,
    ) {
        let Some(place) = place_of(log) else { return };
        let size = self.object_size;
        let rows = self.rows[place].get_or_insert_with(|| {
            let mut rows = Rows::new(log.table);
            rows.begin(size);
            rows
        });
        let outcome = if bytes.len() > LARGEST_RECORD {
            Err(format!("larger than the {} MiB that a record may have", LARGEST_RECORD >> 20))
        } else {
            decode(rows)
        };
        self.found.counts[place].read += 1;
        match outcome {
            Ok(()) => self.pass(index + 1),
            Err(reason) => {
                rows.discard();
                self.found.counts[place].quarantined += 1;
                let (start, length) = (start_of(bytes).to_vec(), Some(bytes.len()));
                self.keep(Piece { log: Some(log), index, start, length, reason });
            }
        }
    }

    /// Puts a record, or the rest of an object, into quarantine. `log` is given when the type is known.
    pub fn quarantine(&mut self, log: Option<&'static LogType>, index: u64, bytes: &[u8], reason: &str) {
        self.quarantine_start(log, index, start_of(bytes), bytes.len(), reason);
    }

    /// The same for a record of `length` bytes of which only the start was kept.
    pub fn quarantine_start(
        &mut self,
        log: Option<&'static LogType>,
        index: u64,
        start: &[u8],
        length: usize,
        reason: &str,
    ) {
        let place = log.and_then(place_of);
        let counts = match place {
            Some(place) => &mut self.found.counts[place],
            None => &mut self.found.unrecognised,
        };
        counts.read += 1;
        counts.quarantined += 1;
        self.keep(Piece { log, index, start: start.to_vec(), length: Some(length), reason: reason.to_owned() });
    }

    /// Counts a record that is readable but none of our logs.
    pub fn foreign(&mut self, kind: &'static str) {
        self.pass(self.next);
        self.found.foreign += 1;
        self.found.foreign_kind.get_or_insert(kind);
    }

    /// True when nothing at all was found in the object yet.
    pub fn is_empty(&self) -> bool {
        self.found.foreign == 0 && self.found.unrecognised.read == 0 && self.found.counts.iter().all(|c| c.read == 0)
    }

    /// Ends an object.
    pub fn end(&mut self, object: &str) -> Inventory {
        if let Some(fault) = self.fault.take() {
            match &mut self.last {
                Some(piece) => piece.reason = format!("{}; {fault}", piece.reason),
                None => {
                    self.found.unrecognised.read += 1;
                    self.found.unrecognised.quarantined += 1;
                    self.keep(Piece { log: None, index: self.next, start: Vec::new(), length: None, reason: fault });
                }
            }
        }
        self.pass(self.next);
        self.next = 0;
        for rows in self.rows.iter_mut().flatten() {
            rows.end(object, self.objects);
        }
        self.objects += 1;
        let mut found = std::mem::replace(&mut self.found, Inventory::new());
        found.quarantine = self.quarantine.take().and_then(|mut rows| rows.take(object));
        found
    }

    /// Rows of all objects, in the order of [`LOG_TYPES`], and whose they are: objects are numbered from 0 as they ended.
    pub fn take(&mut self) -> Vec<(Batch, Vec<Share>)> {
        self.objects = 0;
        self.rows.iter_mut().flatten().flat_map(|rows| std::iter::from_fn(|| rows.take_shared())).collect()
    }

    /// Ends the only object.
    pub fn finish(mut self, object: &str) -> Decoded {
        let found = self.end(object);
        Decoded { batches: self.take().into_iter().map(|(batch, _)| batch).collect(), found }
    }

    /// Something else follows what was quarantined last; the next index is at least `next`.
    fn pass(&mut self, next: u64) {
        self.next = self.next.max(next);
        if let Some(piece) = self.last.take() {
            self.write(&piece);
        }
    }

    fn keep(&mut self, piece: Piece) {
        // What was unclear for a while comes late, when what followed it is known.
        if piece.index < self.next {
            return self.write(&piece);
        }
        self.pass(piece.index + 1);
        self.last = Some(piece);
    }

    fn write(&mut self, piece: &Piece) {
        let rows = self.quarantine.get_or_insert_with(|| Rows::new(&QUARANTINE));
        if rows.len() == KEPT_RECORDS {
            return;
        }
        if let Some(log) = piece.log {
            rows.text(0, log.name);
        }
        let reason = &piece.reason;
        if rows.len() + 1 == KEPT_RECORDS {
            let last = "the last one kept: further records of this object are counted only";
            rows.text(1, &format!("{reason} ({last})"));
        } else {
            rows.text(1, reason);
        }
        if let Some(length) = piece.length {
            rows.long(2, length as i64);
            rows.text(3, &String::from_utf8_lossy(&piece.start));
        }
        rows.finish(self.now, piece.index, 0);
    }
}

/// Position of a log in [`LOG_TYPES`].
#[inline]
fn place_of(log: &'static LogType) -> Option<usize> {
    LOG_TYPES.iter().position(|known| std::ptr::eq(*known, log))
}

/// The part of a record that quarantine keeps.
pub fn start_of(bytes: &[u8]) -> &[u8] {
    bytes.get(..KEPT_BYTES).unwrap_or(bytes)
}
