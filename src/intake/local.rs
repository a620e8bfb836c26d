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
            0 => "there are no files in it; name the folder that holds the logs".to_owned(),
            passed => format!("none of its {passed} files is of the days between --since and --until"),
        };
        walk.listing.problems.push(Problem { empty: true, ..problem(log.as_bytes(), reason) });
    }
    walk.listing
}

/// Lists a file, or all files of a folder, inside the folder `top`, whose real path it is; what is not there has nothing.
pub(super) fn below(top: &Path, path: &Path, days: Days, limit: u64) -> Listing {
    let mut walk = Walk { days, limit, listing: Listing::default(), passed: 0 };
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => walk.folder(path, top),
        Ok(metadata) if metadata.is_file() && !names::left_over(&names::of_path(path)) => {
            walk.file(path, top, &metadata);
        }
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && path != top => {}
        Err(error) => walk.fault(path, format!("cannot be read: {error}; check the path and its permissions")),
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
        let place = Place::Held(Box::new(Bytes::from(bytes)));
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

#[cfg(all(test, unix))]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::{ffi::OsStrExt, fs::symlink};

    use super::*;
    use crate::intake::{Intake, Options};

    struct Case(tempfile::TempDir);

    impl Case {
        fn new(files: &[&str]) -> Case {
            let case = Case(tempfile::tempdir().unwrap());
            files.iter().for_each(|file| case.write(OsStr::new(file), file.as_bytes()));
            case
        }

        fn root(&self) -> PathBuf {
            self.0.path().canonicalize().unwrap()
        }

        fn write(&self, file: &OsStr, bytes: &[u8]) {
            let path = self.root().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }

        fn list(&self, places: &[&str], options: Options) -> Listing {
            let places: Vec<String> =
                places.iter().map(|place| self.root().join(place).display().to_string()).collect();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(Intake::new(options).list(&places))
        }

        /// Names below the root, in the order of the listing.
        fn names(&self, listing: &Listing) -> Vec<String> {
            let root = format!("{}/", self.root().display());
            listing.found.iter().map(|found| found.uri.strip_prefix(&root).unwrap_or(&found.uri).to_owned()).collect()
        }
    }

    fn load(found: &Found) -> Result<Vec<u8>, String> {
        super::super::read_file(found, 1000).map(|bytes| bytes.to_vec())
    }

    #[test]
    fn folders_are_read_to_the_bottom_without_left_overs() {
        let case = Case::new(&["b/c/d.json", "a.json", ".hidden", ".DS_Store", "x.tmp", "x.part", "x~", "b/.DS_Store"]);
        let listing = case.list(&["."], Options::default());
        assert_eq!(case.names(&listing), [".hidden", "a.json", "b/c/d.json"]);
        assert_eq!(listing.problems, []);
        assert_eq!(case.names(&case.list(&["x.tmp"], Options::default())), ["x.tmp"]);
    }

    #[test]
    fn overlapping_places_count_once() {
        let case = Case::new(&["b/c.json", "a.json"]);
        let listing = case.list(&["b", ".", "b/../a.json", "*", "b/c.json", "b"], Options::default());
        assert_eq!(case.names(&listing), ["a.json", "b/c.json"]);
    }

    #[test]
    fn hostile_names_are_shown_safely_and_read_all_the_same() {
        let case = Case::new(&[]);
        for name in [&b"bad\xffutf8.json"[..], b"two\nlines", b"\x1b[31mred", b"100%41", b"a b+\xc3\xbc"] {
            case.write(OsStr::from_bytes(name), name);
        }
        let listing = case.list(&["."], Options::default());
        assert_eq!(case.names(&listing), ["%1B[31mred", "100%2541", "a b+ü", "bad%FFutf8.json", "two%0Alines"]);
        for found in &listing.found {
            let (_, name) = found.uri.rsplit_once('/').unwrap();
            assert_eq!(load(found), Ok(names::bytes(name)));
        }
    }

    #[test]
    fn links_lead_out_once_and_never_in_circles() {
        let case = Case::new(&["in/a.json", "in/sub/b.json", "out/c.json", "out/d.json"]);
        let link = |to: &str, at: &str| symlink(case.root().join(to), case.root().join(at)).unwrap();
        link("in", "in/sub/up");
        link("", "in/above");
        link("in/a.json", "in/same.json");
        link("out", "in/far");
        link("out", "in/far-again");
        link("out/c.json", "in/file.json");
        link("out", "out/round");
        link("nowhere", "in/broken");
        let listing = case.list(&["in"], Options::default());
        assert_eq!(
            case.names(&listing),
            ["in/a.json", "in/far/c.json", "in/far/d.json", "in/file.json", "in/sub/b.json"]
        );
        let [problem] = &listing.problems[..] else { panic!("{:?}", listing.problems) };
        assert!(problem.place.ends_with("in/broken") && !problem.wrong_use);
    }

    #[test]
    fn patterns_match_files_and_folders() {
        let case = Case::new(&["2026-10-01/a.json", "2026-10-02/b.json", "2026-11-01/c.json", "[x].json"]);
        assert_eq!(
            case.names(&case.list(&["2026-10-*"], Options::default())),
            ["2026-10-01/a.json", "2026-10-02/b.json"]
        );
        assert_eq!(case.names(&case.list(&["**/c.json"], Options::default())), ["2026-11-01/c.json"]);
        assert_eq!(case.names(&case.list(&["[x].json"], Options::default())), ["[x].json"]);
    }

    #[test]
    fn places_that_name_nothing_are_wrong_use_and_empty_ones_are_not() {
        let case = Case::new(&["a.json"]);
        std::fs::create_dir(case.root().join("bare")).unwrap();
        let listing = case.list(&["missing.json", "*.gz", "[", "bare", "a.json"], Options::default());
        assert_eq!(case.names(&listing), ["a.json"]);
        let told: Vec<_> = listing.problems.iter().map(|problem| (problem.wrong_use, problem.empty)).collect();
        assert_eq!(told, [(true, false), (true, false), (true, false), (false, true)]);
        let other = list("gs://bucket/x", Days::default(), 1);
        assert!(other.problems[0].wrong_use && other.problems[0].reason.contains("s3://"), "{other:?}");
    }

    #[test]
    fn days_outside_the_window_are_left_out() {
        let case = Case::new(&[
            "AWSLogs/111122223333/CloudTrail/us-east-1/2026/10/02/a.json.gz",
            "AWSLogs/111122223333/CloudTrail/us-east-1/2026/09/02/b.json.gz",
            "undated.json",
        ]);
        let since = Some("2026-10-02T00:00:00Z".parse().unwrap());
        let listing = case.list(&["."], Options { since, ..Options::default() });
        assert_eq!(case.names(&listing).len(), 2);
        assert_eq!((listing.found[0].day, listing.found[1].day), ("2026-10-02".parse().ok(), None));
        let old = case.list(&["AWSLogs/*/CloudTrail/us-east-1/2026/09"], Options { since, ..Options::default() });
        assert!(old.found.is_empty() && old.problems[0].empty && old.problems[0].reason.contains("--since"));
    }

    #[test]
    fn versions_follow_changes_and_appends_wait_for_the_next() {
        let case = Case::new(&["a.json"]);
        let first = case.list(&["."], Options::default()).found.remove(0);
        assert_eq!(case.list(&["."], Options::default()).found.remove(0).version, first.version);
        case.write(OsStr::new("a.json"), b"a.json and more");
        let second = case.list(&["."], Options::default()).found.remove(0);
        assert_ne!(second.version, first.version);
        assert_eq!(load(&first), Ok(b"a.json".to_vec()));
        case.write(OsStr::new("a.json"), b"a");
        assert!(load(&second).unwrap_err().contains("shorter"));
        std::fs::remove_file(case.root().join("a.json")).unwrap();
        assert!(load(&second).unwrap_err().contains("cannot be read"));
    }

    #[test]
    fn pipes_and_large_files_keep_to_the_limit() {
        let mut walk = Walk { days: Days::default(), limit: 10, listing: Listing::default(), passed: 0 };
        walk.hold("-", "-".to_owned(), &b"0123456789"[..]);
        walk.hold("-", "-".to_owned(), &b"0123456789a"[..]);
        walk.hold("-", "-".to_owned(), std::io::empty());
        let [held] = &walk.listing.found[..] else { panic!("{:?}", walk.listing) };
        assert!(matches!(&held.place, Place::Held(bytes) if &bytes[..] == b"0123456789"));
        assert!(walk.listing.problems[0].reason.contains("--max-object-size") && walk.listing.problems[1].empty);

        let case = Case::new(&["large.json"]);
        let found = case.list(&["."], Options::default()).found.remove(0);
        assert!(super::super::read_file(&found, 9).unwrap_err().contains("--max-object-size"));
    }
}
