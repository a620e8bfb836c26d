//! Findings appended to an NDJSON file: each once, also when the process is killed between two writes.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Lines, Shelf, cursor};
use crate::error::{Error, Result};

/// A file of findings. First the lines are synced, then the cursor names the length up to which the file is good;
/// whatever stands beyond it was never acknowledged, is cut off, and is offered again.
pub(super) struct NdjsonFile {
    path: PathBuf,
    cursor_path: PathBuf,
    cursor: Cursor,
    file: Option<File>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Cursor {
    position: Option<u64>,
    /// Length up to which the file is good.
    offset: u64,
    delivered: u64,
    /// Device and number of the file that `offset` speaks of; no file of another number is ever cut.
    file: Option<(u64, u64)>,
}

impl NdjsonFile {
    pub fn open(path: &Path, folder: &Path) -> Result<NdjsonFile> {
        cursor::make_folder(folder)?;
        let cursor_path = folder.join("cursor.json");
        let cursor = cursor::load(&cursor_path)?.unwrap_or_default();
        let mut file = NdjsonFile { path: path.to_owned(), cursor_path, cursor, file: None };
        file.settle().map_err(|error| file.failed(&error))?;
        Ok(file)
    }

    fn failed(&self, error: &io::Error) -> Error {
        Error::Output(format!("{} cannot take findings: {error}", self.path.display()))
    }

    /// Makes the file end where the cursor says. A file that is not the one the cursor speaks of (moved away by log
    /// rotation, or new) is continued at its end.
    fn settle(&mut self) -> io::Result<File> {
        let place = self.path.display().to_string();
        if let Some(open) = &self.file {
            let there = std::fs::metadata(&self.path).ok();
            if there.as_ref().and_then(identity) != identity(&open.metadata()?) || there.is_none() {
                tracing::warn!(file = place, "the file was moved away; findings go on in a new one");
                self.file = None;
            }
        }
        let mut file = match &self.file {
            Some(file) => file.try_clone()?,
            None => self.attach()?,
        };
        let (known, now) = (self.cursor.file, identity(&file.metadata()?));
        let length = file.metadata()?.len();
        let mut next = Cursor { file: now, ..self.cursor.clone() };
        if known == now && self.cursor_path.exists() && length >= next.offset {
            if length > next.offset {
                tracing::warn!(file = place, bytes = length - next.offset, "an unfinished write was cut off");
                file.set_len(next.offset)?;
            }
            return Ok(file);
        }
        if known == now && length < next.offset {
            tracing::warn!(file = place, "the file was cut by someone else; findings go on at its end");
        } else if known.is_some() && known != now {
            tracing::warn!(file = place, "this is not the file of the last run; findings go on at its end");
        }
        next.offset = length;
        if ends_within_a_line(&mut file, length)? {
            file.write_all(b"\n")?;
            next.offset += 1;
        }
        // Before the first line: without it a kill during that write would leave lines that nobody knows of.
        cursor::store(&self.cursor_path, &next)?;
        self.cursor = next;
        Ok(file)
    }

    fn attach(&mut self) -> io::Result<File> {
        if std::fs::metadata(&self.path).is_ok_and(|there| !there.is_file()) {
            return Err(io::Error::other("it is not a plain file"));
        }
        let file = File::options().read(true).append(true).create(true).open(&self.path)?;
        cursor::sync_folder_of(&self.path)?;
        self.file = Some(file.try_clone()?);
        Ok(file)
    }

    fn append(&mut self, position: u64, lines: &Lines) -> io::Result<()> {
        let mut file = self.settle()?;
        if !lines.text.is_empty() {
            file.write_all(&lines.text)?;
            file.sync_data()?;
        }
        let next = Cursor {
            position: Some(position),
            offset: self.cursor.offset + lines.text.len() as u64,
            delivered: self.cursor.delivered + lines.count,
            file: self.cursor.file,
        };
        cursor::store(&self.cursor_path, &next)?;
        self.cursor = next;
        Ok(())
    }
}

impl Shelf for NdjsonFile {
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
        self.append(position, lines).map_err(|error| self.failed(&error))
    }
}

/// What tells a file from another one in the same place.
fn identity(metadata: &Metadata) -> Option<(u64, u64)> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        Some((metadata.dev(), metadata.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        None
    }
}

fn ends_within_a_line(file: &mut File, length: u64) -> io::Result<bool> {
    if length == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::Start(length - 1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}
