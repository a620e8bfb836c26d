//! How far a channel is, on disk: small files replaced whole, folders that are synced, and the lock over them.

use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// How long the lock of a process that is just ending is waited for.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// Reads a cursor; nothing when there is none yet.
pub(super) fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::Output(format!("{} cannot be read: {error}", path.display()))),
    };
    let cursor = serde_json::from_slice(&text).map_err(|error| {
        Error::Output(format!(
            "{} is damaged ({error}); move its folder away to start the channel anew with what is found next",
            path.display()
        ))
    })?;
    Ok(Some(cursor))
}

/// Replaces a cursor: after a crash the old or the new one is there, whole.
pub(super) fn store<T: Serialize>(path: &Path, cursor: &T) -> io::Result<()> {
    replace(path, &serde_json::to_vec(cursor)?)
}

/// Puts a file in its place, whole and on disk when this returns.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    sync_folder_of(path)
}

/// Makes the names in the folder of `path` durable. Only Unix opens folders as files.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) && !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// Makes a folder that only its owner reads: what waits in it names people and keys.
pub(super) fn make_folder(path: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(path)
        .and_then(|()| sync_folder_of(path))
        .map_err(|error| Error::Output(format!("the folder {} cannot be made: {error}", path.display())))
}

/// The right to use a folder, until it is dropped or the process ends.
#[derive(Debug)]
pub(super) struct Lock(#[allow(dead_code, reason = "open while the lock is held")] File);

impl Lock {
    /// Takes the lock of a folder, or says who may hold it.
    pub async fn take(folder: &Path) -> Result<Lock> {
        let path = folder.join("lock");
        let failed = |error: io::Error| Error::Output(format!("{} cannot be locked: {error}", path.display()));
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        for _ in 0..LOCK_TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(Lock(file)),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_PAUSE).await,
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
        Err(Error::Usage(format!(
            "another process delivers findings from {}; end it, or give this one a folder of its own",
            folder.display()
        )))
    }
}
