//! Findings go to the lake: each id once, and as it is seen now where a run has seen all of it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use datafusion::arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::TimestampMicrosecondType;
use datafusion::arrow::row::{RowConverter, SortField};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Result};
use crate::findings::{FINDINGS, Finding, to_batch};
use crate::lake::{File, Journal, Lake, Part, WriterSettings};
use crate::logs::rows::Batch;

/// How often a change starts again because another run changed the findings first.
const ATTEMPTS: usize = 20;
/// A day with more files than this has its small ones joined when one of them is rewritten.
const MOST_FILES: usize = 8;
/// Files below this are small, bytes.
const SMALL: u64 = 4 << 20;

/// What a run says about a rule in a span of time is all there is: findings of the same version of the rule that have their
/// last event there and that the run did not make are gone.
#[derive(Debug, Clone)]
pub struct Span {
    /// The rule.
    pub rule_id: String,
    /// Its version.
    pub rule_version: String,
    /// First microsecond (UTC); no limit when none.
    pub start: Option<i64>,
    /// First microsecond after the span; no limit when none.
    pub end: Option<i64>,
    /// Whether findings that are gone leave the lake.
    pub removes: bool,
    /// Whether the run looked at the whole lake, and so knows what findings lack.
    pub sees_all: bool,
}

/// Rule id -> how far the time of a stored finding of it may be from that of the same finding now; any time where it is not
/// told.
pub type Reach = HashMap<String, Duration>;

/// What became of findings.
#[derive(Debug, Default)]
pub struct Kept {
    /// Ids that the lake did not have.
    pub new: Vec<String>,
    /// Findings that the lake had in another state.
    pub changed: usize,
    /// Findings that are no longer true.
    pub gone: usize,
    /// Times of the last events of all of these, as they were and as they are: microseconds UTC.
    pub times: Vec<i64>,
}

/// The findings of a lake. Remembers which file has which.
#[derive(Debug, Default)]
pub struct Shelved {
    files: HashMap<String, Arc<Vec<Row>>>,
}

/// A finding in a file.
#[derive(Debug)]
struct Row {
    id: String,
    rule_id: String,
    rule_version: String,
    last_seen: i64,
    print: Print,
}

/// What tells two states of a finding apart.
#[derive(Debug, Clone, Copy)]
struct Print {
    /// Hash of everything but what tells of the run that found it.
    found: u64,
    /// Hash of what it lacks.
    lacks: u64,
}

/// What has to be done.
#[derive(Default)]
struct Change {
    new: Vec<usize>,
    changed: Vec<usize>,
    /// Path -> ids whose rows leave it.
    leaving: HashMap<String, HashSet<String>>,
    gone: usize,
    times: Vec<i64>,
}

impl Shelved {
    /// Stores findings that the lake does not have. Those that it has in another state are replaced when they lie in one of
    /// `settled`, which say where `findings` are all there is.
    ///
    /// `reach` says where a stored state of a finding may lie.
    pub async fn keep(
        &mut self,
        lake: &Lake,
        journal: &mut Journal,
        findings: &[Finding],
        settled: &[Span],
        reach: &Reach,
    ) -> Result<Kept> {
        let mut kept = Kept::default();
        if findings.is_empty() && settled.is_empty() {
            return Ok(kept);
        }
        let batch = to_batch(findings)?;
        let prints = prints(&batch)?;
        // What others add from now on is not what the run has seen: it is not gone because the run did not make it.
        let mut seen: Option<HashSet<String>> = None;
        for _ in 0..ATTEMPTS {
            let files = self.load(journal, &wanted(findings, settled, reach)).await?;
            let seen = seen.get_or_insert_with(|| self.ids(&files));
            let change = self.change(&files, findings, &prints, settled, seen);
            let outcome = async {
                if !change.new.is_empty() {
                    let parts = write(lake, vec![rows(&batch, &change.new)?]).await?;
                    journal.replace(&FINDINGS, &HashSet::new(), &parts).await?;
                    kept.new.extend(change.new.iter().filter_map(|&i| findings.get(i)).map(|f| f.finding_id.clone()));
                }
                self.rewrite(lake, journal, &files, &batch, &change).await
            };
            match outcome.await {
                Err(Error::Conflict) => journal.refresh().await?,
                Err(error) => return Err(error),
                Ok(()) => {
                    kept.changed = change.changed.len();
                    kept.gone = change.gone;
                    kept.times.extend(change.times);
                    return Ok(kept);
                }
            }
        }
        Err(Error::Conflict)
    }

    /// Reads which findings the files of these days have, and forgets files that are no longer there.
    async fn load(&mut self, journal: &Journal, days: &Days) -> Result<Vec<File>> {
        let all = journal.files(&FINDINGS)?;
        let paths: HashSet<&str> = all.iter().map(|file| file.path.as_str()).collect();
        self.files.retain(|path, _| paths.contains(path.as_str()));
        let mut files = Vec::new();
        for file in all {
            if !days.has(file.date.as_deref()) {
                continue;
            }
            if !self.files.contains_key(&file.path) {
                let stored = describe(&journal.read_files(&FINDINGS, std::slice::from_ref(&file)).await?)?;
                self.files.insert(file.path.clone(), Arc::new(stored));
            }
            files.push(file);
        }
        Ok(files)
    }

    /// Ids of the findings in these files.
    fn ids(&self, files: &[File]) -> HashSet<String> {
        let rows = files.iter().filter_map(|file| self.files.get(&file.path)).flat_map(|rows| rows.iter());
        rows.map(|row| row.id.clone()).collect()
    }

    fn change(
        &self,
        files: &[File],
        findings: &[Finding],
        prints: &[Print],
        settled: &[Span],
        seen: &HashSet<String>,
    ) -> Change {
        let mut change = Change::default();
        let mut by_rule: HashMap<&str, Vec<&Span>> = HashMap::new();
        for span in settled {
            by_rule.entry(&span.rule_id).or_default().push(span);
        }
        let now: HashMap<&str, usize> =
            findings.iter().enumerate().map(|(index, finding)| (finding.finding_id.as_str(), index)).collect();
        let mut stored: HashSet<&str> = HashSet::new();
        for file in files {
            for row in self.files.get(&file.path).into_iter().flat_map(|rows| rows.iter()) {
                stored.insert(&row.id);
                let covers = |span: &&&Span| span.covers(row);
                let Some(span) = by_rule.get(row.rule_id.as_str()).and_then(|spans| spans.iter().find(covers)) else {
                    continue;
                };
                let leaves = match now.get(row.id.as_str()) {
                    Some(&index) => {
                        let differs = prints.get(index).is_some_and(|now| now.differs(&row.print, span.sees_all));
                        if differs {
                            change.changed.push(index);
                        }
                        differs
                    }
                    None => {
                        let gone = span.removes && seen.contains(&row.id);
                        change.gone += usize::from(gone);
                        gone
                    }
                };
                if leaves {
                    change.times.push(row.last_seen);
                    change.leaving.entry(file.path.clone()).or_default().insert(row.id.clone());
                }
            }
        }
        change.new.extend((0..findings.len()).filter(|&i| {
            let id = findings.get(i).map(|finding| finding.finding_id.as_str());
            id.is_some_and(|id| !stored.contains(id) && now.get(id) == Some(&i))
        }));
        let touched = change.new.iter().chain(&change.changed).filter_map(|&index| findings.get(index));
        change.times.extend(touched.map(|finding| finding.last_seen.timestamp_micros()));
        change
    }

    /// Writes the files anew that findings leave, with the findings that changed.
    async fn rewrite(
        &self,
        lake: &Lake,
        journal: &mut Journal,
        files: &[File],
        batch: &RecordBatch,
        change: &Change,
    ) -> Result<()> {
        if change.leaving.is_empty() {
            return Ok(());
        }
        let mut removed = HashSet::new();
        let mut batches = vec![rows(batch, &change.changed)?];
        let days: HashSet<&Option<String>> =
            files.iter().filter(|file| change.leaving.contains_key(&file.path)).map(|file| &file.date).collect();
        let mut crowds: HashMap<&Option<String>, usize> = HashMap::new();
        for file in files {
            *crowds.entry(&file.date).or_default() += 1;
        }
        for file in files {
            let crowded = crowds.get(&file.date).is_some_and(|count| *count > MOST_FILES);
            let joins = crowded && file.size < SMALL && days.contains(&file.date);
            let leaving = change.leaving.get(&file.path);
            if leaving.is_none() && !joins {
                continue;
            }
            let old = journal.read_files(&FINDINGS, std::slice::from_ref(file)).await?;
            let stays: BooleanArray = texts(&old, "finding_id")?
                .iter()
                .map(|id| Some(!id.is_some_and(|id| leaving.is_some_and(|ids| ids.contains(id)))))
                .collect();
            batches.push(filter_record_batch(&old, &stays).map_err(unreadable)?);
            removed.insert(file.path.clone());
        }
        let parts = write(lake, batches).await?;
        journal.replace(&FINDINGS, &removed, &parts).await
    }
}

impl Print {
    fn differs(&self, stored: &Print, sees_all: bool) -> bool {
        self.found != stored.found || (sees_all && self.lacks != stored.lacks)
    }
}

impl Span {
    fn covers(&self, row: &Row) -> bool {
        self.rule_version == row.rule_version
            && self.start.is_none_or(|start| row.last_seen >= start)
            && self.end.is_none_or(|end| row.last_seen < end)
    }
}

/// Days (as partitions spell them), first and last; no limit when none.
#[derive(Debug, Default)]
struct Days {
    first: Option<String>,
    last: Option<String>,
}

impl Days {
    fn has(&self, date: Option<&str>) -> bool {
        let Some(date) = date else { return true };
        self.first.as_deref().is_none_or(|first| first <= date) && self.last.as_deref().is_none_or(|last| date <= last)
    }
}

/// The days in which stored findings may lie that have to do with these.
fn wanted(findings: &[Finding], settled: &[Span], reach: &Reach) -> Days {
    // None is before all starts, and after all ends.
    let (mut starts, mut ends) = (Vec::new(), Vec::new());
    for finding in findings {
        let reach = reach.get(&finding.rule.rule_id);
        starts.push(reach.and_then(|reach| finding.last_seen.checked_sub_signed(*reach)));
        ends.push(reach.and_then(|reach| finding.last_seen.checked_add_signed(*reach)));
    }
    for span in settled {
        starts.push(span.start.and_then(DateTime::from_timestamp_micros));
        ends.push(span.end.and_then(DateTime::from_timestamp_micros));
    }
    let day = |time: DateTime<Utc>| time.format("%Y-%m-%d").to_string();
    let first = starts.into_iter().min().flatten();
    let last = ends.into_iter().collect::<Option<Vec<_>>>().and_then(|ends| ends.into_iter().max());
    Days { first: first.map(day), last: last.map(day) }
}

/// What rows of the findings table are.
fn describe(batch: &RecordBatch) -> Result<Vec<Row>> {
    let (ids, rules, versions) = (texts(batch, "finding_id")?, texts(batch, "rule_id")?, texts(batch, "rule_version")?);
    let times =
        batch.column_by_name("last_seen").and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
    let times = times.ok_or_else(|| Error::Lake("the table of findings has no times".into()))?;
    let prints = prints(batch)?;
    Ok(prints
        .into_iter()
        .enumerate()
        .map(|(row, print)| Row {
            id: ids.value(row).to_owned(),
            rule_id: rules.value(row).to_owned(),
            rule_version: versions.value(row).to_owned(),
            last_seen: times.value(row),
            print,
        })
        .collect())
}

/// Hashes of each row without the columns that tell which run found it. What it lacks is apart: a run that looks at a part of
/// the lake does not know.
fn prints(batch: &RecordBatch) -> Result<Vec<Print>> {
    let (mut found, mut lacks) = (Vec::new(), Vec::new());
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        match field.name().as_str() {
            "created_at" | "run_id" => {}
            "lacks" => lacks.push(column.clone()),
            _ => found.push(column.clone()),
        }
    }
    let pairs = hashes(&found)?.into_iter().zip(hashes(&lacks)?);
    Ok(pairs.map(|(found, lacks)| Print { found, lacks }).collect())
}

/// A hash of each row.
fn hashes(columns: &[ArrayRef]) -> Result<Vec<u64>> {
    let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    let rows =
        RowConverter::new(fields).and_then(|converter| converter.convert_columns(columns)).map_err(unreadable)?;
    Ok(rows.iter().map(|row| xxh3_64(row.as_ref())).collect())
}

fn texts<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a StringArray> {
    let column = batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
    column.ok_or_else(|| Error::Lake(format!("the table of findings has no texts in {name}")))
}

/// These rows of a batch.
fn rows(batch: &RecordBatch, wanted: &[usize]) -> Result<RecordBatch> {
    let wanted: HashSet<usize> = wanted.iter().copied().collect();
    let mask: BooleanArray = (0..batch.num_rows()).map(|row| Some(wanted.contains(&row))).collect();
    filter_record_batch(batch, &mask).map_err(unreadable)
}

fn unreadable(error: datafusion::arrow::error::ArrowError) -> Error {
    Error::Lake(format!("cannot read stored findings: {error}"))
}

/// Files with these rows; not visible yet.
async fn write(lake: &Lake, batches: Vec<RecordBatch>) -> Result<Vec<Part>> {
    let mut writer = lake.writer(&FINDINGS, WriterSettings::default());
    for rows in batches {
        writer.push_all(Batch { table: &FINDINGS, ids: vec![0; rows.num_rows()], rows });
    }
    let mut parts = Vec::new();
    for job in writer.drain() {
        let mut part = job.encode()?.file.close()?;
        lake.store(&mut part).await?;
        parts.push(part);
    }
    Ok(parts)
}
