//! `session_name(arn)`: the name that the caller gave to a session.

use super::on_text::{self, Kernel};
use super::{Build, Function, FunctionDoc};
use crate::engine::arn;

pub(super) static SESSION_NAME: Function = Function {
    doc: FunctionDoc {
        name: "session_name",
        syntax: "session_name(arn)",
        about: "Session name in the ARN of an assumed role or a federated user; null for any other text.",
        example: "SELECT session_name('arn:aws:sts::111122223333:assumed-role/App/i-0abc')",
        result: "i-0abc",
    },
    build: || Build::Scalar(on_text::function("session_name", Kernel::Text(arn::session_name))),
};
