//! Files, folders, globs and standard input.

use std::collections::HashSet;
use std::fs::Metadata;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::days::{self, Days};
use super::{Found, Listing, Place, Problem, names, unpack};

/// Lists what a path, a glob or `-` stands for.
pub(super) fn list(log: &str, days: Days, limit: u64) -> Listing {
    let mut walk = Walk { days, limit, listing: Listing::default(), passed: 0 };
    walk.start(log);
    if walk.listing.found.is_empty() && walk.listing.problems.is_empty() {
        let reason = match walk.passed {
            0 => "there are no files in it".to_owned(),
            passed => format!("none of its {passed} files is of the days between --since and --until"),
        };
        walk.listing.problems.push(Problem { empty: true, ..problem(log.as_bytes(), reason) });
    }
    walk.listing
}

struct Walk {
    days: Days,
    limit: u64,
    listing: Listing,
    /// Files of days that are not wanted.
    passed: usize,
}

impl Walk {
    fn start(&mut self, log: &str) {
        if log == "-" {
            return self.hold(log, "-".to_owned(), std::io::stdin().lock());
        }
        let log = log.strip_prefix("file://").unwrap_or(log);
        if let Some((scheme, _)) = log.split_once("://") {
            return self.wrong(log, format!("{scheme}:// is not read; give a path or an s3://bucket/prefix address"));
        }
        match std::fs::metadata(log) {
            Ok(_) => self.place(Path::new(log), None),
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                self.fault(Path::new(log), format!("cannot be read: {error}; check its permissions"));
            }
            Err(_) if log.contains(['*', '?', '[']) => self.glob(log),
            Err(_) => self.wrong(log, "there is no such file or folder; check the path".to_owned()),
        }
    }

    fn glob(&mut self, pattern: &str) {
        let paths = match glob::glob(pattern) {
            Ok(paths) => paths,
            Err(error) => return self.wrong(pattern, format!("is not a pattern: {error}; quote it as it is meant")),
        };
        let literal = pattern.find(['*', '?', '[']).and_then(|at| pattern.get(..at)).unwrap_or_default();
        let root = literal.rfind('/').and_then(|at| literal.get(..=at)).unwrap_or(".");
        let root = std::fs::canonicalize(root).ok();
        let mut any = false;
        for path in paths {
            any = true;
            match path {
                Ok(path) => self.place(&path, root.as_deref()),
                Err(error) => self.fault(error.path(), format!("cannot be read: {}", error.error())),
            }
        }
        if !any {
            self.wrong(pattern, "matches no file; check the pattern".to_owned());
        }
    }

    /// A file or folder that was named. `root` is where dates in its path begin to count.
    fn place(&mut self, path: &Path, root: Option<&Path>) {
        let real = match std::fs::canonicalize(path).and_then(|real| Ok((std::fs::metadata(&real)?, real))) {
            Ok(real) => real,
            Err(error) => return self.fault(path, format!("cannot be read: {error}; check its permissions")),
        };
        let (kind, real) = (real.0, real.1);
        if kind.is_dir() {
            return self.folder(&real, root.filter(|root| real.starts_with(root)).unwrap_or(&real));
        }
        if kind.is_file() {
            let root = root.filter(|root| real.starts_with(root)).or(real.parent());
            return self.file(&real, root.unwrap_or(&real), &kind);
        }
        // A pipe, as from the shell's <(...): no time of change, no second reading. Its own name must do.
        match std::fs::File::open(path) {
            Ok(pipe) => self.hold(&names::of_path(path), names::of_path(path), pipe),
            Err(error) => self.fault(path, format!("cannot be read: {error}")),
        }
    }

    fn folder(&mut self, top: &Path, root: &Path) {
        let mut links = Vec::new();
        let mut entered = HashSet::new();
        self.tree(top, root, &mut links);
        // Links come after the folder itself. Those to something inside it would only repeat it; one that leads back
        // above it would never end.
        while let Some(link) = links.pop() {
            let target = match std::fs::canonicalize(&link).and_then(|to| Ok((std::fs::metadata(&to)?, to))) {
                Ok(target) => target,
                Err(error) => {
                    self.fault(&link, format!("is a link that leads nowhere ({error}); restore what it points to"));
                    continue;
                }
            };
            let (kind, target) = target;
            if target.starts_with(top) || top.starts_with(&target) || !entered.insert(target) {
                continue;
            }
            if kind.is_dir() {
                self.tree(&link, root, &mut links);
            } else if kind.is_file() {
                self.file(&link, root, &kind);
            }
        }
    }

    /// Files of a folder and of those below it; links are only collected.
    fn tree(&mut self, top: &Path, root: &Path, links: &mut Vec<PathBuf>) {
        let mut folders = vec![top.to_owned()];
        let mut found_links = Vec::new();
        while let Some(folder) = folders.pop() {
            let entries = match std::fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) => {
                    self.fault(&folder, format!("cannot be read: {error}; check its permissions"));
                    continue;
                }
            };
            for entry in entries {
                let kind = entry.and_then(|entry| Ok((entry.file_type()?, entry)));
                match kind {
                    Ok((kind, entry)) if kind.is_dir() => folders.push(entry.path()),
                    Ok((kind, entry)) if kind.is_symlink() => found_links.push(entry.path()),
                    Ok((kind, entry)) if kind.is_file() && !names::left_over(&names::of_path(&entry.path())) => {
                        match entry.metadata() {
                            Ok(metadata) => self.file(&entry.path(), root, &metadata),
                            Err(error) => self.fault(&entry.path(), format!("cannot be read: {error}")),
                        }
                    }
                    Ok(_) => {}
                    Err(error) => self.fault(&folder, format!("cannot be read completely: {error}")),
                }
            }
        }
        found_links.sort_by(|a, b| b.cmp(a));
        links.extend(found_links);
    }

    fn file(&mut self, path: &Path, root: &Path, metadata: &Metadata) {
        let uri = names::of_path(path);
        let day = days::day(&uri, names::of_path(root).len());
        if !self.days.hold(day) {
            self.passed += 1;
            return;
        }
        let (stamp, modified) = changed(metadata);
        let size = metadata.len();
        let version = format!("{stamp}-{size}");
        self.listing.found.push(Found { uri, size, version, modified, day, place: Place::File });
    }

    /// Reads what can be read only once.
    fn hold(&mut self, log: &str, uri: String, input: impl Read) {
        let mut bytes = Vec::new();
        if let Err(error) = input.take(self.limit.saturating_add(1)).read_to_end(&mut bytes) {
            return self.fault(Path::new(log), format!("cannot be read: {error}"));
        }
        if bytes.len() as u64 > self.limit {
            return self.fault(Path::new(log), unpack::too_large(self.limit));
        }
        if bytes.is_empty() {
            let reason = "nothing came from it".to_owned();
            self.listing.problems.push(Problem { empty: true, ..problem(log.as_bytes(), reason) });
            return;
        }
        let size = bytes.len() as u64;
        let version = format!("{:032x}-{size}", xxhash_rust::xxh3::xxh3_128(&bytes));
        let place = Place::Held(Bytes::from(bytes));
        self.listing.found.push(Found { uri, size, version, modified: None, day: None, place });
    }

    fn fault(&mut self, path: &Path, reason: String) {
        self.listing.problems.push(problem(path.as_os_str().as_encoded_bytes(), reason));
    }

    fn wrong(&mut self, log: &str, reason: String) {
        self.listing.problems.push(Problem { wrong_use: true, ..problem(log.as_bytes(), reason) });
    }
}

fn problem(place: &[u8], reason: String) -> Problem {
    Problem { place: names::text(place), reason, wrong_use: false, empty: false }
}

/// Time of change in nanoseconds since 1970, and as a date where it is one.
fn changed(metadata: &Metadata) -> (i128, Option<DateTime<Utc>>) {
    let Ok(time) = metadata.modified() else { return (0, None) };
    let nanos = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i128::try_from(after.as_nanos()).unwrap_or(i128::MAX),
        Err(before) => -i128::try_from(before.duration().as_nanos()).unwrap_or(i128::MAX),
    };
    let seconds = i64::try_from(nanos.div_euclid(1_000_000_000)).ok();
    let rest = u32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap_or(0);
    (nanos, seconds.and_then(|seconds| DateTime::from_timestamp(seconds, rest)))
}
