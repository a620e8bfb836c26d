//! What calls of models cost: a dated list that users can replace, read strictly, and the rows that SQL sees of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::Date32Type;
use datafusion::execution::context::SessionContext;
use serde::Deserialize;
use toml::Spanned;

use super::{sql_error, stored};
use crate::error::{Error, Result};

/// The list that is built in; its head says what the keys mean.
const BUILT_IN: &str = include_str!("prices.toml");
/// Nothing costs more: dollars per million tokens, or per image, second or query. It keeps sums finite.
const DEAREST: f64 = 1e6;

/// A list of prices on demand, in US dollars.
#[derive(Debug, Clone)]
pub struct Prices {
    date: NaiveDate,
    lines: Vec<Line>,
}

/// The price of one model or family from one day on.
#[derive(Debug, Clone)]
struct Line {
    /// Where it stands in the list, from 1.
    number: usize,
    model: String,
    family: bool,
    input: Option<Range>,
    output: Option<Range>,
    cache_read: Option<Range>,
    cache_write: Option<Range>,
    call: Option<Range>,
    since: Option<NaiveDate>,
    until: Option<NaiveDate>,
    source: String,
}

/// Lowest and highest price.
#[derive(Debug, Clone, Copy)]
struct Range {
    low: f64,
    high: f64,
}

/// The list as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    date: Spanned<String>,
    #[serde(default)]
    sources: BTreeMap<String, String>,
    price: Vec<Spanned<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    model: String,
    input: Option<Amount>,
    output: Option<Amount>,
    cache_read: Option<Amount>,
    cache_write: Option<Amount>,
    each: Option<Amount>,
    units: Option<Amount>,
    since: Option<String>,
    source: Option<String>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(untagged, expecting = "a price is a number, or [low, high]")]
enum Amount {
    One(f64),
    Both([f64; 2]),
}

impl Prices {
    /// The list that is built in.
    pub fn built_in() -> Result<Prices> {
        Prices::read("the built-in list of prices", BUILT_IN)
    }

    /// Reads a list of the user's own.
    ///
    /// # Errors
    /// [`Error::Usage`] with file and line when it cannot be read or used.
    pub fn load(path: &Path) -> Result<Prices> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::Usage(format!("cannot read the list of prices {name}: {error}")))?;
        Prices::read(&name, &text)
    }

    /// Reads a list from its text; `name` says in errors where it came from.
    pub fn read(name: &str, text: &str) -> Result<Prices> {
        let file: File =
            toml::from_str(text).map_err(|error| Error::Usage(format!("{name}: {}", error.to_string().trim_end())))?;
        let line_at = |place: usize| 1 + text.bytes().take(place).filter(|byte| *byte == b'\n').count();
        let wrong = |line: usize, what: String| Error::Usage(format!("{name}:{line}: {what}"));
        let date = day(file.date.get_ref()).map_err(|what| wrong(line_at(file.date.span().start), what))?;
        let mut lines = Vec::with_capacity(file.price.len());
        for entry in &file.price {
            let number = line_at(entry.span().start);
            let line = Line::read(number, entry.get_ref(), &file.sources)
                .map_err(|what| wrong(number, format!("{}: {what}", entry.get_ref().model)))?;
            lines.push(line);
        }
        follow(&mut lines).map_err(|(number, what)| wrong(number, what))?;
        Ok(Prices { date, lines })
    }

    /// The day to which the list was checked.
    pub fn date(&self) -> NaiveDate {
        self.date
    }

    /// Registers the rows that the view `prices` shows.
    pub(super) fn register(&self, context: &SessionContext) -> Result<()> {
        let batch = self.rows().map_err(|error| sql_error(error.into()))?;
        context.register_batch(stored::name("prices"), batch).map(|_| ()).map_err(sql_error)
    }

    fn rows(&self) -> std::result::Result<RecordBatch, datafusion::arrow::error::ArrowError> {
        let text = |get: fn(&Line) -> &str| -> ArrayRef {
            Arc::new(self.lines.iter().map(|line| Some(get(line))).collect::<StringArray>())
        };
        let low = |get: fn(&Line) -> Option<Range>| -> ArrayRef {
            Arc::new(self.lines.iter().map(|line| get(line).map(|range| range.low)).collect::<Float64Array>())
        };
        let high = |get: fn(&Line) -> Option<Range>| -> ArrayRef {
            Arc::new(self.lines.iter().map(|line| get(line).map(|range| range.high)).collect::<Float64Array>())
        };
        let instant = |get: fn(&Line) -> Option<NaiveDate>| -> ArrayRef {
            let micros = self.lines.iter().map(|line| get(line).map(|day| midnight(day).timestamp_micros()));
            Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
        };
        let listed = Date32Type::from_naive_date(self.date);
        RecordBatch::try_from_iter_with_nullable([
            ("model", text(|line| &line.model), true),
            ("family", Arc::new(self.lines.iter().map(|line| Some(line.family)).collect::<BooleanArray>()), true),
            ("input_low", low(|line| line.input), true),
            ("input_high", high(|line| line.input), true),
            ("output_low", low(|line| line.output), true),
            ("output_high", high(|line| line.output), true),
            ("cache_read_low", low(|line| line.cache_read), true),
            ("cache_read_high", high(|line| line.cache_read), true),
            ("cache_write_low", low(|line| line.cache_write), true),
            ("cache_write_high", high(|line| line.cache_write), true),
            ("call_low", low(|line| line.call), true),
            ("call_high", high(|line| line.call), true),
            ("since", instant(|line| line.since), true),
            ("until", instant(|line| line.until), true),
            ("source", text(|line| &line.source), true),
            ("listed", Arc::new(self.lines.iter().map(|_| Some(listed)).collect::<Date32Array>()), true),
        ])
    }
}

impl Line {
    fn read(number: usize, entry: &Entry, sources: &BTreeMap<String, String>) -> std::result::Result<Line, String> {
        let (model, family) = match entry.model.strip_suffix('*') {
            Some(beginning) => (beginning, true),
            None => (entry.model.as_str(), false),
        };
        if model.is_empty() || model.contains(['*', ' ']) {
            return Err("a model is an id without spaces, with a * at most at its end".into());
        }
        let input = range("input", entry.input)?;
        let each = range("each", entry.each)?;
        if input.is_none() && each.is_none() {
            return Err("a price needs input (dollars per million tokens) or each (per image, second or query)".into());
        }
        let free = input.map(|_| Range { low: 0.0, high: 0.0 });
        let cached = input.map(|input| Range { low: 0.0, high: input.high });
        let units = range("units", entry.units)?.unwrap_or(Range { low: 1.0, high: 1.0 });
        let source = match &entry.source {
            None => String::new(),
            Some(name) => sources.get(name).cloned().ok_or_else(|| format!("source {name} is not in [sources]"))?,
        };
        Ok(Line {
            number,
            model: model.to_owned(),
            family,
            input,
            output: range("output", entry.output)?.or(free),
            cache_read: range("cache_read", entry.cache_read)?.or(cached),
            cache_write: range("cache_write", entry.cache_write)?.or(cached),
            call: each.map(|each| Range { low: each.low * units.low, high: each.high * units.high }),
            since: entry.since.as_deref().map(day).transpose()?,
            until: None,
            source,
        })
    }

    /// True when some id would have the price of both, whenever it is called.
    fn overlaps(&self, other: &Line) -> bool {
        self.model == other.model
            || (self.family && other.model.starts_with(&self.model))
            || (other.family && self.model.starts_with(&other.model))
    }
}

/// Ends each price where the next one of the same model begins, and refuses lists in which an id has two prices at a time.
fn follow(lines: &mut [Line]) -> std::result::Result<(), (usize, String)> {
    lines.sort_by(|a, b| (&a.model, a.family, a.since).cmp(&(&b.model, b.family, b.since)));
    for (place, line) in lines.iter().enumerate() {
        for other in lines.iter().skip(place + 1).filter(|other| line.overlaps(other)) {
            let same = line.model == other.model && line.family == other.family;
            if !same || line.since == other.since {
                let (first, last) = (line.number.min(other.number), line.number.max(other.number));
                let what =
                    format!("{}: line {first} has a price for the same ids; leave one, or give `since`", other.model);
                return Err((last, what));
            }
        }
    }
    let mut next: Option<(String, Option<NaiveDate>)> = None;
    for line in lines.iter_mut().rev() {
        line.until = next.take().filter(|(model, _)| *model == line.model).and_then(|(_, since)| since);
        next = Some((line.model.clone(), line.since));
    }
    Ok(())
}

fn range(name: &str, amount: Option<Amount>) -> std::result::Result<Option<Range>, String> {
    let (low, high) = match amount {
        None => return Ok(None),
        Some(Amount::One(price)) => (price, price),
        Some(Amount::Both([low, high])) => (low, high),
    };
    if !(low >= 0.0 && low <= high && high <= DEAREST) {
        return Err(format!("{name} is a number from 0 to {DEAREST}, or [low, high] of such"));
    }
    Ok(Some(Range { low, high }))
}

fn day(text: &str) -> std::result::Result<NaiveDate, String> {
    text.parse().map_err(|_| format!("{text} is not a day; write \"2026-10-01\""))
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}
