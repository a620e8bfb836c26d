//! Which events the lake already has: the identities of a table, span by span of event time, read when first needed.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, BinaryViewArray, RecordBatch};
use datafusion::common::ScalarValue;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{col, lit};

use super::provider::Snapshot;
use super::tables::IDENTITY;
use super::writer::{MICROS_PER_DAY, day_of};
use crate::error::{Error, Result, chain};
use crate::table::{DATE, TIME};

/// Identities that stay in memory between publishes, about 32 bytes each. The rows of a quarter of an hour of a follower that
/// gets 5,000 a second: what it let go of it would read again in every turn.
const MOST_KEPT: usize = 1 << 22;

/// Set of identities: they are hashes already and are not hashed again.
type Ids = HashSet<u128, BuildHasherDefault<Unhashed>>;

/// Identities of the events of one table.
///
/// A copy of an event has the same time, so the identities of the spans that new events fall into are enough to know it.
pub struct Known {
    context: SessionContext,
    stored: Arc<Snapshot>,
    /// Microseconds of event time that are read together.
    span: i64,
    spans: HashMap<i64, Span>,
    turn: u64,
}

#[derive(Debug, Default)]
struct Span {
    ids: Ids,
    last_turn: u64,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").field("spans", &self.spans.len()).finish_non_exhaustive()
    }
}

impl Known {
    /// Nothing read yet. `span`: microseconds, a part of a day or a day.
    pub(super) fn new(stored: Snapshot, span: i64) -> Self {
        Known { context: SessionContext::new(), stored: Arc::new(stored), span, spans: HashMap::new(), turn: 0 }
    }

    /// The span that an event time (microseconds UTC) falls into.
    pub fn span(&self, time: i64) -> i64 {
        time.div_euclid(self.span)
    }

    /// Makes [`Known::is_new`] answer for this span: reads the identities of its rows once.
    pub async fn load(&mut self, span: i64) -> Result<()> {
        self.turn += 1;
        if let Some(known) = self.spans.get_mut(&span) {
            known.last_turn = self.turn;
            return Ok(());
        }
        let ids = if self.stored.is_empty() { Ids::default() } else { self.read(span).await? };
        self.spans.insert(span, Span { ids, last_turn: self.turn });
        Ok(())
    }

    /// True the first time that an identity is seen in a span; from then on it is known.
    pub fn is_new(&mut self, span: i64, id: u128) -> bool {
        self.spans.entry(span).or_default().ids.insert(id)
    }

    /// Everything that was new is in the lake now, which is `stored`: spans that were not needed for longest may be read
    /// again when they are.
    pub(super) fn published(&mut self, stored: Snapshot) {
        self.stored = Arc::new(stored);
        let mut oldest: Vec<(u64, i64)> = self.spans.iter().map(|(&span, known)| (known.last_turn, span)).collect();
        oldest.sort_unstable();
        let mut kept: usize = self.spans.values().map(|known| known.ids.len()).sum();
        for (_, span) in oldest {
            if kept <= MOST_KEPT {
                break;
            }
            kept -= self.spans.remove(&span).map_or(0, |known| known.ids.len());
        }
    }

    async fn read(&self, span: i64) -> Result<Ids> {
        let failed = |e: datafusion::error::DataFusionError| {
            Error::Lake(format!("cannot read which events the lake has: {}", chain(&e)))
        };
        let start = span.saturating_mul(self.span);
        let mut wanted = col(DATE).eq(lit(ScalarValue::Date32(Some(day_of(start)))));
        if self.span < MICROS_PER_DAY {
            let time = |micros| lit(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())));
            let after = col(TIME.name).gt_eq(time(start));
            wanted = wanted.and(after).and(col(TIME.name).lt(time(start.saturating_add(self.span))));
        }
        let rows = self
            .context
            .read_table(self.stored.clone())
            .and_then(|frame| frame.filter(wanted))
            .and_then(|frame| frame.select_columns(&[IDENTITY]))
            .map_err(failed)?;
        let batches = rows.collect().await.map_err(failed)?;
        let count = batches.iter().map(RecordBatch::num_rows).sum();
        let mut ids = Ids::with_capacity_and_hasher(count, BuildHasherDefault::default());
        for batch in batches {
            let Some(column) = batch.columns().first().and_then(|c| c.as_any().downcast_ref::<BinaryViewArray>())
            else {
                return Err(Error::Lake(format!(
                    "column {IDENTITY} of the lake is not binary: Trailhound did not write it"
                )));
            };
            ids.extend(column.iter().flatten().filter_map(|id| id.try_into().ok().map(u128::from_be_bytes)));
        }
        Ok(ids)
    }
}

/// Passes the low half of an identity through: it is as good as any hash of it.
#[derive(Debug, Default)]
struct Unhashed(u64);

impl Hasher for Unhashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u128(&mut self, id: u128) {
        self.0 = id as u64;
    }
}
