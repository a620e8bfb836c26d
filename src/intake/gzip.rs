//! Gzip: one whole member at full speed, everything else (members in a row, faults) piece by piece.

use flate2::{Decompress, FlushDecompress, Status};

use super::unpack::{Layer, make_room};
use crate::error::grouped;

/// The first bytes of every gzip member: the magic and the only method there is (RFC 1952).
pub(super) const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
const HEADER: usize = 10;
const TRAILER: usize = 8;
/// Deflate cannot grow data by more than this (zlib's technical notes).
const MOST_GROWTH: usize = 1032;

/// Inflates all members of `input`, at most `most` bytes of output.
pub(super) fn inflate(input: &[u8], most: usize) -> Layer {
    match whole(input, most) {
        Some(bytes) => Layer { bytes, problem: None },
        None => piecewise(input, most),
    }
}

/// One member that fills the input. `None` when it may be anything else.
fn whole(input: &[u8], most: usize) -> Option<Vec<u8>> {
    let (crc, length) = trailer(input.last_chunk()?);
    let length = length as usize;
    // The length is modulo 2^32 and only a claim: it sizes the buffer, and libdeflate stops at its end.
    if length > most || length > input.len().saturating_mul(MOST_GROWTH) {
        return None;
    }
    if memchr::memmem::find(input.get(HEADER..)?, &MAGIC).is_some() {
        return None;
    }
    let mut out = vec![0; length];
    let written = libdeflater::Decompressor::new().gzip_decompress(input, &mut out).ok()?;
    // libdeflate reads the first member only: its end is the end of the input when the last trailer is its own.
    (written == length && libdeflater::crc32(&out) == crc).then_some(out)
}

fn trailer(bytes: &[u8; TRAILER]) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = *bytes;
    (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))
}

fn piecewise(input: &[u8], most: usize) -> Layer {
    let mut bytes = Vec::new();
    let mut inflater = Decompress::new(false);
    let mut at = 0;
    while let Some(rest) = input.get(at..).filter(|rest| !rest.is_empty()) {
        if at > 0 && !rest.starts_with(&MAGIC) {
            // Tapes and some archivers fill the last block with zeros.
            let problem = rest.iter().any(|b| *b != 0).then(|| {
                format!(
                    "{} bytes after the end of the gzip data are not gzip; they were left out",
                    grouped(rest.len() as u64)
                )
            });
            return Layer { bytes, problem };
        }
        match member(rest, &mut inflater, most, &mut bytes) {
            Ok(length) => at += length,
            Err(Fault::TooLarge) => return Layer::too_large(most),
            Err(Fault::Ended) => {
                let problem = format!(
                    "gzip ends after {} bytes: the file is truncated; copy it again",
                    grouped(input.len() as u64)
                );
                return Layer { bytes, problem: Some(problem) };
            }
            Err(Fault::Damaged(what)) => {
                let problem = format!(
                    "gzip data is damaged in the member at byte {} ({what}); copy the object again",
                    grouped(at as u64)
                );
                return Layer { bytes, problem: Some(problem) };
            }
        }
        inflater.reset(false);
    }
    Layer { bytes, problem: None }
}

enum Fault {
    TooLarge,
    Ended,
    Damaged(&'static str),
}

/// Inflates the member that starts `input` and returns its packed length.
fn member(input: &[u8], inflater: &mut Decompress, most: usize, out: &mut Vec<u8>) -> Result<usize, Fault> {
    let start = header(input).ok_or(Fault::Ended)?;
    let body = input.get(start..).ok_or(Fault::Ended)?;
    let first = out.len();
    loop {
        if !make_room(out, most) {
            return Err(Fault::TooLarge);
        }
        let read = inflater.total_in() as usize;
        let filled = out.len();
        let left = body.get(read..).unwrap_or_default();
        match inflater.decompress_vec(left, out, FlushDecompress::None) {
            Ok(Status::StreamEnd) => break,
            Err(_) => return Err(Fault::Damaged("not deflate data")),
            Ok(_) if inflater.total_in() as usize == read && out.len() == filled => return Err(Fault::Ended),
            Ok(_) => {}
        }
    }
    if out.len() > most {
        return Err(Fault::TooLarge);
    }
    let end = inflater.total_in() as usize;
    let (crc, length) = body.get(end..).and_then(|rest| rest.first_chunk()).map(trailer).ok_or(Fault::Ended)?;
    let plain = out.get(first..).unwrap_or_default();
    if length != plain.len() as u32 || libdeflater::crc32(plain) != crc {
        return Err(Fault::Damaged("its checksum differs"));
    }
    Ok(start + end + TRAILER)
}

/// Length of the header of a member: ten fixed bytes and the optional parts that its flags name (RFC 1952, section 2.3).
fn header(input: &[u8]) -> Option<usize> {
    let flags = *input.get(3)?;
    let mut at = HEADER;
    if flags & 4 != 0 {
        let length = u16::from_le_bytes([*input.get(at)?, *input.get(at + 1)?]);
        at += 2 + usize::from(length);
    }
    for text in [8, 16] {
        if flags & text != 0 {
            at += memchr::memchr(0, input.get(at..)?)? + 1;
        }
    }
    if flags & 2 != 0 {
        at += 2;
    }
    (at <= input.len()).then_some(at)
}
