//! `entropy(text)`: how random a text looks.

use std::collections::HashMap;

use super::on_text::{self, Kernel};
use super::{Build, Function, FunctionDoc};

pub(super) static ENTROPY: Function = Function {
    doc: FunctionDoc {
        name: "entropy",
        syntax: "entropy(text)",
        about: "Shannon entropy in bits per character: 0 for one repeated character, about 4 for English prose, 5 and more for \
                random base64. Null for empty text.",
        example: "SELECT entropy('aabb')",
        result: "1.0",
    },
    build: || Build::Scalar(on_text::function("entropy", Kernel::Double(kernel))),
};

fn kernel(text: &str) -> Option<f64> {
    let mut ascii = [0u32; 128];
    let mut others: HashMap<char, u32> = HashMap::new();
    let mut total = 0u32;
    for character in text.chars() {
        match ascii.get_mut(character as usize) {
            Some(count) => *count += 1,
            None => *others.entry(character).or_default() += 1,
        }
        total += 1;
    }
    if total == 0 {
        return None;
    }
    let mut counts: Vec<u32> = ascii.into_iter().chain(others.into_values()).filter(|count| *count > 0).collect();
    counts.sort_unstable(); // sums of floats depend on their order
    let bits = |count: u32| {
        let share = f64::from(count) / f64::from(total);
        -share * share.log2()
    };
    Some(counts.into_iter().map(bits).sum::<f64>().abs())
}
