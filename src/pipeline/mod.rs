//! What strings the rooms together: ingest, findings into the lake, and following, which does both for ever.

mod decode;
mod findings;
pub mod follow;
mod ingest;
pub mod summary;

pub use findings::{Kept, Reach, Shelved, Span};
pub use ingest::{Ingest, PUBLISH_ROWS, ingest};
pub use summary::Summary;

use crate::error::Result;
use crate::findings::FINDINGS;
use crate::lake::Lake;
use crate::lake::objects::OBJECTS;
use crate::logs::LOG_TYPES;
use crate::logs::sink::QUARANTINE;
use crate::table::Table;

/// Every table of a lake, in the order in which people look at them.
pub fn tables() -> Vec<&'static Table> {
    let mut all: Vec<&'static Table> = LOG_TYPES.iter().map(|log| log.table).collect();
    all.extend([&FINDINGS, &QUARANTINE, &OBJECTS]);
    all
}

/// Opens the lake at a folder or `s3://bucket/prefix`, with every table that Trailhound has.
pub async fn open_lake(location: &str) -> Result<Lake> {
    let events = LOG_TYPES.iter().map(|log| log.table).collect();
    Lake::at(location, events, vec![&QUARANTINE, &FINDINGS]).await
}
