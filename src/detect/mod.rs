//! Detection: rules as data, judged over a window; what they find, and what they cannot judge.

mod cells;
pub mod chain;
mod children;
mod collect;
mod cost;
mod coverage;
mod duration;
mod incidents;
pub mod lint;
pub mod live;
mod need;
mod page;
mod params;
mod path;
mod question;
mod rows;
pub mod rule;
pub mod runner;
mod samples;
mod scan;
pub mod selftest;
mod shelf;
pub mod sigma;
mod spelling;
mod steps;
mod verdict;

pub use cost::Cost;
pub use duration::{parse as parse_duration, show as duration_text};
pub use live::{Live, Touched};
pub use params::Param;
pub use path::Path;
pub use rule::Rule;
pub use runner::{Scans, judge, run};
pub use shelf::{Overrides, Shelf};
pub use verdict::{Outcome, Report, Verdict};
