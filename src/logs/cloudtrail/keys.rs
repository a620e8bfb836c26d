//! Which column a JSON key fills, made from the column list.

use std::sync::LazyLock;

use super::COLUMNS;

/// What a key leads to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Target {
    /// The event time, which every table has.
    Time,
    /// The column with this index.
    Column(usize),
    /// A closed object: its keys are in the level with this index.
    Level(usize),
}

/// The keys of one closed object, or of the record.
#[derive(Debug)]
pub(super) struct Level {
    /// Path of the object with a dot at the end; empty for the record.
    pub path: String,
    keys: Vec<Known>,
    /// Open addressing: index into `keys` plus one, 0 for free.
    places: [u8; PLACES],
}

/// A key and what it leads to.
#[derive(Debug)]
struct Known {
    print: Print,
    name: String,
    target: Target,
}

/// Three times the keys of the largest level, and a power of two.
const PLACES: usize = 512;

static LEVELS: LazyLock<Vec<Level>> = LazyLock::new(build);

/// All levels; the first is the record itself.
pub(super) fn levels() -> &'static [Level] {
    &LEVELS
}

impl Level {
    /// Looks a key up.
    #[inline]
    pub fn find(&self, key: &str) -> Option<Target> {
        let print = Print::of(key);
        let mut place = print.place();
        loop {
            let index = *self.places.get(place)?;
            let known = self.keys.get(usize::from(index).checked_sub(1)?)?;
            if known.print == print && (key.len() <= 16 || known.name == key) {
                return Some(known.target);
            }
            place = (place + 1) % PLACES;
        }
    }

    fn new(path: String) -> Self {
        Level { path, keys: Vec::new(), places: [0; PLACES] }
    }

    /// Adds a key as AWS spells it and in lower case, as query engines export it.
    fn add(&mut self, key: &str, target: Target) {
        self.insert(key.to_owned(), target);
        let lower = key.to_ascii_lowercase();
        if lower != key {
            self.insert(lower, target);
        }
    }

    fn insert(&mut self, name: String, target: Target) {
        let print = Print::of(&name);
        self.keys.push(Known { print, name, target });
        let mut place = print.place();
        while self.places.get(place).is_some_and(|&taken| taken != 0) {
            place = (place + 1) % PLACES;
        }
        if let Some(free) = self.places.get_mut(place) {
            *free = self.keys.len() as u8;
        }
    }
}

/// First and last eight bytes and the length of a key: the whole of it when it has no more than 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Print {
    first: u64,
    last: u64,
    length: usize,
}

impl Print {
    #[inline]
    fn of(key: &str) -> Self {
        let bytes = key.as_bytes();
        let (first, last) = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
            (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
            _ => (bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)), 0),
        };
        Print { first, last, length: bytes.len() }
    }

    /// Where the search begins.
    #[inline]
    fn place(&self) -> usize {
        let mixed = (self.first ^ self.last.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 48) as usize % PLACES
    }
}

fn build() -> Vec<Level> {
    let mut levels = vec![Level::new(String::new())];
    levels[0].add("eventTime", Target::Time);
    for (column, definition) in COLUMNS.iter().enumerate().filter(|(_, c)| c.name != "extra") {
        let mut level = 0;
        let mut rest = definition.name;
        while let Some((object, inner)) = rest.split_once('.') {
            level = match levels[level].find(object) {
                Some(Target::Level(known)) => known,
                _ => {
                    let path = format!("{}{object}.", levels[level].path);
                    levels.push(Level::new(path));
                    let fresh = levels.len() - 1;
                    levels[level].add(object, Target::Level(fresh));
                    fresh
                }
            };
            rest = inner;
        }
        levels[level].add(rest, Target::Column(column));
        if level != 0 {
            // Flattened exports write the whole path as one key.
            levels[0].add(definition.name, Target::Column(column));
        }
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_at_once() {
        for level in levels() {
            let steps: usize = level.keys.iter().map(|key| level.steps(key)).sum();
            assert!(steps < level.keys.len() * 2, "{}: {steps} steps for {} keys", level.path, level.keys.len());
        }
    }

    impl Level {
        fn steps(&self, key: &Known) -> usize {
            let home = key.print.place();
            (1..=PLACES)
                .find(|step| {
                    let index = usize::from(self.places[(home + step - 1) % PLACES]);
                    index > 0 && self.keys[index - 1].name == key.name
                })
                .unwrap_or(PLACES)
        }
    }

    #[test]
    fn every_column_is_found_by_its_path() {
        for (index, column) in COLUMNS.iter().enumerate().filter(|(_, c)| c.name != "extra") {
            let mut level = &levels()[0];
            let mut parts = column.name.split('.').peekable();
            while let Some(part) = parts.next() {
                match level.find(part) {
                    Some(Target::Level(next)) => level = &levels()[next],
                    found => assert_eq!((found, parts.peek()), (Some(Target::Column(index)), None), "{}", column.name),
                }
            }
            assert!(levels()[0].find(column.name).is_some(), "{}", column.name);
            assert!(levels()[0].find(&column.name.to_ascii_lowercase()).is_some(), "{}", column.name);
        }
        assert_eq!(levels()[0].find("eventTime"), Some(Target::Time));
        assert!(["", "extra", "EventName", "Records"].iter().all(|key| levels()[0].find(key).is_none()));
    }
}
