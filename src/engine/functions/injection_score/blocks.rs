//! Sums of the weights that a window of the injection score counts: two neighbouring blocks, every bucket once.

use super::weights::{BUCKETS, FAMILIES, Model, bucket};

/// Weights and numbers of distinct buckets, per family.
#[derive(Clone, Copy, Default)]
struct Sums {
    weights: [i32; FAMILIES],
    counts: [i32; FAMILIES],
}

impl Sums {
    fn add(&mut self, family: usize, weight: i32) {
        self.weights[family] += weight;
        self.counts[family] += 1;
    }
}

/// Some tokens in a row: their distinct buckets.
struct Block {
    buckets: Vec<u32>,
    /// One bit per bucket.
    seen: Vec<u64>,
    sums: Sums,
}

impl Block {
    fn new() -> Self {
        Block { buckets: Vec::new(), seen: vec![0; BUCKETS.div_ceil(64)], sums: Sums::default() }
    }

    fn clear(&mut self) {
        for bucket in self.buckets.drain(..) {
            if let Some(bits) = self.seen.get_mut(bucket as usize / 64) {
                *bits = 0;
            }
        }
        self.sums = Sums::default();
    }
}

/// The block that is being filled and the one before it, which are one window.
pub(super) struct Blocks {
    current: Block,
    previous: Block,
    /// What both blocks hold.
    both: Sums,
}

impl Blocks {
    pub(super) fn new() -> Self {
        Blocks { current: Block::new(), previous: Block::new(), both: Sums::default() }
    }

    /// Forgets everything, but keeps the memory.
    pub(super) fn clear(&mut self) {
        self.current.clear();
        self.previous.clear();
        self.both = Sums::default();
    }

    /// Adds a feature, given as a spread hash, to the current block.
    pub(super) fn add(&mut self, model: &Model, family: usize, hash: u64) {
        let bucket = bucket(family, hash);
        let (place, bit) = (bucket / 64, 1 << (bucket % 64));
        let Some(bits) = self.current.seen.get_mut(place) else { return };
        if *bits & bit != 0 {
            return;
        }
        *bits |= bit;
        self.current.buckets.push(bucket as u32);
        let weight = model.weight(bucket);
        self.current.sums.add(family, weight);
        if self.previous.seen.get(place).is_some_and(|bits| bits & bit != 0) {
            self.both.add(family, weight);
        }
    }

    /// Value of the window; nothing while it is empty.
    pub(super) fn value(&self, model: &Model) -> Option<f32> {
        let (current, previous, both) = (&self.current.sums, &self.previous.sums, &self.both);
        let (mut sum, mut square) = (0.0, 0.0);
        for family in 0..FAMILIES {
            let weights = current.weights[family] + previous.weights[family] - both.weights[family];
            let count = current.counts[family] + previous.counts[family] - both.counts[family];
            sum += model.factors[family] * weights as f32;
            square += model.squares[family] * count as f32;
        }
        (square > 0.0).then(|| sum / square.sqrt() + model.intercept)
    }

    /// The current block becomes the previous one, and a new one begins.
    pub(super) fn next(&mut self) {
        std::mem::swap(&mut self.current, &mut self.previous);
        self.current.clear();
        self.both = Sums::default();
    }
}
