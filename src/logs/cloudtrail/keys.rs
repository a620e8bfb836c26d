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
    keys: Vec<(&'static str, Target)>,
    /// Open addressing: index into `keys` plus one, 0 for free.
    places: [u8; PLACES],
}

/// Three times the keys of the largest level, and a power of two.
const PLACES: usize = 256;

static LEVELS: LazyLock<Vec<Level>> = LazyLock::new(build);

/// All levels; the first is the record itself.
pub(super) fn levels() -> &'static [Level] {
    &LEVELS
}

impl Level {
    /// Looks a key up.
    #[inline]
    pub fn find(&self, key: &str) -> Option<Target> {
        let mut place = start(key);
        loop {
            let index = *self.places.get(place)?;
            let (name, target) = self.keys.get(usize::from(index).checked_sub(1)?)?;
            if *name == key {
                return Some(*target);
            }
            place = (place + 1) % PLACES;
        }
    }

    fn new(path: String) -> Self {
        Level { path, keys: Vec::new(), places: [0; PLACES] }
    }

    fn add(&mut self, key: &'static str, target: Target) {
        self.keys.push((key, target));
        let mut place = start(key);
        while self.places.get(place).is_some_and(|&taken| taken != 0) {
            place = (place + 1) % PLACES;
        }
        if let Some(free) = self.places.get_mut(place) {
            *free = self.keys.len() as u8;
        }
    }
}

/// Where the search for a key begins.
#[inline]
fn start(key: &str) -> usize {
    let bytes = key.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return 0 };
    let middle = bytes.get(bytes.len() / 2).unwrap_or(last);
    (bytes.len() * 5 + usize::from(*first) * 3 + usize::from(*last) * 11 + usize::from(*middle) * 7) % PLACES
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
            assert_eq!(levels()[0].find(column.name).is_some(), true, "{}", column.name);
        }
        assert_eq!(levels()[0].find("eventTime"), Some(Target::Time));
        assert!(["", "extra", "eventname", "Records"].iter().all(|key| levels()[0].find(key).is_none()));
    }
}
