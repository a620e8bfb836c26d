//! The texts that a column of a file has, as its dictionaries tell: without a look at its rows.

use std::collections::HashSet;
use std::io::Read;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::basic::Encoding;
use datafusion::parquet::column::page::{Page, PageReader};
use datafusion::parquet::errors::{ParquetError, Result};
use datafusion::parquet::file::metadata::ColumnChunkMetaData;
use datafusion::parquet::file::page_index::offset_index::PageLocation;
use datafusion::parquet::file::reader::{ChunkReader, Length, SerializedPageReader};

/// Bytes of a dictionary with more texts than are worth asking for.
const MOST_BYTES: u64 = 64 << 10;
/// Texts of a column that are told at most: of many files they are in memory at a time.
const MOST_TEXTS: usize = 4_096;

/// Texts of a column, null as none.
pub type Texts = HashSet<Option<String>>;

/// The texts of `column` in a file, perhaps with some that none of its rows has; none when they are not all in dictionaries,
/// or many, or cannot be read.
pub async fn texts(mut reader: Box<dyn AsyncFileReader + Send>, column: &str) -> Option<Texts> {
    let metadata = reader.get_metadata(None).await.ok()?;
    let columns = metadata.file_metadata().schema_descr().columns();
    let place = columns.iter().position(|leaf| leaf.path().string() == column)?;
    let mut texts = Texts::new();
    for group in metadata.row_groups() {
        let chunk = group.columns().get(place)?;
        let nulls = chunk.statistics()?.null_count_opt()?;
        if nulls > 0 {
            texts.insert(None);
        }
        if nulls == group.num_rows() as u64 {
            continue;
        }
        let mask = chunk.page_encoding_stats_mask()?;
        if !mask.is_only(Encoding::RLE_DICTIONARY) && !mask.is_only(Encoding::PLAIN_DICTIONARY) {
            return None;
        }
        let begin = u64::try_from(chunk.dictionary_page_offset()?).ok()?;
        let end = u64::try_from(chunk.data_page_offset()).ok()?;
        if end.checked_sub(begin)? > MOST_BYTES {
            return None;
        }
        let bytes = reader.get_bytes(begin..end).await.ok()?;
        add(dictionary(Part { begin, bytes }, chunk)?, &mut texts)?;
        if texts.len() > MOST_TEXTS {
            return None;
        }
    }
    Some(texts)
}

/// The dictionary of a column chunk, unpacked: each text after its length, four bytes, little endian ("Plain" in the Parquet
/// format's Encodings.md).
fn dictionary(part: Part, chunk: &ColumnChunkMetaData) -> Option<Bytes> {
    // What comes before the first page of values is taken for the dictionary.
    let first = PageLocation { offset: chunk.data_page_offset(), compressed_page_size: 0, first_row_index: 0 };
    let mut pages = SerializedPageReader::new(Arc::new(part), chunk, 0, Some(vec![first])).ok()?;
    match pages.get_next_page().ok()?? {
        Page::DictionaryPage { buf, .. } => Some(buf),
        _ => None,
    }
}

fn add(mut dictionary: Bytes, texts: &mut Texts) -> Option<()> {
    while dictionary.has_remaining() {
        let length = dictionary.try_get_u32_le().ok()? as usize;
        if length > dictionary.remaining() {
            return None;
        }
        texts.insert(Some(String::from_utf8(dictionary.split_to(length).to_vec()).ok()?));
    }
    Some(())
}

/// Some bytes of a file.
struct Part {
    /// Where they stand in it.
    begin: u64,
    bytes: Bytes,
}

impl Part {
    fn from(&self, start: u64) -> Result<Bytes> {
        let place = start.checked_sub(self.begin).and_then(|place| usize::try_from(place).ok());
        let rest = place.filter(|place| *place <= self.bytes.len()).map(|place| self.bytes.slice(place..));
        rest.ok_or_else(|| ParquetError::EOF("the dictionary ends before".into()))
    }
}

impl Length for Part {
    fn len(&self) -> u64 {
        self.begin + self.bytes.len() as u64
    }
}

impl ChunkReader for Part {
    type T = Box<dyn Read + Send>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(Box::new(self.from(start)?.reader()))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let rest = self.from(start)?;
        if length > rest.len() {
            return Err(ParquetError::EOF("the dictionary ends before".into()));
        }
        Ok(rest.slice(..length))
    }
}
