//! Findings on standard output, a line each, flushed with every commit.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Lines, Shelf, cursor};
use crate::error::{Error, Result};

/// Standard output. What a pipe has taken cannot be taken back: after a kill between the flush and the cursor, the
/// findings of that one commit come again.
pub(super) struct Stdout {
    path: PathBuf,
    cursor: Cursor,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Cursor {
    position: Option<u64>,
    delivered: u64,
}

impl Stdout {
    pub fn open(folder: &Path) -> Result<Stdout> {
        cursor::make_folder(folder)?;
        let path = folder.join("cursor.json");
        let cursor = cursor::load(&path)?.unwrap_or_default();
        Ok(Stdout { path, cursor })
    }
}

impl Shelf for Stdout {
    fn position(&self) -> Option<u64> {
        self.cursor.position
    }

    fn total(&self) -> u64 {
        self.cursor.delivered
    }

    fn take(&mut self, position: u64, lines: &Lines) -> Result<()> {
        if self.cursor.position >= Some(position) {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        out.write_all(&lines.text).and_then(|()| out.flush()).map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Error::Output("the reader of standard output is gone".into()),
            _ => Error::Output(format!("findings cannot be written to standard output: {error}")),
        })?;
        drop(out);
        let next = Cursor { position: Some(position), delivered: self.cursor.delivered + lines.count };
        let stored = cursor::store(&self.path, &next);
        // Written is written: a second try must not print them again.
        self.cursor = next;
        stored.map_err(|error| Error::Output(format!("{} cannot be written: {error}", self.path.display())))
    }
}
