//! The key that signs what goes to a webhook; nothing prints it.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::findings::hex;

/// A key for signatures. Its `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// A secret as a file or an environment variable holds it: space and line ends around it do not count.
    pub fn new(text: &str) -> Secret {
        Secret(text.trim().to_owned())
    }

    /// True when nothing is left to sign with.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `v1=` and the HMAC-SHA256 (RFC 2104) of `<timestamp>.<body>` in lower-case hex.
    ///
    /// The timestamp is part of it, so that a receiver can refuse a body that someone recorded and plays again.
    pub(super) fn signature(&self, timestamp: &str, body: &[u8]) -> Option<String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).ok()?;
        mac.update(timestamp.as_bytes());
        mac.update(b".");
        mac.update(body);
        Some(format!("v1={}", hex(&mac.finalize().into_bytes())))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}
