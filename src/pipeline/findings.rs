//! Findings go to the lake: each id once, whoever finds it again.

use std::collections::HashSet;

use datafusion::arrow::array::AsArray;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::findings::{FINDINGS, Finding, to_batch};
use crate::lake::{Lake, WriterSettings};
use crate::logs::rows::Batch;

/// How often an append starts again because another run appended first.
const ATTEMPTS: usize = 10;

/// Stores the findings that the lake does not have. Returns how many were new.
///
/// `engine` shows the lake as the findings were made from it.
pub async fn keep(lake: &Lake, engine: &Engine, findings: &[Finding]) -> Result<usize> {
    let mut known = stored_ids(engine).await?;
    for _ in 0..ATTEMPTS {
        let new: Vec<Finding> = findings.iter().filter(|f| !known.contains(&f.finding_id)).cloned().collect();
        if new.is_empty() {
            return Ok(0);
        }
        match append(lake, &new).await {
            Err(Error::Conflict) => {
                let fresh = Engine::new(engine.settings().clone(), lake.providers().await?).await?;
                known = stored_ids(&fresh).await?;
            }
            outcome => return outcome.map(|()| new.len()),
        }
    }
    Err(Error::Conflict)
}

async fn append(lake: &Lake, findings: &[Finding]) -> Result<()> {
    let rows = to_batch(findings)?;
    let batch = Batch { table: &FINDINGS, ids: vec![0; rows.num_rows()], rows };
    let mut writer = lake.writer(&FINDINGS, WriterSettings::default());
    writer.push_all(batch);
    let mut parts = Vec::new();
    for job in writer.drain() {
        let mut part = job.encode()?;
        lake.store(&mut part).await?;
        parts.push(part);
    }
    lake.append(&FINDINGS, parts).await
}

async fn stored_ids(engine: &Engine) -> Result<HashSet<String>> {
    let batches = engine.sql("SELECT finding_id FROM findings").await?.collect().await;
    let mut ids = HashSet::new();
    for batch in batches.map_err(crate::engine::sql_error)? {
        let text = datafusion::arrow::compute::cast(batch.column(0), &datafusion::arrow::datatypes::DataType::Utf8)
            .map_err(|e| Error::Lake(format!("cannot read the ids of stored findings: {e}")))?;
        ids.extend(text.as_string::<i32>().iter().flatten().map(str::to_owned));
    }
    Ok(ids)
}
