//! SQL that measures the rows of a correlation: up to each row, or by slots of time.

use super::correlation::{Correlation, Measure};

/// A correlation's question about its rows.
#[derive(Debug)]
pub struct Query<'a> {
    /// The correlation.
    pub correlation: &'a Correlation,
    /// Columns of its groups.
    pub groups: &'a [&'a str],
    /// What the measure has to be: an operator, and a number or the name of a parameter.
    pub limits: &'a [(&'a str, String)],
}

/// What a finding shows of its rows.
const RECORDS: &str = "sample(event_id) AS event_ids, sample(_object || '#' || _record) AS records";
const TIMES: &str = "max(time) AS time, min(time) AS first_seen";

impl Query<'_> {
    /// The query over `rows`.
    pub fn write(&self, rows: &str) -> String {
        match self.correlation.measure {
            _ if self.correlation.is_sliding() => self.sliding(rows),
            Measure::Share => self.shares(rows),
            _ => self.slots(rows),
        }
    }

    /// Rows at which the timespan before them reaches the limits.
    fn sliding(&self, rows: &str) -> String {
        let measure = measure_column(self.correlation);
        let held = self.holds(measure);
        [
            format!("WITH counted AS (\n{}\n)", counted(self.correlation, rows, self.groups, "")),
            format!("SELECT {TIMES}, bool_or(fresh AND {held}) AS fresh,"),
            format!("       {}max(hits) AS event_count,\n       {RECORDS}", self.shown()),
            format!("FROM counted\nGROUP BY {}", self.by(&[&self.slot()])),
            format!("HAVING {}\n", self.holds(&format!("max({measure})"))),
        ]
        .join("\n")
    }

    /// Slots of the timespan's length whose measure is within the limits.
    fn slots(&self, rows: &str) -> String {
        let measure = aggregate(&self.correlation.measure);
        [
            format!("WITH matched AS (\n{rows}\n)"),
            format!("SELECT {TIMES}, bool_or(fresh) AS fresh,"),
            format!("       {}count(*) AS event_count, {measure} AS measure,\n       {RECORDS}", self.shown()),
            format!("FROM matched\nGROUP BY {}", self.by(&[&self.slot()])),
            format!("HAVING {}\n", self.holds(&measure)),
        ]
        .join("\n")
    }

    /// Values whose share of a slot's events is within the limits.
    fn shares(&self, rows: &str) -> String {
        let slot = self.slot();
        let share = format!("100.0 * event_count / sum(event_count) OVER (PARTITION BY {})", self.by(&["slot"]));
        [
            format!("WITH matched AS (\n{rows}\n),"),
            format!("counts AS (\n  SELECT {TIMES}, bool_or(fresh) AS fresh, {}measured AS value,", self.shown()),
            format!("         {slot} AS slot, count(*) AS event_count,\n         {RECORDS}"),
            format!("  FROM matched\n  GROUP BY {}\n),", self.by(&["measured", &slot])),
            format!("shares AS (\n  SELECT *, {share} AS share\n  FROM counts\n)"),
            format!("SELECT * FROM shares\nWHERE {}\n", self.holds("share")),
        ]
        .join("\n")
    }

    fn holds(&self, measure: &str) -> String {
        let each = self.limits.iter().map(|(sign, limit)| format!("{measure} {sign} {limit}"));
        each.collect::<Vec<_>>().join(" AND ")
    }

    fn slot(&self) -> String {
        format!("date_bin(INTERVAL '{} seconds', time)", self.correlation.timespan)
    }

    /// The groups' columns and some more.
    fn by(&self, more: &[&str]) -> String {
        self.groups.iter().chain(more).copied().collect::<Vec<_>>().join(", ")
    }

    /// The groups' columns, and who and where when those are none of them.
    fn shown(&self) -> String {
        let mut shown: String = self.groups.iter().map(|name| format!("{name}, ")).collect();
        for (column, name) in [("max(of_account)", "account_id"), ("sample(caller)", "principals")] {
            if !self.groups.contains(&name) {
                shown.push_str(&format!("{column} AS {name}, "));
            }
        }
        shown
    }
}

/// The column that a correlation's limits are about.
pub fn measure_column(correlation: &Correlation) -> &'static str {
    if correlation.measure == Measure::Events { "hits" } else { "measure" }
}

/// Rows with what was measured in the timespan up to each: `hits` events, and `measure`.
pub fn counted(correlation: &Correlation, rows: &str, groups: &[&str], prefix: &str) -> String {
    let span = format!("INTERVAL '{} seconds'", correlation.timespan);
    let partition = if groups.is_empty() { String::new() } else { format!("PARTITION BY {} ", groups.join(", ")) };
    let window = format!("({partition}ORDER BY time RANGE BETWEEN {span} PRECEDING AND CURRENT ROW)");
    let hits = format!("count(*) OVER {window} AS {prefix}hits");
    let step = format!("{prefix}step");
    let mut source = format!("(\n{rows}\n  ) AS {prefix}matched");
    let measure = match correlation.measure {
        Measure::Values => {
            let several: Vec<String> =
                (1..correlation.fields.len()).map(|place| format!(", {prefix}measured_{place}")).collect();
            let value = if several.is_empty() {
                format!("{prefix}measured")
            } else {
                format!("concat_ws('|', {prefix}measured{})", several.concat())
            };
            Some(format!("count(DISTINCT {value}) OVER {window}"))
        }
        Measure::Sum => Some(format!("sum({prefix}measured) OVER {window}")),
        Measure::Rules => {
            let each = (0..correlation.rules.len())
                .map(|rule| format!("coalesce(max(CASE WHEN {step} = {rule} THEN 1 END) OVER {window}, 0)"));
            Some(each.collect::<Vec<_>>().join("\n         + "))
        }
        Measure::Sequence => {
            // The latest beginning of a sequence that a row of each rule ends, rule by rule.
            let mut begun = String::new();
            for rule in 0..correlation.rules.len() {
                let start = match rule {
                    0 => format!("CASE WHEN {step} = 0 THEN time END"),
                    _ => format!("CASE WHEN {step} = {rule} THEN max({begun}) OVER {window} END"),
                };
                begun = format!("{prefix}begun_{rule}");
                source = format!("(\n  SELECT *, {start} AS {begun}\n  FROM {source}\n  ) AS {prefix}chain_{rule}");
            }
            let count = correlation.rules.len();
            Some(format!("CASE WHEN {begun} >= time - {span} THEN {count} ELSE 0 END"))
        }
        Measure::Events | Measure::Average | Measure::Percentile(_) | Measure::Share => None,
    };
    let measure = measure.map(|measure| format!(",\n         {measure} AS {prefix}measure")).unwrap_or_default();
    format!("  SELECT *, {hits}{measure}\n  FROM {source}")
}

/// What is measured over a slot.
fn aggregate(measure: &Measure) -> String {
    match measure {
        Measure::Values => "count(DISTINCT measured)".into(),
        Measure::Sum => "sum(measured)".into(),
        Measure::Average => "avg(measured)".into(),
        Measure::Percentile(share) => format!("percentile_cont({share:?}) WITHIN GROUP (ORDER BY measured)"),
        Measure::Rules | Measure::Sequence => "count(DISTINCT step)".into(),
        Measure::Events | Measure::Share => "count(*)".into(),
    }
}
