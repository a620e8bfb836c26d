//! Files that wait for more rows of their day, of all tables that are written side by side.

use super::parquet::{Job, OpenFile, Part};
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

    /// Takes a file for more rows. Returns files that are large enough, and those that were not added to for longest until at
    /// most `keep` bytes wait.
    pub fn keep(&mut self, file: OpenFile, keep: usize) -> Result<Vec<Part>> {
        let mut closed = Vec::new();
        if file.bytes() >= FILE_BYTES {
            closed.push(file.close()?);
        } else {
            self.files.push(file);
        }
        while self.files.iter().map(OpenFile::bytes).sum::<usize>() > keep {
            closed.push(self.files.remove(0).close()?);
        }
        Ok(closed)
    }

    /// All of them; none waits any more.
    pub fn close(&mut self) -> Result<Vec<Part>> {
        self.files.drain(..).map(OpenFile::close).collect()
    }
}
