//! Files that wait for more rows of their day, of all tables that are written side by side.

use super::parquet::{Encoded, Job, OpenFile, Part};
use crate::error::Result;

/// Bytes of a file that is large enough: opening a file costs as much as to read some columns of a row group.
const FILE_BYTES: usize = 32 << 20;

/// Files that take more rows.
#[derive(Debug, Default)]
pub struct OpenFiles {
    /// In the order in which they were added to.
    files: Vec<OpenFile>,
}

impl OpenFiles {
    /// Has the rows of `job` written to the file with other rows of their table and day, where one waits.
    pub fn join(&mut self, job: &mut Job) {
        let is_theirs = |file: &OpenFile| file.table().name == job.table.name && file.date() == job.date;
        if let Some(place) = self.files.iter().position(is_theirs) {
            job.file = Some(self.files.remove(place));
        }
    }

    /// Takes a file for more rows. Returns those that are complete: large enough, or not suited for the rows that came.
    pub fn add(&mut self, encoded: Encoded) -> Result<Vec<Part>> {
        let mut complete = Vec::from_iter(encoded.closed);
        if encoded.file.bytes() >= FILE_BYTES {
            complete.push(encoded.file.close()?);
        } else {
            self.files.push(encoded.file);
        }
        Ok(complete)
    }

    /// Closes files that were not added to for longest, until the others take at most `keep` bytes; with 0, all.
    pub fn shrink(&mut self, keep: usize) -> Result<Vec<Part>> {
        let mut complete = Vec::new();
        let mut bytes: usize = self.files.iter().map(OpenFile::bytes).sum();
        while bytes > keep {
            let file = self.files.remove(0);
            bytes -= file.bytes();
            complete.push(file.close()?);
        }
        Ok(complete)
    }
}
