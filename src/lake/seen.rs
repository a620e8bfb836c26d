//! Which objects were read before: asked for those at hand, so that the answer costs the same as the lake grows.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::StringViewArray;
use datafusion::error::DataFusionError;
use datafusion::execution::context::{SessionConfig, SessionContext};
use datafusion::logical_expr::utils::disjunction;
use datafusion::logical_expr::{col, lit};
use deltalake_core::DeltaTable;

use super::objects::{OBJECTS, fingerprint};
use super::provider::Snapshot;
use crate::error::{Error, Result, chain};
use crate::table::OBJECT;

/// Ranges of URIs that are asked for. With more folders, neighbours share a range.
const MOST_RANGES: usize = 128;

/// Fingerprints of the objects that were read before, of these and some others near them.
pub(super) async fn seen_objects(delta: &DeltaTable, uris: &[&str]) -> Result<HashSet<u128>> {
    let failed = |e: DataFusionError| Error::Lake(format!("cannot read which objects the lake has: {}", chain(&e)));
    let mut seen = HashSet::new();
    let between = ranges(uris).into_iter().map(|(first, last)| col(OBJECT.name).between(lit(first), lit(last)));
    let Some(near) = disjunction(between) else { return Ok(seen) };
    let snapshot = Snapshot::of(&OBJECTS, Some(delta))?;
    let mut config = SessionConfig::new();
    config.options_mut().execution.parquet.pushdown_filters = true;
    let columns = SessionContext::new_with_config(config)
        .read_table(Arc::new(snapshot))
        .and_then(|frame| frame.filter(near))
        .and_then(|frame| frame.select_columns(&[OBJECT.name, "version"]))
        .map_err(failed)?;
    for batch in columns.collect().await.map_err(failed)? {
        let text = |index: usize| batch.column(index).as_any().downcast_ref::<StringViewArray>();
        let (Some(uris), Some(versions)) = (text(0), text(1)) else {
            return Err(Error::Lake("the table of objects has columns of unknown types".into()));
        };
        for (uri, version) in uris.iter().zip(versions.iter()) {
            seen.insert(fingerprint(uri.unwrap_or_default(), version.unwrap_or_default()));
        }
    }
    Ok(seen)
}

/// First and last URI of each folder; of several neighbouring folders when there are many.
fn ranges<'a>(uris: &[&'a str]) -> Vec<(&'a str, &'a str)> {
    let mut sorted = uris.to_vec();
    sorted.sort_unstable();
    let folders: Vec<&[&str]> = sorted.chunk_by(|a, b| folder(a) == folder(b)).collect();
    let together = folders.len().div_ceil(MOST_RANGES).max(1);
    let range = |folders: &[&[&'a str]]| {
        let first = folders.first().and_then(|uris| uris.first()).copied()?;
        let last = folders.last().and_then(|uris| uris.last()).copied()?;
        Some((first, last))
    };
    folders.chunks(together).filter_map(range).collect()
}

fn folder(uri: &str) -> &str {
    uri.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_ranges_and_many_share_some() {
        assert_eq!(ranges(&[]), []);
        assert_eq!(ranges(&["b/2", "a/1", "b/1", "a/9"]), [("a/1", "a/9"), ("b/1", "b/2")]);
        let uris: Vec<String> = (0..1_000).map(|number| format!("{number:04}/object")).collect();
        let many: Vec<&str> = uris.iter().map(String::as_str).collect();
        let ranges = ranges(&many);
        assert!(ranges.len() <= MOST_RANGES);
        assert!(many.iter().all(|uri| ranges.iter().any(|(first, last)| first <= uri && uri <= last)));
    }
}
