//! Outputs: one file per format or destination; everything shown is escaped for the place that shows it.

pub mod escape;
