//! `ip_is_public(ip)`: could the address be a host on the internet?

use super::on_text::{self, Kernel};
use super::{Build, Function, FunctionDoc};
use crate::engine::address;

pub(super) static IP_IS_PUBLIC: Function = Function {
    doc: FunctionDoc {
        name: "ip_is_public",
        syntax: "ip_is_public(ip)",
        about: "True for unicast addresses of the internet, those kept for documentation included. False for private and \
                special addresses, and for the service names that CloudTrail writes as source address.",
        example: "SELECT ip_is_public('bedrock.amazonaws.com')",
        result: "false",
    },
    build: || Build::Scalar(on_text::function("ip_is_public", Kernel::Bool(kernel))),
};

fn kernel(text: &str) -> Option<bool> {
    Some(address::parse(text).is_some_and(address::is_public))
}
