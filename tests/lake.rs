//! The lake over a long time: logs of its tables that stay short, and readers that were away.

#[path = "support/records.rs"]
mod records;

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, SystemTime};

use datafusion::prelude::SessionContext;
use records::record;
use trailhound::error::Error;
use trailhound::lake::objects::{OBJECTS, fingerprint};
use trailhound::lake::{Job, Journal, Lake, OpenFiles, Part, Position};
use trailhound::logs::LOG_TYPES;
use trailhound::logs::rows::Rows;
use trailhound::table::{Kind, Table};

/// Name of an object.
fn uri(object: u32) -> String {
    format!("file:///{object}.json")
}

/// Publishes the records of one object each.
async fn publish(lake: &Lake, journal: &mut Journal, objects: Range<u32>) {
    for object in objects {
        let (part, print) = record(lake, &uri(object)).await;
        journal.publish(&[], &[part], &[print]).await.unwrap();
    }
}

/// The rows that came to the table of objects after a position.
async fn since(journal: &Journal, position: &Position) -> usize {
    rows_since(journal, &OBJECTS, position).await
}

async fn rows_since(journal: &Journal, table: &'static Table, position: &Position) -> usize {
    let added = journal.added_since(table, position).await.unwrap();
    SessionContext::new().read_table(added).unwrap().count().await.unwrap()
}

fn versions(log: &Path) -> Vec<String> {
    let names = log.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".json")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_stay_short_and_readers_that_were_away_miss_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap();
    let log = folder.path().join("objects/_delta_log");
    let lake = Lake::at(place, vec![], vec![]).await.unwrap();
    let mut away = lake.begin().await.unwrap();
    let mut journal = lake.begin().await.unwrap();
    publish(&lake, &mut journal, 0..3).await;
    let early = journal.position().unwrap();
    publish(&lake, &mut journal, 3..150).await;
    let late = journal.position().unwrap();
    assert_eq!((since(&journal, &early).await, since(&journal, &late).await), (147, 0));

    let two_hours_ago = SystemTime::now() - Duration::from_secs(7_200);
    for name in log.read_dir().unwrap() {
        File::options().write(true).open(name.unwrap().path()).unwrap().set_modified(two_hours_ago).unwrap();
    }
    publish(&lake, &mut journal, 150..210).await;

    let kept = versions(&log);
    assert!(kept.len() < 120, "{} versions are kept", kept.len());
    assert_eq!(since(&journal, &late).await, 60);
    // What the log no longer says is not taken for nothing: all rows count.
    assert_eq!(since(&journal, &early).await, 210);
    // Nor is a publish that was prepared before taken for one that failed.
    let (part, print) = record(&lake, &uri(210)).await;
    assert!(matches!(away.publish(&[], &[part], &[print]).await, Err(Error::Conflict)));
    away.refresh().await.unwrap();
    assert_eq!(away.position().unwrap(), journal.position().unwrap());
    let mut anew = Lake::at(place, vec![], vec![]).await.unwrap().begin().await.unwrap();
    let uris: Vec<String> = (0..210).map(uri).collect();
    anew.look_for(&uris.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
    assert!(uris.iter().all(|uri| anew.has_seen(fingerprint(uri, "1"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_take_rows_of_their_table_and_day_and_share_the_memory() {
    let folder = tempfile::tempdir().unwrap();
    let [one, other] = [LOG_TYPES[0].table, LOG_TYPES[1].table];
    let lake = Lake::at(folder.path().to_str().unwrap(), vec![one, other], vec![]).await.unwrap();
    let mut files = OpenFiles::default();
    assert_eq!(told(&files.add(job(&lake, one, 0..1, "").encode().unwrap()).unwrap()), []);
    assert_eq!(told(&files.add(job(&lake, other, 1..2, "").encode().unwrap()).unwrap()), []);
    let mut more = job(&lake, one, 2..3, "");
    files.join(&mut more);
    let encoded = more.encode().unwrap();
    let memory = encoded.file.bytes();
    assert!(memory > 64 << 10, "a file that is open takes more than its rows");
    assert_eq!(told(&files.add(encoded).unwrap()), []);
    assert_eq!(told(&files.shrink(memory).unwrap()), [(other.name, 1)], "added to less lately");
    assert_eq!(told(&files.shrink(0).unwrap()), [(one.name, 2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_do_not_compress_a_column_take_no_rows_that_fill_it() {
    let folder = tempfile::tempdir().unwrap();
    let table = LOG_TYPES[0].table;
    let lake = Lake::at(folder.path().to_str().unwrap(), vec![table], vec![]).await.unwrap();
    let long = "much of the same ".repeat(1_000);
    let mut files = OpenFiles::default();
    files.add(job(&lake, table, 0..100, "").encode().unwrap()).unwrap();
    let mut more = job(&lake, table, 100..200, &long);
    files.join(&mut more);
    let encoded = more.encode().unwrap();
    assert!(encoded.file.bytes() < 1 << 20, "{} bytes", encoded.file.bytes());
    assert_eq!(told(&files.add(encoded).unwrap()), [(table.name, 100)]);
    let mut more = job(&lake, table, 200..300, "");
    files.join(&mut more);
    assert_eq!(told(&files.add(more.encode().unwrap()).unwrap()), [], "a compressed column may be empty");
    assert_eq!(told(&files.shrink(0).unwrap()), [(table.name, 200)]);
}

/// Rows of a day with ids of these numbers, and with JSON where there is a note.
fn job(lake: &Lake, table: &'static Table, numbers: Range<u32>, note: &str) -> Job {
    let column = table.stored_columns().position(|column| column.kind == Kind::Json).unwrap();
    let mut rows = Rows::new(table);
    for number in numbers {
        if !note.is_empty() {
            rows.text(column, &format!(r#"{{"number": {number}, "note": "{note}"}}"#));
        }
        rows.finish(1_790_000_000_000_000, u64::from(number), u128::from(number));
    }
    let mut writer = lake.writer(table, Default::default());
    writer.push_all(rows.take("file:///1.json").unwrap());
    writer.drain().remove(0)
}

fn told(parts: &[Part]) -> Vec<(&str, u64)> {
    parts.iter().map(|part| (part.table().name, part.rows())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_that_was_decided_is_finished_after_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let table = LOG_TYPES[0].table;
    let lake = Lake::at(folder.path().to_str().unwrap(), vec![table], vec![]).await.unwrap();
    let mut journal = lake.begin().await.unwrap();
    let start = journal.position().unwrap();
    let mut rows = Rows::new(table);
    rows.finish(1_790_000_000_000_000, 0, 7);
    let mut writer = lake.writer(table, Default::default());
    writer.push_all(rows.take("file:///1.json").unwrap());
    let mut part = writer.drain().remove(0).encode().unwrap().file.close().unwrap();
    lake.store(&mut part).await.unwrap();
    let (object, print) = record(&lake, &uri(1)).await;

    // For a while the log of the table is no folder.
    let (log, aside) = (folder.path().join(table.name).join("_delta_log"), folder.path().join("aside"));
    std::fs::rename(&log, &aside).unwrap();
    File::create(&log).unwrap();
    assert!(journal.publish(&[part], &[object], &[print]).await.is_err());
    std::fs::remove_file(&log).unwrap();
    std::fs::rename(&aside, &log).unwrap();

    journal.refresh().await.unwrap();
    assert_eq!((since(&journal, &start).await, rows_since(&journal, table, &start).await), (1, 1));
    // Finishing again adds nothing.
    journal.refresh().await.unwrap();
    drop(lake.begin().await.unwrap());
    journal.refresh().await.unwrap();
    assert_eq!(rows_since(&journal, table, &start).await, 1);
}
