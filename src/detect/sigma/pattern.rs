//! Texts with the wildcards of Sigma: `*`, `?`, and the backslash that takes their meaning away.

/// A piece of a pattern.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// This text.
    Text(String),
    /// One character.
    One,
    /// Any text, also none.
    Any,
}

/// A text with wildcards.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pattern(Vec<Piece>);

impl Pattern {
    /// Reads a value. A backslash before `*`, `?` or another backslash stands for that character; any other backslash is
    /// one.
    pub fn read(value: &str) -> Pattern {
        let mut pattern = Pattern::default();
        let mut letters = value.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '*' => pattern.push(Piece::Any),
                '?' => pattern.push(Piece::One),
                '\\' => {
                    let taken = letters.next_if(|next| matches!(next, '*' | '?' | '\\'));
                    pattern.push_letter(taken.unwrap_or('\\'));
                }
                _ => pattern.push_letter(letter),
            }
        }
        pattern
    }

    /// A text in which nothing is a wildcard.
    pub fn plain(text: &str) -> Pattern {
        let mut pattern = Pattern::default();
        text.chars().for_each(|letter| pattern.push_letter(letter));
        pattern
    }

    /// The pattern with any text before or after it.
    pub fn open(self, before: bool, after: bool) -> Pattern {
        let mut pattern = Pattern::default();
        if before {
            pattern.push(Piece::Any);
        }
        self.0.into_iter().for_each(|piece| pattern.push(piece));
        if after {
            pattern.push(Piece::Any);
        }
        pattern
    }

    fn push(&mut self, piece: Piece) {
        if !(piece == Piece::Any && self.0.last() == Some(&Piece::Any)) {
            self.0.push(piece);
        }
    }

    fn push_letter(&mut self, letter: char) {
        match self.0.last_mut() {
            Some(Piece::Text(text)) => text.push(letter),
            _ => self.0.push(Piece::Text(letter.into())),
        }
    }

    /// Number of wildcards.
    pub fn wildcards(&self) -> usize {
        self.0.iter().filter(|piece| !matches!(piece, Piece::Text(_))).count()
    }

    /// The text, when there is no wildcard.
    pub fn exact(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// True when every text matches.
    pub fn is_anything(&self) -> bool {
        self.0 == [Piece::Any]
    }

    /// True for text in the middle of anything: `*text*`.
    pub fn is_open(&self) -> bool {
        self.0.first() == Some(&Piece::Any) && self.0.last() == Some(&Piece::Any)
    }

    /// The text that every match begins with; empty when it may begin with anything.
    pub fn head(&self) -> &str {
        match self.0.first() {
            Some(Piece::Text(text)) => text,
            _ => "",
        }
    }

    /// True when upper and lower case of some letter differ.
    pub fn has_letters(&self) -> bool {
        let texts = self.0.iter().filter_map(|piece| if let Piece::Text(text) = piece { Some(text) } else { None });
        texts.flat_map(|text| text.chars()).any(|c| c.is_lowercase() || c.is_uppercase())
    }

    /// The pattern for `LIKE`.
    pub fn like(&self) -> String {
        self.like_with(|text| text.to_owned())
    }

    /// The pattern for `LIKE` on JSON, where some characters are written as escapes.
    pub fn like_in_json(&self) -> String {
        self.like_with(|text| {
            let quoted = serde_json::Value::from(text).to_string();
            quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text).to_owned()
        })
    }

    fn like_with(&self, written: impl Fn(&str) -> String) -> String {
        let mut like = String::new();
        for piece in &self.0 {
            match piece {
                Piece::One => like.push('_'),
                Piece::Any => like.push('%'),
                Piece::Text(text) => {
                    for letter in written(text).chars() {
                        if matches!(letter, '%' | '_' | '\\') {
                            like.push('\\');
                        }
                        like.push(letter);
                    }
                }
            }
        }
        like
    }

    /// A text that matches.
    pub fn sample(&self) -> String {
        self.0
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.as_str(),
                Piece::One => "x",
                Piece::Any => "",
            })
            .collect()
    }

    /// Whether a text matches.
    pub fn matches(&self, text: &str, cased: bool) -> bool {
        let fold = |text: &str| if cased { text.to_owned() } else { text.to_lowercase() };
        let text: Vec<char> = fold(text).chars().collect();
        // Places in the text that the pieces so far may end at.
        let mut ends = vec![0_usize];
        for piece in &self.0 {
            ends = match piece {
                Piece::One => ends.into_iter().map(|end| end + 1).filter(|end| *end <= text.len()).collect(),
                Piece::Any => ends.into_iter().min().map_or(Vec::new(), |first| (first..=text.len()).collect()),
                Piece::Text(wanted) => {
                    let wanted: Vec<char> = fold(wanted).chars().collect();
                    let fits = |end: &usize| text.get(*end..end + wanted.len()) == Some(wanted.as_slice());
                    ends.into_iter().filter(fits).map(|end| end + wanted.len()).collect()
                }
            };
        }
        ends.contains(&text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_and_backslashes() {
        for (written, like) in [
            ("a*b?c", "a%b_c"),
            (r"50%_\x", r"50\%\_\\x"),
            (r"\*\?", "*?"),
            (r"\\*", r"\\%"),
            (r"\\\*", r"\\*"),
            (r"\\\\", r"\\\\"),
            ("**", "%"),
        ] {
            assert_eq!(Pattern::read(written).like(), like, "{written}");
        }
    }

    #[test]
    fn matching_agrees_with_like() {
        for (written, text, found) in [
            ("a*c", "ABBC", true),
            ("a*c", "abcd", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*x*", "x", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(Pattern::read(written).matches(text, false), found, "{written} {text}");
        }
        assert!(!Pattern::read("A").matches("a", true));
    }
}
