//! `model(modelid)`: the model behind a model id, however it was called.

use std::borrow::Cow;

use super::on_text::{self, Kernel};
use super::{Build, Function, FunctionDoc};
use crate::engine::arn;

pub(super) static MODEL: Function = Function {
    doc: FunctionDoc {
        name: "model",
        syntax: "model(modelid)",
        about: "The model id without ARN and without the geography of an inference profile (us., eu., apac., global., ...); \
                the version stays. Null for empty text.",
        example: "SELECT model('arn:aws:bedrock:us-east-1:111122223333:inference-profile/us.amazon.nova-pro-v1:0')",
        result: "amazon.nova-pro-v1:0",
    },
    build: || Build::Scalar(on_text::function("model", Kernel::Text(kernel))),
};

fn kernel(text: &str) -> Option<Cow<'_, str>> {
    Some(arn::model(text)).filter(|model| !model.is_empty()).map(Cow::Borrowed)
}
