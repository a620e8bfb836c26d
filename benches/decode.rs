//! How fast one core decodes each log, beside its floors: inflating, and inflating plus parsing with nothing kept.
//!
//! `cargo bench --bench decode` makes its own objects; the names of logs after `--` choose among them.
//! `TRAILHOUND_BENCH_ARCHIVE=/folder` takes the `.gz` objects of CloudTrail below that folder instead. Speeds are unpacked
//! bytes, and records, per second of CPU time (of wall time where the system does not tell), the median of several rounds.

mod corpus;

use std::hint::black_box;
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

/// The fields that every model invocation has, with bodies as `Body` reads them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code)]
struct Invocation<'a, Body> {
    timestamp: &'a str,
    account_id: &'a str,
    region: &'a str,
    request_id: &'a str,
    operation: &'a str,
    model_id: &'a str,
    #[serde(borrow)]
    identity: LazyValue<'a>,
    input: Body,
    output: Body,
}

fn main() {
    let chosen: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |log: &str| chosen.is_empty() || chosen.iter().any(|name| name == log);
    if wanted("cloudtrail") {
        cloudtrail();
    }
    if wanted("vpcflow") {
        flows("default format, 14 fields", corpus::flows::default_object);
        flows("custom format, 29 fields", corpus::flows::custom_object);
    }
    if wanted("bedrock") {
        invocations();
    }
}

fn cloudtrail() {
    let mut bench = match std::env::var_os("TRAILHOUND_BENCH_ARCHIVE") {
        Some(folder) => {
            let mut objects = Vec::new();
            collect(Path::new(&folder), &mut objects);
            Bench::of("cloudtrail", objects)
        }
        None => Bench::of("cloudtrail", (0..24).map(|object| corpus::pack(&corpus::made_object(object, 24))).collect()),
    };
    let floor = bench.measure("inflate + sonic-rs, sub-objects passed over", &mut |json| {
        sonic_rs::from_slice::<Object>(json).expect("an object with records").records.len()
    });
    bench.decode(&[("inflate + sonic-rs", floor)]);
}

fn flows(format: &str, object: fn(u64) -> String) {
    let mut bench =
        Bench::of(&format!("vpcflow, {format}"), (0..8).map(|number| corpus::pack(&object(number))).collect());
    let floor = bench.measure("inflate + memchr, lines and fields counted", &mut |text| {
        each_line(text, |line| {
            black_box(memchr::memchr_iter(b' ', line).fold(0, |sum, at| sum ^ at));
        })
    });
    bench.decode(&[("inflate + memchr", floor)]);
}

fn invocations() {
    let objects = (0..6).map(|object| corpus::pack(&corpus::invocations::made_object(object))).collect();
    let mut bench = Bench::of("bedrock, large bodies", objects);
    let lazy = bench.measure("inflate + sonic-rs, bodies passed over", &mut |text| {
        each_line(text, |line| drop(black_box(sonic_rs::from_slice::<Invocation<LazyValue>>(line).expect("a record"))))
    });
    let parsed = bench.measure("inflate + sonic-rs, bodies parsed", &mut |text| {
        each_line(text, |line| {
            drop(black_box(sonic_rs::from_slice::<Invocation<sonic_rs::Value>>(line).expect("a record")))
        })
    });
    bench.decode(&[("inflate + sonic-rs with bodies passed over", lazy), ("with bodies parsed", parsed)]);
}

/// Calls `read` with each line; returns their number.
fn each_line(text: &[u8], read: impl Fn(&[u8])) -> usize {
    let (mut lines, mut from) = (0, 0);
    for end in memchr::memchr_iter(b'\n', text) {
        read(&text[from..end]);
        (lines, from) = (lines + 1, end + 1);
    }
    lines
}

/// Packed objects and what is needed to measure work on them.
struct Bench {
    archive: Vec<Vec<u8>>,
    inflater: Decompressor,
    buffer: Vec<u8>,
}

impl Bench {
    fn of(name: &str, archive: Vec<Vec<u8>>) -> Self {
        println!("{name}");
        let mut bench = Bench { archive, inflater: Decompressor::new(), buffer: vec![0; 256 << 20] };
        bench.measure("inflate (libdeflate)", &mut |_| 0);
        bench
    }

    /// Unpacks every object and does `work` on it, which returns the number of records. Returns bytes per microsecond.
    fn measure(&mut self, name: &str, work: &mut dyn FnMut(&[u8]) -> usize) -> f64 {
        let (mut times, mut bytes, mut records) = (Vec::new(), 0, 0);
        for _ in 0..ROUNDS {
            (bytes, records) = (0, 0);
            let clock = Clock::start();
            for object in &self.archive {
                let length = self.inflater.gzip_decompress(object, &mut self.buffer).expect("an intact gzip object");
                bytes += length;
                records += work(&self.buffer[..length]);
            }
            times.push(clock.seconds());
        }
        times.sort_by(f64::total_cmp);
        let time = times[ROUNDS / 2];
        let (speed, rate) = (bytes as f64 / time / 1e6, records as f64 / time / 1e3);
        println!("  {name:44} {speed:7.0} MB/s  {:6.3} ns/byte  {rate:7.0} k records/s", time / bytes as f64 * 1e9);
        speed
    }

    /// Measures decoding, and says how it compares with each floor.
    fn decode(&mut self, floors: &[(&str, f64)]) {
        let ours = self.measure("inflate + decode to Arrow", &mut |bytes| {
            let decoded = framing::decode("s3://bench/object.gz", bytes, &NoBodies, 0);
            decoded.batches.iter().map(|batch| batch.rows.num_rows()).sum()
        });
        let shares = floors.iter().map(|(name, floor)| format!("{:.0} % of {name}", ours / floor * 100.0));
        println!("  decode runs at {}\n", shares.collect::<Vec<_>>().join(", "));
    }
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

/// Nanoseconds that this thread has run, from Linux, which brings the number up to date when the thread yields.
fn on_cpu() -> Option<u64> {
    std::thread::yield_now();
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
