//! Detection: rules as data, judged over a window; what they find, and what they cannot judge.

mod cells;
mod collect;
mod coverage;
mod duration;
pub mod lint;
mod need;
mod page;
mod params;
mod path;
pub mod rule;
pub mod runner;
mod samples;
pub mod selftest;
mod shelf;
mod spelling;

pub use duration::show as duration_text;
pub use params::Param;
pub use path::Path;
pub use rule::Rule;
pub use runner::{Outcome, Report, Verdict, run};
pub use shelf::{Overrides, Shelf};
