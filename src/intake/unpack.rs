//! Unpacking: gzip and zstd are told by their content, inflated within a limit, and kept up to a fault.

use bytes::Bytes;

use super::gzip;
use crate::error::grouped;

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
            format!("zstd data is damaged at byte {}: {error}; copy the object again", grouped(before.1 as u64))
        })?;
        frame_ended = hint == 0;
        if (out.len(), source.pos()) == before {
            return Err(format!(
                "zstd data ends after {} bytes: it is truncated; copy it again",
                grouped(input.len() as u64)
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compress, Compression, FlushCompress};
    use proptest::prelude::*;

    use super::*;

    const LIMIT: u64 = 16 << 20;

    fn gz(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn zst(plain: &[u8]) -> Vec<u8> {
        zstd::encode_all(plain, 1).unwrap()
    }

    /// Text that does not pack to almost nothing.
    fn records(count: u32) -> Vec<u8> {
        (0..count).flat_map(|i| format!("{{\"n\":{}}}\n", i.wrapping_mul(2_654_435_761)).into_bytes()).collect()
    }

    fn check(packed: Vec<u8>, plain: &[u8], problem: Option<&str>) {
        let unpacked = unpack(Bytes::from(packed), LIMIT);
        match problem {
            None => assert_eq!(unpacked.problem, None),
            Some(part) => {
                let problem = unpacked.problem.expect("a problem");
                assert!(problem.contains(part), "{problem}");
            }
        }
        assert!(unpacked.bytes == plain, "{} bytes for {}", unpacked.bytes.len(), plain.len());
    }

    #[test]
    fn whole_objects_of_each_packing() {
        let plain = records(5000);
        check(plain.clone(), &plain, None);
        check(gz(&plain), &plain, None);
        check(zst(&plain), &plain, None);
        check(gz(&gz(&plain)), &plain, None);
        check(gz(&zst(&plain)), &plain, None);
        check(gz(b""), b"", None);
        check(Vec::new(), b"", None);
    }

    #[test]
    fn members_and_frames_in_a_row_are_one_object() {
        let (one, two) = (records(3000), records(10));
        let both = [one.clone(), two.clone(), one.clone()].concat();
        check([gz(&one), gz(&two), gz(&one)].concat(), &both, None);
        check([gz(&one), gz(b""), gz(&two), gz(&one)].concat(), &both, None);
        check([zst(&one), zst(&two), zst(&one)].concat(), &both, None);
        check([gz(&two), gz(&two)].concat(), &[two.clone(), two].concat(), None);
    }

    #[test]
    fn headers_with_names_and_comments_are_passed() {
        let plain = records(100);
        let builder = flate2::GzBuilder::new().filename("a.json").comment("copied").extra(vec![1; 300]);
        let mut encoder = builder.write(Vec::new(), Compression::best());
        encoder.write_all(&plain).unwrap();
        let packed = encoder.finish().unwrap();
        check(packed.clone(), &plain, None);
        check([packed.clone(), packed].concat(), &[plain.clone(), plain].concat(), None);
    }

    #[test]
    fn what_came_before_a_fault_is_kept() {
        let plain = records(50_000);
        let packed = gz(&plain);
        let half = packed.len() / 2;
        let unpacked = unpack(Bytes::from(packed[..half].to_vec()), LIMIT);
        assert!(unpacked.bytes.len() > plain.len() / 3 && plain.starts_with(&unpacked.bytes));
        let problem = unpacked.problem.unwrap();
        assert!(problem.contains("truncated") && problem.contains(&grouped(half as u64)), "{problem}");

        check(packed[..packed.len() - 3].to_vec(), &plain, Some("truncated"));
        check([packed.clone(), b"trailing junk".to_vec()].concat(), &plain, Some("13 bytes after the end"));
        check([packed.clone(), vec![0; 512]].concat(), &plain, None);
        check([packed.clone(), gz(&plain)[..9].to_vec()].concat(), &plain, Some("truncated"));
        let mut wrong = packed.clone();
        let crc = wrong.len() - 8;
        wrong[crc] ^= 1;
        check(wrong, &plain, Some("checksum"));

        let frames = zst(&plain);
        let cut = unpack(Bytes::from(frames[..frames.len() / 2].to_vec()), LIMIT);
        assert!(!cut.bytes.is_empty() && plain.starts_with(&cut.bytes));
        assert!(cut.problem.unwrap().contains("truncated"));
        check([frames, b"junk".to_vec()].concat(), &plain, Some("damaged"));
    }

    #[test]
    fn damage_inside_is_told_from_truncation() {
        let plain = records(50_000);
        let mut packed = gz(&plain);
        let middle = packed.len() / 2;
        packed[middle..middle + 64].fill(0xff);
        let unpacked = unpack(Bytes::from(packed), LIMIT);
        assert!(unpacked.problem.unwrap().contains("damaged"));
        assert!(unpacked.bytes.len() > plain.len() / 4);
    }

    /// A gibibyte of zeros: the same packed mebibyte again and again.
    fn bomb(claimed: u32) -> Vec<u8> {
        let mut piece = Vec::with_capacity(1 << 20);
        let zeros = vec![0; 1 << 20];
        Compress::new(Compression::best(), false).compress_vec(&zeros, &mut piece, FlushCompress::Full).unwrap();
        let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
        (0..1024).for_each(|_| packed.extend_from_slice(&piece));
        packed.extend([3, 0]);
        packed.extend([0; 4]);
        packed.extend(claimed.to_le_bytes());
        packed
    }

    #[test]
    fn bombs_are_cut_at_the_limit_whatever_they_claim() {
        for claimed in [0, 10, 1 << 30, u32::MAX] {
            check(bomb(claimed), b"", Some("larger than 16 MiB when unpacked; raise --max-object-size"));
        }
        check(gz(&bomb(1 << 30)), b"", Some("--max-object-size"));
        check(zst(&vec![0; 17 << 20]), b"", Some("--max-object-size"));
        check(vec![b'x'; (16 << 20) + 1], b"", Some("--max-object-size"));
        check(vec![b'x'; 16 << 20], &vec![b'x'; 16 << 20], None);
        check(gz(&vec![0; 16 << 20]), &vec![0; 16 << 20], None);
        check(gz(&gz(&gz(b"x"))), b"", Some("packed more than 2 times"));
    }

    #[test]
    fn room_for_output_never_passes_the_limit_by_more_than_a_byte() {
        let mut out = Vec::new();
        while make_room(&mut out, 100_000) {
            out.resize(out.capacity(), 0);
        }
        assert_eq!((out.len(), out.capacity()), (100_001, 100_001));
    }

    #[test]
    fn large_windows_need_a_large_limit() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(&records(10)).unwrap();
        let packed = encoder.finish().unwrap();
        assert!(unpack(Bytes::from(packed.clone()), LIMIT).problem.is_some());
        assert_eq!(unpack(Bytes::from(packed), 512 << 20), Unpacked { bytes: records(10).into(), problem: None });
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic_or_pass_the_limit(
            magic in prop_oneof![Just(vec![]), Just(gzip::MAGIC.to_vec()), Just(ZSTD.to_vec()), Just(gz(b"abc"))],
            rest in proptest::collection::vec(any::<u8>(), 0..300),
            limit in 0u64..200,
        ) {
            let unpacked = unpack(Bytes::from([magic, rest].concat()), limit);
            prop_assert!(unpacked.bytes.len() as u64 <= limit);
        }

        #[test]
        fn any_cut_keeps_a_beginning_and_says_so(seed in 0u32..2000, cut in 0.0f64..1.0, frames in any::<bool>()) {
            let plain = records(seed);
            let packed = if frames { zst(&plain) } else { gz(&plain) };
            let cut = (packed.len() as f64 * cut) as usize;
            let unpacked = unpack(Bytes::from(packed[..cut].to_vec()), LIMIT);
            if cut >= 4 {
                prop_assert!(unpacked.problem.is_some() && plain.starts_with(&unpacked.bytes));
            }
        }

        #[test]
        fn any_flipped_bit_is_noticed_or_harmless(at in 10usize..1000, bit in 0u8..8) {
            let plain = records(300);
            let mut packed = gz(&plain);
            let at = at % packed.len();
            packed[at] ^= 1 << bit;
            let unpacked = unpack(Bytes::from(packed), LIMIT);
            prop_assert!(at < 10 || unpacked.problem.is_some() || unpacked.bytes == plain);
        }
    }
}
