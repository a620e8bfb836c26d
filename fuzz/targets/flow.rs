//! Flow logs: a line, a text object and a Parquet file from the same bytes.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use trailhound::logs::rows::Rows;
use trailhound::logs::sink::Sink;
use trailhound::logs::vpcflow::{Format, VPCFLOW, decode, looks_like_line, parquet, text};

fuzz_target!(init: trailhound_fuzz::quiet(), |data: &[u8]| {
    if let Ok(lines) = std::str::from_utf8(data) {
        for line in lines.lines() {
            looks_like_line(line);
            for format in [Format::from_header(line), Format::guess(line)].into_iter().flatten() {
                let mut rows = Rows::new(VPCFLOW.table);
                let refused = decode(&mut rows, &format, 0, line).is_err();
                assert_eq!(rows.len(), usize::from(!refused));
                let taken = rows.take("o").map_or(0, |batch| batch.rows.num_rows());
                assert_eq!(taken, usize::from(!refused));
            }
        }
    }
    check(|sink| text(data, sink));
    check(|sink| {
        parquet(&Bytes::copy_from_slice(data), sink);
    });
});

/// Reads into a sink and compares its counts.
fn check(read: impl FnOnce(&mut Sink)) {
    let mut sink = Sink::new(0);
    read(&mut sink);
    let decoded = sink.finish("o");
    let rows: usize = decoded.batches.iter().map(|batch| batch.rows.num_rows()).sum();
    let read: u64 = decoded.found.counts.iter().map(|counts| counts.read - counts.quarantined).sum();
    assert_eq!(rows as u64, read);
}
