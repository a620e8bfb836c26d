//! How fast one core decodes CloudTrail, beside the floor: inflating, and inflating plus parsing with nothing kept.
//!
//! `cargo bench --bench decode` makes its own objects. `TRAILHOUND_BENCH_ARCHIVE=/folder` takes the `.gz` objects below
//! that folder instead. Speeds are unpacked bytes per second of CPU time (of wall time where the system does not tell),
//! best of several rounds.

mod corpus;

use std::path::Path;
use std::time::Instant;

use libdeflater::Decompressor;
use serde::Deserialize;
use sonic_rs::LazyValue;
use trailhound::logs::{NoBodies, framing};

const ROUNDS: usize = 7;
const LARGEST_ARCHIVE: usize = 64 << 20;

/// The fields that every event has; sub-objects are passed over, not read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code)]
struct Event<'a> {
    #[serde(borrow, default)]
    user_identity: Option<LazyValue<'a>>,
    #[serde(borrow, default)]
    event_time: Option<&'a str>,
    #[serde(borrow, default)]
    event_source: Option<&'a str>,
    #[serde(borrow, default)]
    event_name: Option<&'a str>,
    #[serde(borrow, default)]
    aws_region: Option<&'a str>,
    #[serde(borrow, default, rename = "sourceIPAddress")]
    source: Option<&'a str>,
    #[serde(borrow, default)]
    user_agent: Option<LazyValue<'a>>,
    #[serde(borrow, default)]
    request_parameters: Option<LazyValue<'a>>,
    #[serde(borrow, default)]
    response_elements: Option<LazyValue<'a>>,
    #[serde(borrow, default)]
    additional_event_data: Option<LazyValue<'a>>,
    #[serde(borrow, default)]
    resources: Option<LazyValue<'a>>,
    #[serde(borrow, default, rename = "eventID")]
    id: Option<&'a str>,
    #[serde(borrow, default, rename = "requestID")]
    request: Option<&'a str>,
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow, rename = "Records")]
    records: Vec<Event<'a>>,
}

fn main() {
    let archive = match std::env::var_os("TRAILHOUND_BENCH_ARCHIVE") {
        Some(folder) => {
            let mut objects = Vec::new();
            collect(Path::new(&folder), &mut objects);
            objects
        }
        None => (0..24).map(|object| corpus::pack(&corpus::made_object(object, 24))).collect(),
    };
    let mut inflater = Decompressor::new();
    let mut buffer = vec![0u8; 256 << 20];
    let mut measure = |name: &str, work: &mut dyn FnMut(&[u8]) -> usize| -> f64 {
        let (mut best, mut bytes, mut records) = (f64::MAX, 0, 0);
        for _ in 0..ROUNDS {
            (bytes, records) = (0, 0);
            let clock = Clock::start();
            for object in &archive {
                let length = inflater.gzip_decompress(object, &mut buffer).expect("an intact gzip object");
                bytes += length;
                records += work(&buffer[..length]);
            }
            best = best.min(clock.seconds());
        }
        let speed = bytes as f64 / best / 1e6;
        println!("{name:44} {speed:7.0} MB/s  {:6.3} ns/byte  {records} records", best / bytes as f64 * 1e9);
        speed
    };
    measure("inflate (libdeflate)", &mut |_| 0);
    let floor = measure("inflate + sonic-rs, sub-objects passed over", &mut |json| {
        sonic_rs::from_slice::<Object>(json).expect("an object with records").records.len()
    });
    let ours = measure("inflate + decode to Arrow", &mut |json| {
        let decoded = framing::decode("s3://bench/object.json.gz", json, &NoBodies, 0);
        decoded.batches.iter().map(|batch| batch.rows.num_rows()).sum()
    });
    println!("decode runs at {:.0} % of inflate + sonic-rs", ours / floor * 100.0);
}

/// Measures this thread's CPU time, so that other work on the machine does not count.
struct Clock(Instant, Option<u64>);

impl Clock {
    fn start() -> Self {
        Clock(Instant::now(), on_cpu())
    }

    fn seconds(&self) -> f64 {
        match (self.1, on_cpu()) {
            (Some(before), Some(now)) => (now - before) as f64 / 1e9,
            _ => self.0.elapsed().as_secs_f64(),
        }
    }
}

/// Nanoseconds that this thread has run, from Linux.
fn on_cpu() -> Option<u64> {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok()
}

fn collect(folder: &Path, objects: &mut Vec<Vec<u8>>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, objects);
        } else if path.extension().is_some_and(|extension| extension == "gz")
            && objects.iter().map(Vec::len).sum::<usize>() < LARGEST_ARCHIVE
        {
            objects.push(std::fs::read(path).expect("a readable object"));
        }
    }
}
