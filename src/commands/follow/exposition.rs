//! The text format of Prometheus: families of series with labels that are harmless and distinct.

use std::collections::BTreeSet;

use prometheus::TextEncoder;
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use crate::error::{Error, Result};
use crate::outputs::escape;
use crate::pipeline::follow::standing::Spread;

/// Characters of a label.
const LONGEST_LABEL: usize = 128;

/// Labels and value of one series.
pub type Series = (Vec<(&'static str, String)>, f64);

/// Families in the order of the page.
#[derive(Default)]
pub struct Families {
    all: Vec<MetricFamily>,
}

impl Families {
    /// Adds values that go up and down.
    pub fn gauge(&mut self, name: &str, help: &str, series: impl IntoIterator<Item = Series>) {
        let metrics = distinct(series).map(|(labels, value)| {
            let (mut metric, mut gauge) = (Metric::from_label(labels), Gauge::default());
            gauge.set_value(value);
            metric.set_gauge(gauge);
            metric
        });
        self.add(MetricType::GAUGE, name, help, metrics.collect());
    }

    /// Adds values that only grow; the name ends in `_total`.
    pub fn counter(&mut self, name: &str, help: &str, series: impl IntoIterator<Item = Series>) {
        let metrics = distinct(series).map(|(labels, value)| {
            let (mut metric, mut counter) = (Metric::from_label(labels), Counter::default());
            counter.set_value(value);
            metric.set_counter(counter);
            metric
        });
        self.add(MetricType::COUNTER, name, help, metrics.collect());
    }

    /// Adds a spread of durations.
    pub fn histogram(&mut self, name: &str, help: &str, spread: &Spread) {
        let bucket = |(bound, count)| {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(bound);
            bucket.set_cumulative_count(count);
            bucket
        };
        let mut histogram = Histogram::default();
        histogram.set_bucket(spread.buckets().map(bucket).collect());
        histogram.set_sample_count(spread.count());
        histogram.set_sample_sum(spread.sum());
        let mut metric = Metric::default();
        metric.set_histogram(histogram);
        self.add(MetricType::HISTOGRAM, name, help, vec![metric]);
    }

    /// The page in the text format 0.0.4.
    ///
    /// # Errors
    /// [`Error::Output`] when the page cannot be written; nothing that a log says can cause that.
    pub fn text(&self) -> Result<String> {
        let written = TextEncoder::new().encode_to_string(&self.all);
        written.map_err(|error| Error::Output(format!("the metrics cannot be written: {error}")))
    }

    /// A family without series is left out: the encoder takes none.
    fn add(&mut self, kind: MetricType, name: &str, help: &str, metrics: Vec<Metric>) {
        if metrics.is_empty() {
            return;
        }
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        family.set_metric(metrics);
        self.all.push(family);
    }
}

/// Series with labels as the encoder takes them. Of those that share all labels (cut ones may), only the first stays: two
/// of the same name would make Prometheus refuse the page.
fn distinct(series: impl IntoIterator<Item = Series>) -> impl Iterator<Item = (Vec<LabelPair>, f64)> {
    let mut known = BTreeSet::new();
    let fresh = series.into_iter().filter(move |(labels, _)| known.insert(labels.clone()));
    fresh.map(|(labels, value)| (labels.into_iter().map(pair).collect(), value))
}

fn pair((name, value): (&'static str, String)) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value);
    pair
}

/// One series without labels.
pub fn one(value: f64) -> [Series; 1] {
    [(Vec::new(), value)]
}

/// One series with labels that we wrote, or that [`label`] made harmless.
pub fn labelled<const N: usize>(labels: [(&'static str, &str); N], value: f64) -> Series {
    (labels.map(|(name, text)| (name, text.to_owned())).into(), value)
}

/// A label's value from text that others wrote: harmless on a terminal and short. The encoder escapes it for the format.
pub fn label(text: &str) -> String {
    let first: String = text.chars().take(LONGEST_LABEL + 1).collect();
    let shown = escape::terminal(&first);
    if shown.chars().count() <= LONGEST_LABEL {
        return shown.into_owned();
    }
    let mut cut: String = shown.chars().take(LONGEST_LABEL - 1).collect();
    cut.push('…');
    cut
}
