//! Packed bytes: the output never passes the limit.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use trailhound::intake::unpack::unpack;

const LIMIT: u64 = 1 << 20;

fuzz_target!(init: trailhound_fuzz::quiet(), |data: &[u8]| {
    let unpacked = unpack(Bytes::copy_from_slice(data), LIMIT);
    assert!(unpacked.bytes.len() as u64 <= LIMIT);
});
