//! The lake: Delta tables that are appended to exactly once and read as of one moment.

mod commit;
mod files;
mod footers;
mod known;
mod layout;
mod local;
mod notes;
pub mod objects;
mod open;
mod parquet;
mod pinned;
mod provider;
pub mod s3;
mod seen;
mod since;
mod statistics;
mod tables;
mod upkeep;
pub mod values;
mod writer;

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use futures::future::try_join_all;
use object_store::ObjectStoreExt;
use url::Url;

pub use commit::Journal;
pub use files::File;
pub use known::Known;
pub use open::OpenFiles;
pub use parquet::{Encoded, Job, OpenFile, Part};
use pinned::Pinned;
pub use since::{Commit, Position};
pub use writer::{MICROS_PER_DAY, Writer, WriterSettings, day_of, times};

use crate::error::{Error, Result};
use crate::table::Table;

/// Where commits write what they log. A commit that meets another is an error there; whoever commits is told as well, and does
/// it again.
pub const COMMITS_LOG: &str = "deltalake_core::kernel::transaction";

/// A lake: a folder, or a prefix in a bucket, with one Delta table per [`Table`].
#[derive(Debug, Clone)]
pub struct Lake {
    root: Url,
    /// Tables of events: each row has an identity and is stored once.
    events: Vec<&'static Table>,
    /// Tables that record what Trailhound did and found.
    records: Vec<&'static Table>,
}

impl Lake {
    /// A lake at a folder (created when it is written to) or at `s3://bucket/prefix`.
    ///
    /// `events` are tables whose rows have an identity, `records` are the others; the objects table is always there.
    pub async fn at(location: &str, events: Vec<&'static Table>, mut records: Vec<&'static Table>) -> Result<Lake> {
        let root = tables::root_url(location)?;
        if root.scheme() == "s3" {
            s3::prepare(&root).await?;
        }
        records.push(&objects::OBJECTS);
        Ok(Lake { root, events, records })
    }

    /// True when there is a lake at the location: something was ingested into it once.
    pub async fn exists(&self) -> Result<bool> {
        Ok(tables::load(&self.root, &objects::OBJECTS).await?.is_some())
    }

    /// What people call this lake: a path or an `s3://` address.
    pub fn name(&self) -> String {
        match self.root.to_file_path() {
            Ok(path) => path.display().to_string(),
            Err(()) => self.root.to_string(),
        }
    }

    /// Every table of the lake as of now, ready for SQL. Tables that nothing was written to yet are empty.
    pub async fn providers(&self) -> Result<Vec<(&'static Table, Arc<dyn TableProvider>)>> {
        let loaded = self.events.iter().chain(&self.records).map(async |&table| {
            let delta = tables::load(&self.root, table).await?;
            let provider: Arc<dyn TableProvider> = Arc::new(provider::Snapshot::of(table, delta.as_ref())?);
            Ok((table, provider))
        });
        try_join_all(loaded).await
    }

    /// Begins an ingest: finishes what a killed process left half published, and reads which objects are known.
    pub async fn begin(&self) -> Result<Journal> {
        self.begin_in_spans(MICROS_PER_DAY).await
    }

    /// The same for an ingest that goes on for ever: identities are read for spans of event time of this length
    /// (microseconds, a part of a day), so that memory does not grow with the rows of a day.
    pub async fn begin_in_spans(&self, span: i64) -> Result<Journal> {
        if self.root.scheme() == "s3" && !self.exists().await? {
            let store = tables::object_store(&self.root, &objects::OBJECTS)?;
            s3::probe_conditional_put(&store, &object_store::path::Path::default()).await?;
        }
        Journal::open(self, span).await
    }

    /// A writer of Parquet files for this lake.
    pub fn writer(&self, table: &'static Table, settings: WriterSettings) -> Writer {
        Writer::new(table, self.is_event(table), settings)
    }

    /// Stores a file. It becomes visible with the commit that names it.
    pub async fn store(&self, part: &mut Part) -> Result<()> {
        let bytes = part.take_bytes();
        let store = tables::object_store(&self.root, part.table())?;
        let path = object_store::path::Path::from(part.path());
        store.put(&path, bytes.into()).await.map_err(|e| {
            Error::Lake(format!("cannot write {} in {}: {}", part.path(), self.name(), crate::error::chain(&e)))
        })?;
        Ok(())
    }

    fn is_event(&self, table: &'static Table) -> bool {
        self.events.iter().any(|known| known.name == table.name)
    }

    async fn open_table(&self, table: &'static Table) -> Result<Pinned> {
        let delta = match tables::load(&self.root, table).await? {
            Some(delta) => delta,
            None => tables::create(&self.root, table, self.is_event(table)).await?,
        };
        Ok(Pinned::new(table, delta))
    }

    async fn open_all(&self) -> Result<HashMap<&'static str, Pinned>> {
        let opened = self.events.iter().chain(&self.records).map(async |&table| {
            let opened = self.open_table(table).await?;
            Ok((table.name, opened))
        });
        Ok(try_join_all(opened).await?.into_iter().collect())
    }
}
