//! SQL functions of Trailhound: the guest list, and their registration on a session.
//!
//! A function is one file and one line here: its documentation with an example that a test runs, and what builds it.

mod arn_part;
mod bucket_arn;
mod client;
mod count;
mod element;
mod entropy;
mod flag;
mod injection_score;
mod ip_in;
mod ip_is_private;
mod ip_is_public;
mod is_long_term;
mod json;
mod json_extract_scalar;
mod model;
mod on_text;
mod principal;
mod regexp_replace;
mod sample;
mod session_name;

use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};

use super::sql_error;
use crate::error::Result;

/// What people read about a function.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FunctionDoc {
    /// Name in SQL.
    pub name: &'static str,
    /// Name with its arguments.
    pub syntax: &'static str,
    /// What it returns, and when that is null. One to three sentences.
    pub about: &'static str,
    /// A query that returns one value.
    pub example: &'static str,
    /// The value as `query --format csv` prints it; empty for null.
    pub result: &'static str,
}

/// A function: its documentation and what builds it. Functions hold no state, so they travel to other machines by name.
struct Function {
    doc: FunctionDoc,
    build: fn() -> Build,
}

enum Build {
    Scalar(ScalarUDF),
    Aggregate(AggregateUDF),
}

/// Every function, sorted by name.
static FUNCTIONS: &[&Function] = &[
    &arn_part::ARN_PART,
    &bucket_arn::BUCKET_ARN,
    &client::CLIENT,
    &entropy::ENTROPY,
    &flag::FLAG,
    &injection_score::INJECTION_SCORE,
    &ip_in::IP_IN,
    &ip_is_private::IP_IS_PRIVATE,
    &ip_is_public::IP_IS_PUBLIC,
    &is_long_term::IS_LONG_TERM,
    &json_extract_scalar::JSON_EXTRACT_SCALAR,
    &model::MODEL,
    &principal::PRINCIPAL,
    &sample::SAMPLE,
    &session_name::SESSION_NAME,
];

/// Registers our functions, those of `datafusion-functions-json` with the operators `->` and `->>`, and the library's `count`,
/// `regexp_replace` and `list[n]` in forms that need less.
pub fn register(context: &SessionContext) -> Result<()> {
    let mut registry = context.clone(); // a handle on the same session, because this call wants `&mut`
    json::register(&mut registry).map_err(sql_error)?;
    element::register(&mut registry).map_err(sql_error)?;
    count::register(context);
    regexp_replace::register(context);
    for function in FUNCTIONS {
        match (function.build)() {
            Build::Scalar(scalar) => context.register_udf(scalar),
            Build::Aggregate(aggregate) => context.register_udaf(aggregate),
        }
    }
    Ok(())
}

/// Documentation of our functions, sorted by name.
pub fn list() -> Vec<FunctionDoc> {
    FUNCTIONS.iter().map(|function| function.doc).collect()
}
