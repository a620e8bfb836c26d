//! Runs parts of the Parquet reader, which panics on some broken files: here such a panic is an error like the others.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// True while this thread runs a part of the reader.
    static READS: Cell<bool> = const { Cell::new(false) };
}

/// Runs a part of the reader. Its panics are not printed: whoever writes log objects could fill the terminal with them.
/// Panics of other threads, and of this one at other times, go on to the hook that was there before.
pub(super) fn contain<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = take_hook();
        set_hook(Box::new(move |panic| {
            if !READS.get() {
                others(panic);
            }
        }));
    });
    let before = READS.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    READS.set(before);
    outcome.unwrap_or_else(|_| Err("it is broken in a way that stops the reader".to_owned()))
}
