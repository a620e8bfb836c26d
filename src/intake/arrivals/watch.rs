//! A watch on a folder: collects the paths that change, and rings when there are some.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use notify::event::{AccessKind, AccessMode};
use notify::{Config, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// More changes than this are not kept one by one: listing the folder is cheaper.
const MOST: usize = 50_000;

/// What has changed since the last look.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Changes {
    pub paths: HashSet<PathBuf>,
    /// The folder has to be listed: changes were too many, or the system lost some.
    pub list: bool,
    /// The watch sees nothing more: the folder itself went away, or the system allows no more watches.
    pub lost: bool,
}

#[derive(Debug, Default)]
struct Board {
    changes: Mutex<Changes>,
    bell: Notify,
}

/// Watches a folder and those in it, as long as it lives. Links are not followed.
pub(super) struct Watch {
    board: Arc<Board>,
    /// Held for its thread.
    _watcher: RecommendedWatcher,
}

impl Watch {
    /// Starts to watch; blocks while it walks over the folder. An error says why that is not possible here.
    pub fn start(top: &Path) -> Result<Watch, String> {
        let board = Arc::new(Board::default());
        let (written, own) = (board.clone(), top.to_owned());
        let note = move |event| note(&written, &own, event);
        let config = Config::default().with_follow_symlinks(false);
        let mut watcher = RecommendedWatcher::new(note, config).map_err(|error| error.to_string())?;
        watcher.watch(top, RecursiveMode::Recursive).map_err(|error| error.to_string())?;
        Ok(Watch { board, _watcher: watcher })
    }

    /// What has changed since the last call.
    pub fn take(&self) -> Changes {
        std::mem::take(&mut *self.board.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until something changes, or has changed before. May ring for nothing.
    pub async fn changed(&self) {
        self.board.bell.notified().await;
    }
}

fn note(board: &Board, top: &Path, event: notify::Result<Event>) {
    let mut changes = board.changes.lock().unwrap_or_else(PoisonError::into_inner);
    match event {
        Ok(event) if event.need_rescan() => changes.list = true,
        Ok(event) => {
            let closed = EventKind::Access(AccessKind::Close(AccessMode::Write));
            if event.kind.is_remove() {
                if event.paths.iter().all(|path| path != top) {
                    return;
                }
                changes.lost = true;
            }
            // Reading files, as the consumer does, changes nothing.
            if event.kind.is_access() && event.kind != closed {
                return;
            }
            if !event.kind.is_remove() {
                changes.paths.extend(event.paths);
            }
            if changes.paths.len() > MOST {
                changes.paths.clear();
                changes.list = true;
            }
        }
        Err(error) => {
            changes.list = true;
            changes.lost |= matches!(error.kind, notify::ErrorKind::MaxFilesWatch);
        }
    }
    drop(changes);
    board.bell.notify_one();
}
