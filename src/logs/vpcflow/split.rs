//! Lines to fields: at blanks, at single blanks where values may be empty, at commas.

use wide::u8x16;

use crate::logs::text::{at_most, last_block, marks};

/// Calls `found` with the number of each field and its text, split at runs of blanks and control characters; returns the
/// number of fields.
#[inline]
pub(super) fn split_blanks<'a>(line: &'a str, mut found: impl FnMut(usize, &'a str)) -> usize {
    let (mut from, mut count) = (0, 0);
    let mut take = |start: usize, mut blanks: u64| {
        while blanks != 0 {
            let at = start + blanks.trailing_zeros() as usize;
            blanks &= blanks - 1;
            if from < at
                && let Some(field) = line.get(from..at)
            {
                found(count, field);
                count += 1;
            }
            from = at + 1;
        }
    };
    let (blocks, rest) = line.as_bytes().as_chunks::<64>();
    let mut start = 0;
    for block in blocks {
        take(start, marks(block, is_blank));
        start += block.len();
    }
    // Of the blanks that fill the last block, one ends the last field; the others are of no use.
    take(start, marks(&last_block(rest), is_blank) & (2u64 << rest.len()).wrapping_sub(1));
    count
}

fn is_blank(lanes: u8x16) -> u8x16 {
    at_most(lanes, b' ')
}

/// The same for fields that are separated by one blank each, so that a field may be empty.
pub(super) fn split_single_blanks<'a>(line: &'a str, mut found: impl FnMut(usize, &'a str)) -> usize {
    let mut count = 0;
    for field in line.trim_end_matches('\r').split(' ') {
        found(count, field);
        count += 1;
    }
    count
}

/// The same for fields that are separated by commas; a field in double quotes may contain some.
pub(super) fn split_commas<'a>(line: &'a str, mut found: impl FnMut(usize, &'a str)) -> usize {
    let mut rest = line.trim();
    let mut count = 0;
    loop {
        let quoted = rest.strip_prefix('"').and_then(|inner| inner.split_once('"'));
        let (field, after) = match quoted {
            Some((field, "")) => (field, None),
            Some((field, after)) if after.starts_with(',') => (field, after.get(1..)),
            _ => match rest.split_once(',') {
                Some((field, after)) => (field.trim(), Some(after)),
                None => (rest.trim(), None),
            },
        };
        found(count, field);
        count += 1;
        match after {
            Some(after) => rest = after,
            None => return count,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn blanks_of(line: &str) -> Vec<&str> {
        let mut fields = Vec::new();
        let count = split_blanks(line, |number, field| {
            assert_eq!(number, fields.len());
            fields.push(field);
        });
        assert_eq!(count, fields.len());
        fields
    }

    #[test]
    fn lines_split_like_words() {
        let lines = ["", " ", "a", "a b", "  a\t\tb \r", "1234567 ", "1234567 9", "ü ß€ 1", "a  b  c  d"];
        for line in lines {
            assert_eq!(blanks_of(line), line.split_ascii_whitespace().collect::<Vec<_>>(), "{line:?}");
        }
        for byte in 0..=127u8 {
            let line = format!("x{}y", char::from(byte));
            assert_eq!(blanks_of(&line).len(), if byte <= b' ' { 2 } else { 1 }, "{byte}");
        }
        for length in 0..200 {
            let line = format!("{} z{}", "y".repeat(length), " ".repeat(length % 3));
            assert_eq!(blanks_of(&line), line.split_ascii_whitespace().collect::<Vec<_>>(), "{length}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_line_splits_like_words(line in "[ \\t\\r\\x0c0-9a-z.:-]{0,300}|[ -~äß€😀]{0,150}") {
            prop_assert_eq!(blanks_of(&line), line.split_ascii_whitespace().collect::<Vec<_>>());
        }
    }

    #[test]
    fn commas_split_but_for_quotes() {
        let mut fields = Vec::new();
        split_commas(r#" a,"b, c",,"d"e, "f" ,"#, |_, field| fields.push(field));
        assert_eq!(fields, ["a", "b, c", "", "\"d\"e", "\"f\"", ""]);
    }
}
