//! `ip_is_private(ip)`: does the address belong to a private network?

use super::on_text::{self, Kernel};
use super::{Build, Function, FunctionDoc};
use crate::engine::address;

pub(super) static IP_IS_PRIVATE: Function = Function {
    doc: FunctionDoc {
        name: "ip_is_private",
        syntax: "ip_is_private(ip)",
        about: "True for addresses of RFC 1918, carrier-grade NAT, IPv6 unique local, loopback and link local. \
                Null for text that is not an address.",
        example: "SELECT ip_is_private('100.64.3.9')",
        result: "true",
    },
    build: || Build::Scalar(on_text::function("ip_is_private", Kernel::Bool(kernel))),
};

fn kernel(text: &str) -> Option<bool> {
    address::parse(text).map(address::is_private)
}
