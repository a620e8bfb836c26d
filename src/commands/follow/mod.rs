//! `trailhound follow`: how it is watched.

pub mod exposition;
pub mod health;
pub mod logging;
pub mod metrics;
pub mod process;
pub mod status;
