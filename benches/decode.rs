//! How fast one core decodes each log, beside its floors: inflating, and inflating plus parsing with nothing kept.
//!
//! `cargo bench --bench decode` makes its own objects; the names of logs after `--` choose among them.
//! `TRAILHOUND_BENCH_ARCHIVE=/folder` takes the `.gz` objects of CloudTrail below that folder instead. Speeds are unpacked
//! bytes, and records, per second of CPU time (of wall time where the system does not tell), the median of several rounds.
//! Each round measures the floors and the decoder one after the other: what else the machine does slows them alike.

mod corpus;

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use libdeflater::Decompressor;
use serde::Deserialize;
use sonic_rs::LazyValue;
use trailhound::logs::{NoBodies, framing};

const ROUNDS: usize = 15;
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
    let bench = match std::env::var_os("TRAILHOUND_BENCH_ARCHIVE") {
        Some(folder) => {
            let mut objects = Vec::new();
            collect(Path::new(&folder), &mut objects);
            Bench::of("cloudtrail", objects)
        }
        None => Bench::of("cloudtrail", (0..24).map(|object| corpus::pack(&corpus::made_object(object, 24))).collect()),
    };
    let parse = |json: &[u8]| sonic_rs::from_slice::<Object>(json).expect("an object with records").records.len();
    bench.compare(&[("sonic-rs, sub-objects passed over", &parse)]);
}

fn flows(format: &str, object: fn(u64) -> String) {
    let bench = Bench::of(&format!("vpcflow, {format}"), (0..8).map(|number| corpus::pack(&object(number))).collect());
    let count = |text: &[u8]| {
        each_line(text, |line| {
            black_box(memchr::memchr_iter(b' ', line).fold(0, |sum, at| sum ^ at));
        })
    };
    bench.compare(&[("memchr, lines and fields counted", &count)]);
}

fn invocations() {
    let objects = (0..6).map(|object| corpus::pack(&corpus::invocations::made_object(object))).collect();
    let lazy = |text: &[u8]| {
        each_line(text, |line| drop(black_box(sonic_rs::from_slice::<Invocation<LazyValue>>(line).expect("a record"))))
    };
    let parsed = |text: &[u8]| {
        each_line(text, |line| {
            drop(black_box(sonic_rs::from_slice::<Invocation<sonic_rs::Value>>(line).expect("a record")))
        })
    };
    Bench::of("bedrock, large bodies", objects)
        .compare(&[("sonic-rs, bodies passed over", &lazy), ("sonic-rs, bodies parsed", &parsed)]);
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

/// Work on an unpacked object, which returns the number of its records.
type Work<'w> = &'w dyn Fn(&[u8]) -> usize;

/// Packed objects and what is needed to measure work on them.
struct Bench {
    archive: Vec<Vec<u8>>,
    inflater: Decompressor,
    buffer: Vec<u8>,
}

/// What one round of some work took.
#[derive(Clone, Copy)]
struct Taken {
    seconds: f64,
    bytes: usize,
    records: usize,
}

impl Bench {
    fn of(name: &str, archive: Vec<Vec<u8>>) -> Self {
        println!("{name}");
        Bench { archive, inflater: Decompressor::new(), buffer: vec![0; 256 << 20] }
    }

    /// Unpacks every object and does `work` on it.
    fn time(&mut self, work: Work) -> Taken {
        let (mut bytes, mut records) = (0, 0);
        let clock = Clock::start();
        for object in &self.archive {
            let length = self.inflater.gzip_decompress(object, &mut self.buffer).expect("an intact gzip object");
            bytes += length;
            records += work(&self.buffer[..length]);
        }
        Taken { seconds: clock.seconds(), bytes, records }
    }

    /// Measures inflating, inflating with each of the floors, and decoding, and says how decoding compares with the floors.
    fn compare(mut self, floors: &[(&str, Work)]) {
        let decode = |bytes: &[u8]| {
            let decoded = framing::decode("s3://bench/object.gz", bytes, &NoBodies, 0);
            decoded.batches.iter().map(|batch| batch.rows.num_rows()).sum()
        };
        let mut works: Vec<(&str, Work)> = vec![("nothing else (libdeflate)", &|_| 0)];
        works.extend_from_slice(floors);
        works.push(("decode to Arrow", &decode));
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push(works.iter().map(|(_, work)| self.time(*work)).collect::<Vec<Taken>>());
        }
        for (place, (name, _)) in works.iter().enumerate() {
            let seconds = median(rounds.iter().map(|round| round[place].seconds));
            let Taken { bytes, records, .. } = rounds[0][place];
            let (speed, rate) = (bytes as f64 / seconds / 1e6, records as f64 / seconds / 1e3);
            let each = seconds / bytes as f64 * 1e9;
            println!("  inflate + {name:34} {speed:7.0} MB/s  {each:6.3} ns/byte  {rate:7.0} k records/s");
        }
        for (place, (name, _)) in floors.iter().enumerate() {
            let of = |round: &Vec<Taken>| round[place + 1].seconds / round[works.len() - 1].seconds;
            println!("  decode runs at {:.0} % of inflate + {name}", median(rounds.iter().map(of)) * 100.0);
        }
        println!();
    }
}

/// The value in the middle.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
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
