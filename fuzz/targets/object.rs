//! Whole objects: whatever the bytes, every record becomes a row or is quarantined, and the counts agree.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trailhound::logs::{NoBodies, framing};

fuzz_target!(init: trailhound_fuzz::quiet(), |data: &[u8]| {
    let decoded = framing::decode("s3://bucket/object", data, &NoBodies, 0);
    let rows: usize = decoded.batches.iter().map(|batch| batch.rows.num_rows()).sum();
    let read: u64 = decoded.found.counts.iter().map(|counts| counts.read - counts.quarantined).sum();
    assert_eq!(rows as u64, read);
});
