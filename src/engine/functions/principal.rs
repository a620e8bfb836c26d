//! `principal(arn)`: the role behind a session, or the user.

use super::on_text::{self, Kernel};
use super::{Build, Function, FunctionDoc};
use crate::engine::arn;

pub(super) static PRINCIPAL: Function = Function {
    doc: FunctionDoc {
        name: "principal",
        syntax: "principal(arn)",
        about: "The ARN of the role for a session of an assumed role (without the role's path, which sessions do not show); \
                any other text unchanged.",
        example: "SELECT principal('arn:aws:sts::111122223333:assumed-role/App/i-0abc')",
        result: "arn:aws:iam::111122223333:role/App",
    },
    build: || Build::Scalar(on_text::function("principal", Kernel::Text(|text| Some(arn::principal(text))))),
};
