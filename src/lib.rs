//! Trailhound finds attacks on AI workloads in AWS audit trails.
//!
//! ```text
//! writing:  intake ─► logs ─► lake             bytes ─► rows ─► tables
//! reading:  lake ─► engine ─► detect ─► findings ─► outputs
//! upstairs: pipeline strings the rooms; commands open the doors
//! ```
//!
//! Data walks one way. A room uses only the rooms to its left, and only what they publish.

pub mod commands;
pub mod config;
pub mod detect;
pub mod engine;
pub mod error;
pub mod findings;
pub mod intake;
pub mod lake;
pub mod logs;
pub mod outputs;
pub mod pipeline;
pub mod table;
