//! The learnt weights of the injection score: the format of their file, and the table of concepts in it.

use std::sync::LazyLock;

/// The file that `tools/prompt_score/train.py` writes, little endian: `TPI2`; four bytes of bits per family; eleven f32
/// (a scale and a value for each family, intercept, middle, slope); u32 count of concepts, each a u64 hash and a u8 number;
/// then one i8 weight per bucket, family after family.
static WEIGHTS: &[u8] = include_bytes!("weights.bin");

/// Families of features, in the order of the file.
pub(super) const FAMILIES: usize = 4;
pub(super) const WORD: usize = 0;
pub(super) const GRAM: usize = 1;
pub(super) const CONCEPT: usize = 2;
pub(super) const OUTLINE: usize = 3;

/// Buckets per family, as powers of two; where each family begins; buckets of all.
const BITS: [u32; FAMILIES] = [18, 18, 14, 13];
const OFFSETS: [usize; FAMILIES] = {
    let mut offsets = [0; FAMILIES];
    let mut family = 1;
    while family < FAMILIES {
        offsets[family] = offsets[family - 1] + (1 << BITS[family - 1]);
        family += 1;
    }
    offsets
};
pub(super) const BUCKETS: usize = OFFSETS[OUTLINE] + (1 << BITS[OUTLINE]);

/// Slots of the concepts' table as a power of two, several times their number.
const SLOT_BITS: u32 = 13;

/// What the file holds, ready for use.
pub(super) struct Model {
    /// What a weight of 1 adds, per family.
    pub(super) factors: [f32; FAMILIES],
    /// What a feature adds to the square of the window's length, per family.
    pub(super) squares: [f32; FAMILIES],
    pub(super) intercept: f32,
    /// The value at which the score is 0.5.
    pub(super) middle: f32,
    /// Steepness of the score there.
    pub(super) slope: f32,
    /// Hash and number of each concept, open addressing by the top bits of the hash; number 0 is an empty slot.
    concepts: Vec<(u64, u8)>,
    /// One signed byte per bucket, all families in order.
    weights: &'static [u8],
}

/// The model, or nothing when the file is not one that this code was written for.
pub(super) static MODEL: LazyLock<Option<Model>> = LazyLock::new(|| load(WEIGHTS));

/// The bucket of a spread hash, counted over all families.
pub(super) fn bucket(family: usize, hash: u64) -> usize {
    OFFSETS[family] + (hash >> (64 - BITS[family])) as usize
}

impl Model {
    pub(super) fn weight(&self, bucket: usize) -> i32 {
        self.weights.get(bucket).map_or(0, |weight| i32::from(weight.cast_signed()))
    }

    /// Number of the concept whose hash this is.
    pub(super) fn concept(&self, hash: u64) -> Option<u8> {
        for slot in slots(hash) {
            match self.concepts.get(slot) {
                Some((known, number)) if *number != 0 => {
                    if *known == hash {
                        return Some(*number);
                    }
                }
                _ => return None,
            }
        }
        None
    }
}

fn load(mut data: &'static [u8]) -> Option<Model> {
    if take::<4>(&mut data)? != *b"TPI2" || take::<FAMILIES>(&mut data)?.map(u32::from) != BITS {
        return None;
    }
    let scales = floats::<FAMILIES>(&mut data)?;
    let values = floats::<FAMILIES>(&mut data)?;
    let [intercept, middle, slope] = floats(&mut data)?;
    let mut concepts = vec![(0, 0); 1 << SLOT_BITS];
    for _ in 0..u32::from_le_bytes(take(&mut data)?) {
        let (hash, [number]) = (u64::from_le_bytes(take(&mut data)?), take(&mut data)?);
        let free = slots(hash).find(|slot| concepts.get(*slot).is_some_and(|(_, taken)| *taken == 0))?;
        *concepts.get_mut(free)? = (hash, number);
    }
    let (mut factors, mut squares) = ([0.0; FAMILIES], [0.0; FAMILIES]);
    for family in 0..FAMILIES {
        factors[family] = scales[family] * values[family];
        squares[family] = values[family] * values[family];
    }
    (data.len() == BUCKETS).then_some(Model { factors, squares, intercept, middle, slope, concepts, weights: data })
}

fn floats<const N: usize>(data: &mut &'static [u8]) -> Option<[f32; N]> {
    let mut numbers = [0.0; N];
    for number in &mut numbers {
        *number = f32::from_le_bytes(take(data)?);
    }
    Some(numbers)
}

fn take<const N: usize>(data: &mut &'static [u8]) -> Option<[u8; N]> {
    let (first, rest) = data.split_first_chunk::<N>()?;
    *data = rest;
    Some(*first)
}

/// The few slots in which a hash can lie.
fn slots(hash: u64) -> std::ops::Range<usize> {
    let first = (hash >> (64 - SLOT_BITS)) as usize;
    first..first + 16
}
