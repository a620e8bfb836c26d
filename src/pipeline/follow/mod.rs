//! Following: sources are read as they grow, and judged again and again.

pub mod standing;
