//! Unpacking: gzip and zstd are told by their content, inflated within a limit, and kept up to a fault.

use bytes::Bytes;

use super::gzip;

/// Objects are packed once; a copying tool may have packed them again. Deeper nesting is not a log.
const LAYERS: usize = 2;
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// What an object holds when it is unpacked.
#[derive(Debug, Clone, PartialEq)]
pub struct Unpacked {
    /// The bytes up to the end or to the first fault; empty when the object is larger than the limit.
    pub bytes: Bytes,
    /// Why the bytes are not all there, and what to do.
    pub problem: Option<String>,
}

/// Unpacks an object: plain, gzip (also several members in a row), zstd, or one inside the other.
///
/// Never holds more than about `limit` bytes of output, whatever the input claims.
pub fn unpack(bytes: Bytes, limit: u64) -> Unpacked {
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut now = Unpacked { bytes, problem: None };
    for _ in 0..LAYERS {
        let layer = match packing(&now.bytes) {
            Some(Packing::Gzip) => gzip::inflate(&now.bytes, most),
            Some(Packing::Zstd) => inflate_zstd(&now.bytes, most),
            None => break,
        };
        now.bytes = Bytes::from(layer.bytes);
        now.problem = now.problem.or(layer.problem);
    }
    if packing(&now.bytes).is_some() {
        let reason = format!("packed more than {LAYERS} times over; unpack it first");
        return Unpacked { bytes: Bytes::new(), problem: Some(reason) };
    }
    if now.bytes.len() > most {
        return Unpacked { bytes: Bytes::new(), problem: Some(too_large(limit)) };
    }
    now
}

/// The sentence for an object that is larger than the limit.
pub fn too_large(limit: u64) -> String {
    format!("larger than {} when unpacked; raise --max-object-size if it is really a log", size(limit))
}

/// Output of one layer.
pub(super) struct Layer {
    pub bytes: Vec<u8>,
    pub problem: Option<String>,
}

impl Layer {
    /// A layer whose output passed the limit: nothing of it is kept.
    pub fn too_large(most: usize) -> Layer {
        Layer { bytes: Vec::new(), problem: Some(too_large(most as u64)) }
    }
}

/// Makes room for more output: doubling, but never past one byte more than the limit. False when that room is used up.
pub(super) fn make_room(out: &mut Vec<u8>, most: usize) -> bool {
    if out.len() > most {
        return false;
    }
    if out.len() == out.capacity() {
        let left = most.saturating_add(1) - out.len();
        out.reserve_exact(left.min(out.len().max(64 << 10)));
    }
    true
}

/// A count of bytes or other things with its thousands apart: 1,234,567.
pub(super) fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes / 1024),
        _ => format!("{} MiB", bytes / 1_048_576),
    }
}

enum Packing {
    Gzip,
    Zstd,
}

fn packing(bytes: &[u8]) -> Option<Packing> {
    if bytes.starts_with(&gzip::MAGIC) {
        return Some(Packing::Gzip);
    }
    bytes.starts_with(&ZSTD).then_some(Packing::Zstd)
}

fn inflate_zstd(input: &[u8], most: usize) -> Layer {
    let mut bytes = Vec::new();
    let fault = match zstd::stream::raw::Decoder::new() {
        Ok(decoder) => run_zstd(decoder, input, most, &mut bytes).err(),
        Err(error) => Some(format!("zstd could not be started: {error}")),
    };
    if bytes.len() > most {
        return Layer::too_large(most);
    }
    Layer { bytes, problem: fault }
}

fn run_zstd(
    mut decoder: zstd::stream::raw::Decoder<'_>,
    input: &[u8],
    most: usize,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    use zstd::stream::raw::{DParameter, InBuffer, Operation, OutBuffer};
    // A window larger than the output would only serve to use memory up; 8 MiB is what the usual levels need.
    let window = (most.max(1).ilog2() + 1).clamp(23, 27);
    decoder.set_parameter(DParameter::WindowLogMax(window)).map_err(|error| error.to_string())?;
    let mut source = InBuffer::around(input);
    let mut frame_ended = false;
    while make_room(out, most) {
        let before = (out.len(), source.pos());
        if source.pos() == input.len() && frame_ended {
            return Ok(());
        }
        let filled = out.len();
        let mut sink = OutBuffer::around_pos(out, filled);
        let hint = decoder.run(&mut source, &mut sink).map_err(|error| {
            format!("zstd data is damaged at byte {}: {error}; copy the object again", count(before.1))
        })?;
        frame_ended = hint == 0;
        if (out.len(), source.pos()) == before {
            return Err(format!("zstd data ends after {} bytes: it is truncated; copy it again", count(input.len())));
        }
    }
    Ok(())
}
