//! Logs: bytes of one object become rows of tables; what cannot be read goes to quarantine with a reason.

pub mod bedrock;
pub mod cloudtrail;
pub mod framing;
pub mod json;
pub mod rows;
pub mod sink;
pub mod text;
pub mod vpcflow;

use crate::table::Table;

/// A log type.
#[derive(Debug)]
pub struct LogType {
    /// Name in summaries, rules and SQL.
    pub name: &'static str,
    /// The table that its rows go to.
    pub table: &'static Table,
}

/// Gives decoders the bodies that a log keeps in objects of their own (large Bedrock prompts and answers).
pub trait Bodies: Sync {
    /// Unpacked bytes of the body at `uri` (as the log names it, `s3://bucket/key`), or why it cannot be had.
    fn body(&self, uri: &str) -> Result<Vec<u8>, String>;
}

/// No bodies can be had: records keep the S3 path and say that the body is missing.
#[derive(Debug)]
pub struct NoBodies;

impl Bodies for NoBodies {
    fn body(&self, uri: &str) -> Result<Vec<u8>, String> {
        Err(format!("{uri} was not read: bodies are not available here"))
    }
}

/// Every log type that Trailhound reads, in the order in which summaries show them.
pub static LOG_TYPES: &[&LogType] = &[&cloudtrail::CLOUDTRAIL, &bedrock::BEDROCK, &vpcflow::VPCFLOW];
