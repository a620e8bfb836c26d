//! Which events the lake already has: the identities of a table, day by day, read when a day is first needed.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, BinaryViewArray};
use datafusion::common::ScalarValue;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{col, lit};

use super::provider::Snapshot;
use super::tables::IDENTITY;
use crate::error::{Error, Result, chain};
use crate::table::DATE;

/// Set of identities: they are hashes already and are not hashed again.
type Ids = HashSet<u128, BuildHasherDefault<Unhashed>>;

/// Identities of the events of one table.
pub struct Known {
    context: SessionContext,
    stored: Arc<Snapshot>,
    days: HashMap<i32, Ids>,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").field("days", &self.days.len()).finish_non_exhaustive()
    }
}

impl Known {
    pub(super) fn new(stored: Snapshot) -> Self {
        Known { context: SessionContext::new(), stored: Arc::new(stored), days: HashMap::new() }
    }

    /// Makes [`Known::is_new`] answer for this day (counted from 1970): reads the identities of its files once.
    pub async fn load(&mut self, day: i32) -> Result<()> {
        if self.days.contains_key(&day) {
            return Ok(());
        }
        let ids = if self.stored.is_empty() { Ids::default() } else { self.read(day).await? };
        self.days.insert(day, ids);
        Ok(())
    }

    /// True the first time that an identity is seen on a day; from then on it is known.
    pub fn is_new(&mut self, day: i32, id: u128) -> bool {
        self.days.entry(day).or_default().insert(id)
    }

    async fn read(&self, day: i32) -> Result<Ids> {
        let failed = |e: datafusion::error::DataFusionError| {
            Error::Lake(format!("cannot read which events the lake has: {}", chain(&e)))
        };
        let rows = self
            .context
            .read_table(self.stored.clone())
            .and_then(|frame| frame.filter(col(DATE).eq(lit(ScalarValue::Date32(Some(day))))))
            .and_then(|frame| frame.select_columns(&[IDENTITY]))
            .map_err(failed)?;
        let mut ids = Ids::default();
        for batch in rows.collect().await.map_err(failed)? {
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
