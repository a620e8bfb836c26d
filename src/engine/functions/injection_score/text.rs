//! Characters as the injection score sees them: without disguise, folded, by class.

/// The character that a full width or tag character or a curly apostrophe stands for; nothing for invisible ones.
pub(super) fn plain(character: char) -> Option<char> {
    let code = u32::from(character);
    match code {
        0..=0x7f => Some(character),
        0xad | 0xfeff | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f | 0xfe00..=0xfe0f => None,
        0x2018 | 0x2019 => Some('\''),
        0xff01..=0xff5e => char::from_u32(code - 0xfee0),
        0xe_0020..=0xe_007e => char::from_u32(code - 0xe_0000),
        _ => Some(character),
    }
}

/// A plain character in lower case; digits become 0.
pub(super) fn fold(plain: char) -> char {
    match plain {
        '0'..='9' => '0',
        '\0'..='\x7f' => plain.to_ascii_lowercase(),
        _ => plain.to_lowercase().next().unwrap_or(plain),
    }
}

/// What a folded character does to words.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Part {
    Space,
    /// Part of a word.
    Letter,
    /// A token by itself, in scripts without spaces.
    Single,
    /// A token by itself; a run of the same counts once.
    Mark,
}

pub(super) fn part(folded: char) -> Part {
    match u32::from(folded) {
        0..=0x20 => Part::Space,
        0x30..=0x39 | 0x41..=0x5a | 0x61..=0x7a => Part::Letter,
        0x85 | 0xa0 | 0x1680 | 0x2000..=0x200a | 0x2028 | 0x2029 | 0x202f | 0x205f | 0x3000 => Part::Space,
        0..=0xbf | 0xd7 | 0xf7 | 0x2000..=0x2bff | 0x3001..=0x303f | 0xfe10..=0xfe6f | 0xff00..=0xff65 => Part::Mark,
        0x1_f000..=0x1_faff => Part::Mark,
        0xe00..=0xe7f | 0x3040..=0x30ff | 0x3400..=0x9fff | 0x2_0000..=0x3_ffff => Part::Single,
        _ => Part::Letter,
    }
}

/// Class of a plain character, of which the outline of a text is made: 1 to 13.
pub(super) fn class(plain: char, part: Part) -> u32 {
    match (part, plain) {
        (Part::Space, '\n') => 2,
        (Part::Space, _) => 1,
        (Part::Letter | Part::Single, 'a'..='z') => 3,
        (Part::Letter | Part::Single, 'A'..='Z') => 4,
        (Part::Letter | Part::Single, '0'..='9') => 5,
        (Part::Letter | Part::Single, _) => 6,
        (Part::Mark, '(' | '[' | '{' | '<') => 7,
        (Part::Mark, ')' | ']' | '}' | '>') => 8,
        (Part::Mark, '"' | '\'' | '`') => 9,
        (Part::Mark, '.' | ',' | ';' | ':' | '!' | '?') => 10,
        (Part::Mark, '/' | '\\' | '|') => 11,
        (Part::Mark, '=' | '+' | '-' | '*' | '&' | '%' | '^' | '~') => 12,
        (Part::Mark, _) => 13,
    }
}
