//! Reads a text character by character and turns it into the features of the injection score, window after window.

use super::blocks::Blocks;
use super::text::{Part, class, fold, part, plain};
use super::weights::{CONCEPT, GRAM, Model, OUTLINE, WORD};

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x100_0000_01b3;
/// 2^64 / golden ratio: spreads a hash to its top bits, which choose the bucket.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
/// Tokens per block; a window is two neighbouring blocks.
const BLOCK: usize = 150;
/// Characters after which a word is cut.
const LONGEST_WORD: usize = 32;
const SHORTEST_GRAM: usize = 3;
const LONGEST_GRAM: usize = 5;
/// Tokens between two concepts that belong together.
const NEAR: usize = 4;
/// The last four and the last six classes of an outline, four bits each, and what tells the two apart.
const FOUR_CLASSES: u32 = 0xffff;
const SIX_CLASSES: u32 = 0xff_ffff;
const SIX: u32 = 1 << 24;

/// Keeps the highest value of the windows that a text fills.
pub(super) struct Reader<'m> {
    model: &'m Model,
    blocks: &'m mut Blocks,
    /// The word being read: a mark of start (1), its characters, and room for a mark of end (2).
    word: [u32; LONGEST_WORD + 2],
    /// Characters of the word, without marks.
    letters: usize,
    /// An apostrophe stands after the word and waits for what follows.
    apostrophe: bool,
    /// The last classes of characters, four bits each; the same class in a row counts once.
    outline: u32,
    /// Hashes of the last token and of the one before it.
    tokens: [Option<u64>; 2],
    /// Place and number of the last concept and of the one before it.
    concepts: [Option<(usize, u8)>; 2],
    /// Tokens read.
    count: usize,
    highest: Option<f32>,
}

impl<'m> Reader<'m> {
    /// A reader that fills blocks, which it empties first.
    pub(super) fn new(model: &'m Model, blocks: &'m mut Blocks) -> Self {
        blocks.clear();
        Reader {
            model,
            blocks,
            word: [1; LONGEST_WORD + 2],
            letters: 0,
            apostrophe: false,
            outline: 0,
            tokens: [None; 2],
            concepts: [None; 2],
            count: 0,
            highest: None,
        }
    }

    pub(super) fn read(&mut self, character: char) {
        let Some(plain) = plain(character) else { return };
        let folded = fold(plain);
        let part = part(folded);
        self.outline(class(plain, part));
        if std::mem::take(&mut self.apostrophe) && part != Part::Letter {
            self.end_word();
            self.mark('\'');
        }
        match part {
            Part::Letter => {
                self.letters += 1;
                if let Some(place) = self.word.get_mut(self.letters) {
                    *place = folded.into();
                }
                if self.letters == LONGEST_WORD {
                    self.end_word();
                }
            }
            Part::Mark if folded == '\'' && self.letters > 0 => self.apostrophe = true,
            Part::Mark => {
                self.end_word();
                self.mark(folded);
            }
            Part::Single => {
                self.end_word();
                self.character(folded);
            }
            Part::Space => self.end_word(),
        }
    }

    /// The highest value; nothing for a text without words and marks.
    pub(super) fn finish(mut self) -> Option<f32> {
        self.end_word();
        if self.apostrophe {
            self.mark('\'');
        }
        if self.count > 0 && (!self.count.is_multiple_of(BLOCK) || self.highest.is_none()) {
            self.close_window();
        }
        self.highest
    }

    fn outline(&mut self, class: u32) {
        if class == self.outline & 0xf {
            return;
        }
        self.outline = (self.outline << 4 | class) & SIX_CLASSES;
        for classes in [self.outline & FOUR_CLASSES, self.outline | SIX] {
            self.blocks.add(self.model, OUTLINE, u64::from(classes).wrapping_mul(GOLDEN));
        }
    }

    /// A mark, unless the token before is the same.
    fn mark(&mut self, mark: char) {
        if self.tokens[0] != Some(fnv(1, &[mark.into()])) {
            self.character(mark);
        }
    }

    fn character(&mut self, character: char) {
        self.letters = 1;
        self.word[1] = character.into();
        self.end_word();
    }

    /// The token that was read, if any: its features, and those that it forms with the tokens before it.
    fn end_word(&mut self) {
        let length = std::mem::take(&mut self.letters);
        if length == 0 {
            return;
        }
        if let Some(place) = self.word.get_mut(length + 1) {
            *place = 2;
        }
        let marked = self.word.get(..length + 2).unwrap_or_default();
        let hash = fnv(1, marked.get(1..=length).unwrap_or_default());
        self.blocks.add(self.model, WORD, hash.wrapping_mul(GOLDEN));
        let mut concept = None;
        if let Some(last) = self.tokens[0] {
            self.blocks.add(self.model, WORD, pair(last, hash, 2));
            concept = self.model.concept(pair(last, hash, 4));
        }
        if let Some(before) = self.tokens[1] {
            self.blocks.add(self.model, WORD, pair(before, hash, 3));
        }
        for start in 0..marked.len() {
            let mut value = seed(2);
            for (place, code) in marked.iter().skip(start).take(LONGEST_GRAM).enumerate() {
                value = (value ^ u64::from(*code)).wrapping_mul(FNV_PRIME);
                if place + 1 >= SHORTEST_GRAM {
                    self.blocks.add(self.model, GRAM, value.wrapping_mul(GOLDEN));
                }
            }
        }
        if let Some(concept) = concept.or_else(|| self.model.concept(hash.wrapping_mul(GOLDEN))) {
            self.concept(concept);
        }
        self.tokens = [Some(hash), self.tokens[0]];
        self.count += 1;
        if self.count.is_multiple_of(BLOCK) {
            if self.count > BLOCK {
                self.close_window();
            }
            self.blocks.next();
        }
    }

    /// A concept at the current token, and what it forms with the concepts before it.
    fn concept(&mut self, concept: u8) {
        let number = u32::from(concept);
        self.add_concepts(5, &[number]);
        let [last, before] = self.concepts;
        if let Some((at, last)) = last
            && self.count - at <= NEAR
        {
            self.add_concepts(6, &[last.into(), number]);
            if let Some((earlier, before)) = before
                && at - earlier <= NEAR
            {
                self.add_concepts(7, &[before.into(), last.into(), number]);
            }
        }
        if let Some((at, before)) = before
            && self.count - at <= NEAR + 2
        {
            self.add_concepts(8, &[before.into(), number]);
        }
        self.concepts = [Some((self.count, concept)), last];
    }

    fn add_concepts(&mut self, seed: u64, numbers: &[u32]) {
        self.blocks.add(self.model, CONCEPT, fnv(seed, numbers).wrapping_mul(GOLDEN));
    }

    fn close_window(&mut self) {
        if let Some(value) = self.blocks.value(self.model) {
            self.highest = Some(self.highest.map_or(value, |highest| highest.max(value)));
        }
    }
}

fn seed(seed: u64) -> u64 {
    FNV_OFFSET ^ seed.wrapping_mul(GOLDEN)
}

/// FNV-1a over code points instead of bytes.
fn fnv(start: u64, codes: &[u32]) -> u64 {
    codes.iter().fold(seed(start), |value, code| (value ^ u64::from(*code)).wrapping_mul(FNV_PRIME))
}

fn pair(first: u64, second: u64, seed: u64) -> u64 {
    (first.wrapping_mul(FNV_PRIME) ^ second ^ seed).wrapping_mul(GOLDEN)
}
