//! A folder that files arrive in: watched where the system can, listed now and then in any case, files taken at rest.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;

use super::memory::Memory;
use super::outlet::{Backoff, Outlet};
use super::watch::Watch;
use crate::intake::days::Days;
use crate::intake::{Found, Listing, local, names};

/// Time between listings of a folder that is watched: for what a watch cannot see, as on network drives.
const LISTING: Duration = Duration::from_secs(60);
/// A listing that takes long is not started again before several times as long has passed.
const SHARE: u32 = 10;
/// A file that has not changed for this long by the clock is at rest at first sight. Clocks of file servers may differ
/// by less than this.
const SETTLED: Duration = Duration::from_secs(60);
/// Longest sleep, in case a clock or a watch is wrong.
const DOZE: Duration = Duration::from_secs(30);

/// Watches until stopped, or lists once.
pub(super) async fn run(outlet: Outlet, place: String, top: PathBuf) {
    if outlet.pace.once {
        return outlet.once(&place).await;
    }
    tokio::select! {
        biased;
        () = outlet.stopped() => {}
        () = receive(&outlet, top, true) => {}
    }
}

async fn receive(outlet: &Outlet, top: PathBuf, watched: bool) {
    let memory = Memory::new(outlet.pace.poll);
    let mut folder = Folder { outlet, top, watched, watch: None, moving: HashMap::new(), memory, ready: Vec::new() };
    let mut backoff = Backoff::default();
    let mut listed = Instant::now();
    let mut list_at = listed;
    let mut readable = true;
    loop {
        if Instant::now() >= list_at {
            let pause = folder.list().await;
            readable = pause.is_some();
            if readable {
                backoff.reset();
            }
            listed = Instant::now();
            list_at = listed + pause.unwrap_or_else(|| outlet.pace.poll.max(backoff.next()));
        }
        let soon = listed + outlet.pace.poll;
        if folder.follow_changes().await {
            list_at = list_at.min(soon);
        }
        folder.look_at_moving().await;
        if let Some(again) = folder.memory.next() {
            list_at = list_at.min(again.max(soon));
        }
        let ready = std::mem::take(&mut folder.ready);
        if !ready.is_empty() && !outlet.hand_out(&folder.memory, ready).await {
            return;
        }
        outlet.status.looked(!readable || !folder.moving.is_empty());
        folder.sleep_until(list_at).await;
    }
}

struct Folder<'a> {
    outlet: &'a Outlet,
    top: PathBuf,
    /// False when it is not to be watched but only listed.
    watched: bool,
    watch: Option<Watch>,
    /// Files that changed a short while ago, by uri, and when they were first seen as they are.
    moving: HashMap<String, (Found, Instant)>,
    memory: Arc<Memory>,
    ready: Vec<Found>,
}

impl Folder<'_> {
    /// Lists everything. Returns the time until the next listing, or nothing when the folder cannot be read.
    async fn list(&mut self) -> Option<Duration> {
        // Watching comes first, so that nothing falls between the two.
        if self.watched && self.watch.is_none() {
            self.start_watch().await;
        }
        let began = Instant::now();
        let listing = self.look(vec![self.top.clone()]).await;
        let readable = listing.problems.is_empty();
        match listing.problems.first() {
            None => {
                self.outlet.status.well();
                self.memory.keep_only(&listing.found);
            }
            Some(problem) => {
                self.outlet.status.failed(format!("{}: {}", problem.place, problem.reason));
                // What comes back under this name may be another folder.
                self.watch = None;
            }
        }
        listing.found.into_iter().for_each(|found| self.consider(found));
        let usual = if self.watch.is_some() { LISTING } else { self.outlet.pace.poll };
        readable.then(|| usual.max(began.elapsed() * SHARE))
    }

    async fn start_watch(&mut self) {
        let top = self.top.clone();
        let started = tokio::task::spawn_blocking(move || Watch::start(&top)).await;
        match started.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(watch) => self.watch = Some(watch),
            // A folder that is not there is told by the listing.
            Err(_) if !self.top.exists() => {}
            Err(reason) => {
                let (source, seconds) = (&*self.outlet.status.source, self.outlet.pace.poll.as_secs_f32());
                let reason = names::text(reason.as_bytes());
                tracing::warn!(source, "cannot be watched ({reason}); it is listed every {seconds} s instead");
                self.watched = false;
            }
        }
    }

    /// Looks at what the watch has seen. True when the folder has to be listed.
    async fn follow_changes(&mut self) -> bool {
        let Some(watch) = &self.watch else { return false };
        let changes = watch.take();
        if changes.lost {
            self.watch = None;
        }
        if !changes.paths.is_empty() {
            // Links lead out of the folder, or repeat what is in it: the listing knows.
            let paths = changes.paths.into_iter().filter(|path| !path.is_symlink()).collect();
            let listing = self.look(paths).await;
            listing.found.into_iter().for_each(|found| self.consider(found));
        }
        changes.list || changes.lost
    }

    /// Looks again at files that should be at rest by now.
    async fn look_at_moving(&mut self) {
        let due = self.moving.iter().filter(|(_, (_, since))| since.elapsed() >= self.outlet.pace.rest);
        let uris: Vec<String> = due.map(|(uri, _)| uri.clone()).collect();
        if uris.is_empty() {
            return;
        }
        let now = self.look(uris.iter().map(|uri| names::path(uri)).collect()).await;
        let mut now: HashMap<String, Found> = now.found.into_iter().map(|found| (found.uri.clone(), found)).collect();
        for uri in uris {
            let Some((before, _)) = self.moving.remove(&uri) else { continue };
            match now.remove(&uri) {
                Some(now) if now.version == before.version => self.ready.push(now),
                Some(now) => self.consider(now),
                None => {}
            }
        }
    }

    /// Files as they are now, at paths inside the folder. Those that are not there are left out.
    async fn look(&self, paths: Vec<PathBuf>) -> Listing {
        let (top, options) = (self.top.clone(), &self.outlet.intake.options);
        let (days, limit) = (Days::new(options.since, options.until), options.limit);
        let listed = tokio::task::spawn_blocking(move || {
            let mut all = Listing::default();
            for path in paths {
                let part = local::below(&top, &path, days, limit);
                all.found.extend(part.found);
                all.problems.extend(part.problems);
            }
            all
        });
        listed.await.unwrap_or_default()
    }

    /// Decides about a file: known, at rest, or to be looked at again.
    fn consider(&mut self, found: Found) {
        // An empty file is about to be written; there is nothing to read in it yet.
        if found.size == 0 || !self.memory.wants(&found) {
            return;
        }
        let age = found.modified.map(|modified| Utc::now().signed_duration_since(modified));
        let settled = SETTLED.max(self.outlet.pace.rest);
        if age.and_then(|age| age.to_std().ok()).is_some_and(|age| age >= settled) {
            self.moving.remove(&found.uri);
            self.ready.push(found);
            return;
        }
        match self.moving.get(&found.uri) {
            Some((before, _)) if before.version == found.version => {}
            _ => drop(self.moving.insert(found.uri.clone(), (found, Instant::now()))),
        }
    }

    async fn sleep_until(&self, list_at: Instant) {
        let rest = self.outlet.pace.rest;
        let moved = self.moving.values().map(|(_, since)| *since + rest).min();
        let until = moved.map_or(list_at, |moved| moved.min(list_at)).min(Instant::now() + DOZE);
        let changed = async {
            match &self.watch {
                Some(watch) => watch.changed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = tokio::time::sleep_until(until.into()) => {}
            () = self.memory.given_back() => {}
            // Changes come in bursts; the first of them can wait for the others.
            () = changed => tokio::time::sleep(Duration::from_millis(50).min(rest)).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::{mpsc, watch};

    use super::*;
    use crate::intake::arrivals::Pace;
    use crate::intake::arrivals::status::Status;
    use crate::intake::{Intake, Options};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_folder_that_cannot_be_watched_is_polled() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        let (sender, mut arrivals) = mpsc::channel(4);
        let (_stop, stopped) = watch::channel(false);
        let intake = Arc::new(Intake::new(Options::default()));
        let tenth = Duration::from_millis(100);
        let pace = Pace { poll: tenth, rest: tenth, ..Pace::default() };
        let outlet = Outlet::new(intake, Arc::new(Status::new("in", "folder")), pace, sender, stopped);
        let place = top.clone();
        tokio::spawn(async move { receive(&outlet, place, false).await });
        tokio::time::sleep(tenth * 2).await;
        std::fs::create_dir(top.join("sub")).unwrap();
        std::fs::write(top.join("sub/a.json"), b"{}").unwrap();
        let arrival = tokio::time::timeout(Duration::from_secs(20), arrivals.recv()).await.unwrap().unwrap();
        assert!(arrival.found.len() == 1 && arrival.found[0].uri.ends_with("sub/a.json"), "{arrival:?}");
    }
}
