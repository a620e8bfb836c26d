//! Listing S3: down the known folders (accounts, Regions, days), many at once, past days that are not wanted.

use futures::StreamExt;
use futures::stream::FuturesUnordered;

use super::days::{self, Days};
use super::refusals::Refusal;
use super::s3::{Listed, Page, S3};
use super::{Found, Listing, Place, Problem, names};

/// Listing requests in flight.
const AT_ONCE: usize = 32;
/// Folders that may stand between an address and `AWSLogs`, or between `AWSLogs` and the years (organisation, account,
/// service, Region); further down everything is listed without looking for folders.
const DEPTH: usize = 5;
/// A folder with more folders than this in its first thousand entries, and not AWS's, is listed as a whole:
/// one request for each of them would cost more.
const MANY: usize = 200;

/// Lists what an `s3://bucket/prefix` address stands for: an object, or everything below a folder.
pub(super) async fn list(s3: &S3, log: &str, days: Days) -> Listing {
    let (mut listing, passed) = look(s3, log, days).await;
    if listing.found.is_empty() && listing.problems.is_empty() {
        let (_, prefix) = log.strip_prefix("s3://").and_then(|address| address.split_once('/')).unwrap_or_default();
        listing.problems.push(nothing(log, prefix, passed));
    }
    listing
}

/// As [`list`], for an address that may hold nothing yet. True when objects were left out because of their day.
pub(super) async fn look(s3: &S3, log: &str, days: Days) -> (Listing, bool) {
    let address = log.strip_prefix("s3://").unwrap_or(log);
    let (bucket, prefix) = address.split_once('/').unwrap_or((address, ""));
    let mut listing = Listing::default();
    if bucket.is_empty() {
        listing.problems.push(wrong(log, "names no bucket; write s3://bucket/prefix".to_owned()));
        return (listing, false);
    }
    if !prefix.is_empty() && !prefix.ends_with('/') {
        match exact(s3, bucket, prefix).await {
            Ok(None) => {}
            Ok(Some(object)) => {
                let root = prefix.rfind('/').unwrap_or(0);
                listing.found.push(found(bucket, object, root));
                listing.found.retain(|found| days.hold(found.day));
                let passed = listing.found.is_empty();
                return (listing, passed);
            }
            Err(refusal) => {
                listing.problems.push(problem(log, refusal));
                return (listing, false);
            }
        }
    }
    let folder = if prefix.is_empty() || prefix.ends_with('/') { prefix.to_owned() } else { format!("{prefix}/") };
    let mut walk = Walk { s3, bucket, root: folder.len(), days, passed: false, listing };
    walk.run(log, folder).await;
    (walk.listing, walk.passed)
}

fn nothing(log: &str, prefix: &str, passed: bool) -> Problem {
    let reason = match (passed, prefix.is_empty()) {
        (true, _) => "none of its objects is of the days between --since and --until",
        (false, true) => "the bucket is empty",
        (false, false) if prefix.contains(['*', '?']) => {
            "there is nothing under this prefix; wildcards are not expanded in S3, give the prefix before them"
        }
        (false, false) => "there is nothing under this prefix; check the address",
    };
    let wrong_use = !passed && !prefix.is_empty();
    Problem { place: names::text(log.as_bytes()), reason: reason.to_owned(), wrong_use, empty: !wrong_use }
}

/// The object with exactly this key: it sorts before all longer ones.
async fn exact(s3: &S3, bucket: &str, key: &str) -> Result<Option<Listed>, Refusal> {
    let page = s3.page(bucket, key, true, None).await?;
    Ok(page.objects.into_iter().next().filter(|object| object.key == key))
}

struct Walk<'a> {
    s3: &'a S3,
    bucket: &'a str,
    /// Length of the prefix that was asked for.
    root: usize,
    days: Days,
    /// True when something was left out because of its day.
    passed: bool,
    listing: Listing,
}

/// A prefix to list: its own level only, or everything below it.
struct Visit {
    prefix: String,
    fold: bool,
}

impl Walk<'_> {
    async fn run(&mut self, log: &str, start: String) {
        let mut waiting = vec![Visit { fold: self.descends(&start), prefix: start }];
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < AT_ONCE
                && let Some(visit) = waiting.pop()
            {
                running.push(pages(self.s3, self.bucket, visit));
            }
            match running.next().await {
                None => return,
                Some(Ok(page)) => self.take(page, &mut waiting),
                Some(Err((prefix, refusal))) => self.refused(log, &prefix, refusal),
            }
        }
    }

    fn take(&mut self, page: Page, waiting: &mut Vec<Visit>) {
        for object in page.objects {
            let marker = object.key.ends_with('/') && object.size == 0;
            if marker || names::left_over(&object.key) {
                continue;
            }
            let found = found(self.bucket, object, self.root);
            if self.days.hold(found.day) {
                self.listing.found.push(found);
            } else {
                self.passed = true;
            }
        }
        for prefix in page.prefixes {
            if !self.unwanted(&prefix) {
                waiting.push(Visit { fold: self.descends(&prefix), prefix });
                continue;
            }
            self.passed = true;
            if days::below_reserved(&prefix).is_none() {
                // A copy of an archive, filed under the day on which it was made.
                waiting.push(Visit { prefix: format!("{prefix}AWSLogs/"), fold: true });
            }
        }
    }

    /// True for a folder that holds only days that are not wanted.
    ///
    /// Below `AWSLogs` every date is AWS's. In folders made by hand only a whole date is taken for one, since a number
    /// like 2020 can be anything.
    fn unwanted(&self, prefix: &str) -> bool {
        let (below, aws) = self.below(prefix);
        let known = aws || days::is_day(below);
        known && days::span(below).is_some_and(|span| !self.days.overlap(&span))
    }

    /// True when a folder is looked at level by level rather than listed as a whole.
    fn descends(&self, prefix: &str) -> bool {
        let (below, aws) = self.below(prefix);
        if let Some(span) = days::span(below) {
            // Whole years and months are as good as their days when no day is left out.
            return !self.days.all() && span.start() != span.end();
        }
        let depth = below.split('/').filter(|segment| !segment.is_empty()).count();
        let at_region = aws && below.trim_end_matches('/').rsplit('/').next().is_some_and(is_region);
        depth <= DEPTH && !(at_region && self.days.all())
    }

    /// The part of a prefix that says what it is, and whether AWS laid it out.
    fn below<'p>(&self, prefix: &'p str) -> (&'p str, bool) {
        match days::below_reserved(prefix) {
            Some(below) => (below, true),
            None => (prefix.get(self.root..).unwrap_or_default(), false),
        }
    }

    /// Each reason is told once, with the first place that gave it.
    fn refused(&mut self, log: &str, prefix: &str, refusal: Refusal) {
        let place = if prefix.len() > self.root { names::object(self.bucket, prefix) } else { log.to_owned() };
        let problem = problem(&place, refusal);
        if self.listing.problems.iter().all(|known| known.reason != problem.reason) {
            self.listing.problems.push(problem);
        }
    }
}

/// All pages of a prefix. A level with very many folders that are not AWS's comes back without folders.
async fn pages(s3: &S3, bucket: &str, visit: Visit) -> Result<Page, (String, Refusal)> {
    let Visit { prefix, mut fold } = visit;
    let mut all = Page { objects: Vec::new(), prefixes: Vec::new(), next: None };
    loop {
        let page = match s3.page(bucket, &prefix, fold, all.next.take()).await {
            Ok(page) => page,
            Err(refusal) => return Err((prefix, refusal)),
        };
        let crowded = page.next.is_some() && page.prefixes.len() > MANY;
        if fold && crowded && days::below_reserved(&prefix).is_none() {
            fold = false;
            all.objects.clear();
            all.prefixes.clear();
            continue;
        }
        all.objects.extend(page.objects);
        all.prefixes.extend(page.prefixes);
        match page.next {
            Some(next) => all.next = Some(next),
            None => return Ok(all),
        }
    }
}

/// `us-east-1`, `us-gov-west-1`, `aws-region=us-east-1`.
pub(super) fn is_region(segment: &str) -> bool {
    let name = segment.strip_prefix("aws-region=").unwrap_or(segment);
    let parts: Vec<&str> = name.split('-').collect();
    let Some((number, words)) = parts.split_last() else { return false };
    let letters = |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
    (2..=4).contains(&words.len()) && words.iter().all(letters) && number.len() == 1 && number.parse::<u8>().is_ok()
}

/// An object of a bucket. Days in its key count from byte `root` on.
pub(super) fn found(bucket: &str, object: Listed, root: usize) -> Found {
    let Listed { key, size, version, modified } = object;
    Found { uri: names::object(bucket, &key), size, version, modified, day: days::day(&key, root), place: Place::S3 }
}

fn problem(place: &str, refusal: Refusal) -> Problem {
    let Refusal { reason, wrong_use } = refusal;
    Problem { place: names::text(place.as_bytes()), reason, wrong_use, empty: false }
}

fn wrong(place: &str, reason: String) -> Problem {
    problem(place, Refusal { reason, wrong_use: true })
}

#[cfg(test)]
mod tests {
    use super::is_region;

    #[test]
    fn regions_are_told_from_other_names() {
        for region in ["us-east-1", "us-gov-west-1", "ap-southeast-2", "eusc-de-east-1", "aws-region=eu-north-1"] {
            assert!(is_region(region), "{region}");
        }
        for other in ["111122223333", "CloudTrail", "2026", "o-abcdef1234", "us-east", "", "year=2026", "a-1"] {
            assert!(!is_region(other), "{other}");
        }
    }
}
