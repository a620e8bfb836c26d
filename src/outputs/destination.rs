//! Where a result goes: standard output, or a file that appears whole or not at all.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A place to write to. A file is written beside its place and moved there by [`Destination::commit`]; without it,
/// nothing is left.
#[derive(Debug)]
pub enum Destination {
    /// Standard output.
    Standard(BufWriter<Stdout>),
    /// A file.
    File(Box<NewFile>),
}

/// A file that is being written.
#[derive(Debug)]
pub struct NewFile {
    writer: Option<BufWriter<File>>,
    partial: PathBuf,
    path: PathBuf,
}

impl Destination {
    /// Opens the file, or standard output when there is none or it is `-`.
    pub fn open(path: Option<&Path>) -> Result<Destination> {
        let Some(path) = path.filter(|path| path.as_os_str() != "-") else {
            return Ok(Destination::Standard(BufWriter::with_capacity(1 << 16, io::stdout())));
        };
        let name = path.file_name().ok_or_else(|| Error::Usage(format!("{} names no file", path.display())))?;
        let partial = path.with_file_name(format!(".{}.{}.partial", name.to_string_lossy(), std::process::id()));
        let file = File::create(&partial)
            .map_err(|error| Error::Output(format!("{} cannot be written: {error}", path.display())))?;
        let writer = Some(BufWriter::with_capacity(1 << 16, file));
        Ok(Destination::File(Box::new(NewFile { writer, partial, path: path.to_owned() })))
    }

    /// True when people see the result as it is written.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Destination::Standard(_)) && io::stdout().is_terminal()
    }

    /// Ends writing: the file takes its place.
    pub fn commit(self) -> Result<()> {
        let (place, result) = match self {
            Destination::Standard(mut out) => ("standard output".to_owned(), out.flush()),
            Destination::File(mut file) => (file.path.display().to_string(), file.commit()),
        };
        match result {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Error::Output(format!("{place} cannot be written: {error}")))
            }
            _ => Ok(()),
        }
    }
}

impl NewFile {
    fn commit(&mut self) -> io::Result<()> {
        let Some(mut writer) = self.writer.take() else { return Ok(()) };
        let finished = writer.flush().and_then(|()| std::fs::rename(&self.partial, &self.path));
        if finished.is_err() {
            let _ = std::fs::remove_file(&self.partial);
        }
        finished
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if self.writer.take().is_some() {
            let _ = std::fs::remove_file(&self.partial);
        }
    }
}

impl Write for Destination {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Destination::Standard(out) => out.write(bytes),
            Destination::File(file) => file.writer.as_mut().map_or(Ok(0), |writer| writer.write(bytes)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Destination::Standard(out) => out.flush(),
            Destination::File(file) => file.writer.as_mut().map_or(Ok(()), Write::flush),
        }
    }
}
