//! `is_long_term(access_key_id)`: is it the key of a user rather than of a session?

use super::on_text::{self, Kernel};
use super::{Build, Function, FunctionDoc};

pub(super) static IS_LONG_TERM: Function = Function {
    doc: FunctionDoc {
        name: "is_long_term",
        syntax: "is_long_term(access_key_id)",
        about: "True for long-term access keys (prefix AKIA), false for temporary ones (ASIA) and for any other text.",
        example: "SELECT is_long_term('AKIAIOSFODNN7EXAMPLE')",
        result: "true",
    },
    build: || Build::Scalar(on_text::function("is_long_term", Kernel::Bool(kernel))),
};

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-prefixes>
fn kernel(text: &str) -> Option<bool> {
    Some(text.starts_with("AKIA"))
}
