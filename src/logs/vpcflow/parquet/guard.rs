//! Looks at the sizes in a Parquet file before anything is allocated for them: the file is hostile.
//!
//! The Parquet reader trusts the counts and sizes that a file declares: a few bytes can ask it for more memory than there
//! is, which ends the process instead of failing the file. These checks walk the same structures (Thrift compact protocol,
//! <https://parquet.apache.org/docs/file-format/metadata/>) without allocating.

use datafusion::parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};

/// More columns, with the levels above them, than any flow log has.
const SCHEMA_ELEMENTS: i64 = 1024;

/// Unpacked bytes of the pages that are in memory together: the dictionary and one data page of every column.
const PAGES_AT_ONCE: u64 = 512 << 20;

/// Encodings in page headers: `PLAIN`, `PLAIN_DICTIONARY`, `RLE`, `BIT_PACKED`, `DELTA_BINARY_PACKED`, `RLE_DICTIONARY`,
/// `BYTE_STREAM_SPLIT`. Those that are missing allocate by a count inside of the packed page.
const ENCODINGS: [i64; 7] = [0, 2, 3, 4, 5, 8, 9];

/// Field types of the Thrift compact protocol.
mod kind {
    pub const STOP: u8 = 0;
    pub const TRUE: u8 = 1;
    pub const FALSE: u8 = 2;
    pub const BYTE: u8 = 3;
    pub const I16: u8 = 4;
    pub const I32: u8 = 5;
    pub const I64: u8 = 6;
    pub const DOUBLE: u8 = 7;
    pub const BINARY: u8 = 8;
    pub const LIST: u8 = 9;
    pub const SET: u8 = 10;
    pub const MAP: u8 = 11;
    pub const STRUCT: u8 = 12;
    pub const UUID: u8 = 13;
}

/// The footer of a Parquet file: the bytes between the data and the length and magic at the end. `None` when there is none.
pub(super) fn footer(file: &[u8]) -> Option<&[u8]> {
    let before_magic = file.strip_suffix(b"PAR1")?;
    let (rest, length) = before_magic.split_last_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    rest.get(rest.len().checked_sub(length)?..)
}

/// True when the counts in the footer are such that the reader can be trusted with it.
pub(super) fn is_sound_footer(footer: &[u8]) -> bool {
    let mut reader = Reader { rest: footer };
    let mut last = 0;
    while let Some((kind, id)) = reader.field(last) {
        last = id;
        // The Parquet reader goes by ids alone: a field of another type would make it read something else than is read here.
        let sound = match (id, kind) {
            (_, kind::STOP) => return true,
            (2, kind::LIST) => reader.schema(),
            (4, kind::LIST) => reader.row_groups(),
            (1, kind::I32) | (3, kind::I64) | (5 | 7, kind::LIST) | (6 | 9, kind::BINARY) | (8, kind::STRUCT) => {
                reader.skip(kind, 0)
            }
            (10.., _) => reader.skip(kind, 0),
            _ => None,
        };
        if sound.is_none() {
            return false;
        }
    }
    false
}

/// Unpacked bytes of all pages of a row group, or why it cannot be read.
pub(super) fn row_group(file: &[u8], group: &RowGroupMetaData) -> Result<u64, String> {
    let (mut at_once, mut all) = (0u64, 0u64);
    for column in group.columns() {
        let pages =
            column_pages(file, column).map_err(|reason| format!("column {}: {reason}", column.column_path()))?;
        at_once = at_once.saturating_add(pages.dictionary).saturating_add(pages.largest);
        all = all.saturating_add(pages.all);
    }
    if at_once > PAGES_AT_ONCE {
        return Err(format!("its pages need {at_once} bytes of memory, {PAGES_AT_ONCE} are allowed"));
    }
    Ok(all)
}

#[derive(Default)]
struct Pages {
    dictionary: u64,
    largest: u64,
    all: u64,
}

fn column_pages(file: &[u8], column: &ColumnChunkMetaData) -> Result<Pages, &'static str> {
    const BROKEN: &str = "its pages are broken";
    let first = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
    let from = usize::try_from(first).map_err(|_| BROKEN)?;
    let length = usize::try_from(column.compressed_size()).map_err(|_| BROKEN)?;
    let chunk = file.get(from..from.checked_add(length).ok_or(BROKEN)?).ok_or(BROKEN)?;
    let mut reader = Reader { rest: chunk };
    let mut pages = Pages::default();
    while !reader.rest.is_empty() {
        let header = reader.page_header().ok_or(BROKEN)?;
        let unpacked = u64::try_from(header.unpacked).map_err(|_| BROKEN)?;
        let packed = usize::try_from(header.packed).map_err(|_| BROKEN)?;
        reader.rest = reader.rest.get(packed..).ok_or(BROKEN)?;
        if !header.has_known_encoding {
            return Err("its encoding is not read; write the file with plain or dictionary encoding");
        }
        if header.is_dictionary {
            if u64::try_from(header.dictionary_values).map_err(|_| BROKEN)? > unpacked {
                return Err(BROKEN);
            }
            pages.dictionary = pages.dictionary.max(unpacked);
        } else {
            pages.largest = pages.largest.max(unpacked);
        }
        pages.all = pages.all.saturating_add(unpacked);
    }
    Ok(pages)
}

struct PageHeader {
    unpacked: i64,
    packed: i64,
    is_dictionary: bool,
    dictionary_values: i64,
    has_known_encoding: bool,
}

/// Reads Thrift structures from the front of its bytes. `None` means that they end too early or make no sense.
struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    fn advance(&mut self, bytes: u64) -> Option<()> {
        self.rest = self.rest.get(usize::try_from(bytes).ok()?..)?;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A signed integer of at most 32 bits.
    fn integer(&mut self) -> Option<i64> {
        let value = self.varint()?;
        let signed = (value >> 1) as i64 ^ -((value & 1) as i64);
        i32::try_from(signed).is_ok().then_some(signed)
    }

    /// Type and id of the next field of a struct, after the field `last`.
    fn field(&mut self, last: i64) -> Option<(u8, i64)> {
        let header = self.byte()?;
        let kind = header & 15;
        if kind == kind::STOP {
            return Some((kind, 0));
        }
        let step = i64::from(header >> 4);
        let id = if step == 0 { self.integer()? } else { last + step };
        i16::try_from(id).is_ok().then_some((kind, id))
    }

    /// Element type and length of a list.
    fn list(&mut self) -> Option<(u8, i64)> {
        let header = self.byte()?;
        let length = match header >> 4 {
            15 => i64::try_from(self.varint()?).ok()?,
            short => i64::from(short),
        };
        Some((header & 15, length))
    }

    /// Steps over a value. Depth is bounded because the Parquet reader recurses in the same way.
    fn skip(&mut self, kind: u8, depth: u8) -> Option<()> {
        if depth > 32 {
            return None;
        }
        match kind {
            kind::TRUE | kind::FALSE => Some(()),
            kind::BYTE => self.advance(1),
            kind::I16 | kind::I32 | kind::I64 => self.varint().map(|_| ()),
            kind::DOUBLE => self.advance(8),
            kind::UUID => self.advance(16),
            kind::BINARY => {
                let length = self.varint()?;
                self.advance(length)
            }
            kind::LIST | kind::SET => {
                let (element, length) = self.list()?;
                (0..length).try_for_each(|_| self.skip_element(element, depth + 1))
            }
            kind::MAP => {
                let length = self.varint()?;
                let kinds = if length == 0 { 0 } else { self.byte()? };
                (0..length).try_for_each(|_| {
                    self.skip_element(kinds >> 4, depth + 1)?;
                    self.skip_element(kinds & 15, depth + 1)
                })
            }
            kind::STRUCT => loop {
                let (kind, _) = self.field(0)?;
                if kind == kind::STOP {
                    return Some(());
                }
                self.skip(kind, depth + 1)?;
            },
            _ => None,
        }
    }

    /// Steps over an element of a list or map: booleans take a byte there.
    fn skip_element(&mut self, kind: u8, depth: u8) -> Option<()> {
        if matches!(kind, kind::TRUE | kind::FALSE) { self.advance(1) } else { self.skip(kind, depth) }
    }

    /// The schema: a list of elements, each of which says how many of the next are its children.
    fn schema(&mut self) -> Option<()> {
        let (kind, length) = self.list()?;
        if kind != kind::STRUCT || length > SCHEMA_ELEMENTS {
            return None;
        }
        for _ in 0..length {
            let mut last = 0;
            loop {
                let (kind, id) = self.field(last)?;
                last = id;
                match (id, kind) {
                    (_, kind::STOP) => break,
                    (5, kind::I32) => {
                        if self.integer()? > length {
                            return None;
                        }
                    }
                    (1..=3 | 6..=9, kind::I32) | (4, kind::BINARY) | (10, kind::STRUCT) | (11.., _) => {
                        self.skip(kind, 0)?
                    }
                    _ => return None,
                }
            }
        }
        Some(())
    }

    /// The row groups: the reader makes room for as many as the list declares.
    fn row_groups(&mut self) -> Option<()> {
        let (kind, length) = self.list()?;
        if kind != kind::STRUCT || length > i64::from(i16::MAX) {
            return None;
        }
        (0..length).try_for_each(|_| self.skip(kind, 1))
    }

    fn page_header(&mut self) -> Option<PageHeader> {
        let mut header =
            PageHeader { unpacked: 0, packed: 0, is_dictionary: false, dictionary_values: 0, has_known_encoding: true };
        let mut last = 0;
        loop {
            let (kind, id) = self.field(last)?;
            last = id;
            match (id, kind) {
                (_, kind::STOP) => return Some(header),
                (2, kind::I32) => header.unpacked = self.integer()?,
                (3, kind::I32) => header.packed = self.integer()?,
                (5 | 7 | 8, kind::STRUCT) => {
                    let (values, encoding) = self.page_details(if id == 8 { 4 } else { 2 })?;
                    header.has_known_encoding &= ENCODINGS.contains(&encoding);
                    if id == 7 {
                        header.is_dictionary = true;
                        header.dictionary_values = values;
                    }
                }
                (1 | 4, kind::I32) | (6, kind::STRUCT) | (9.., _) => self.skip(kind, 0)?,
                _ => return None,
            }
        }
    }

    /// Number of values and encoding of a page; `encoding` is the id of the latter's field.
    fn page_details(&mut self, encoding: i64) -> Option<(i64, i64)> {
        let (mut values, mut encoded) = (0, 0);
        let mut last = 0;
        loop {
            let (kind, id) = self.field(last)?;
            last = id;
            match (id, kind) {
                (_, kind::STOP) => return Some((values, encoded)),
                (1, kind::I32) => values = self.integer()?,
                (id, kind::I32) if id == encoding => encoded = self.integer()?,
                _ => self.skip(kind, 0)?,
            }
        }
    }
}
