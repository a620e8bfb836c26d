//! Names of files and objects as text: lossless, on one line, safe to show.

use std::path::{Path, PathBuf};

/// Text of a name: bytes that are not valid UTF-8, control characters and characters that reorder a line become `%XX`.
///
/// A `%` that would read as such an escape is written `%25`, so [`bytes`] gives the name back exactly.
pub fn text(name: &[u8]) -> String {
    let mut out = String::with_capacity(name.len());
    let mut at = 0;
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            let escapes = c == '%' && hex_pair(name, at + 1).is_some();
            if escapes || unsafe_to_show(c) {
                c.encode_utf8(&mut [0; 4]).bytes().for_each(|b| out.push_str(&format!("%{b:02X}")));
            } else {
                out.push(c);
            }
            at += c.len_utf8();
        }
        chunk.invalid().iter().for_each(|b| out.push_str(&format!("%{b:02X}")));
        at += chunk.invalid().len();
    }
    out
}

/// Bytes of the name that [`text`] wrote.
pub fn bytes(text: &str) -> Vec<u8> {
    let text = text.as_bytes();
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match hex_pair(text, at + 1).filter(|_| byte == b'%') {
            Some(value) => {
                out.push(value);
                at += 3;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

/// Text of a path, as [`text`].
pub fn of_path(path: &Path) -> String {
    text(path.as_os_str().as_encoded_bytes())
}

/// The path that [`of_path`] wrote.
pub fn path(text: &str) -> PathBuf {
    #[cfg(unix)]
    return PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(bytes(text)));
    #[cfg(not(unix))]
    return PathBuf::from(String::from_utf8_lossy(&bytes(text)).into_owned());
}

/// Bucket and key of an `s3://bucket/key` address that [`object`] wrote.
pub fn bucket_and_key(uri: &str) -> Option<(&str, String)> {
    let (bucket, key) = uri.strip_prefix("s3://")?.split_once('/')?;
    Some((bucket, String::from_utf8(bytes(key)).ok()?))
}

/// Address of an S3 object.
pub fn object(bucket: &str, key: &str) -> String {
    format!("s3://{bucket}/{}", text(key.as_bytes()))
}

/// True for what folders collect beside logs: Finder files, editor backups, copies that are not complete yet.
pub fn left_over(path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or(path);
    file == ".DS_Store" || [".tmp", ".part", "~"].iter().any(|end| file.ends_with(end))
}

fn hex_pair(text: &[u8], at: usize) -> Option<u8> {
    let digit = |i: usize| text.get(i).and_then(|&b| char::from(b).to_digit(16));
    u8::try_from(digit(at)? * 16 + digit(at + 1)?).ok()
}

/// Control characters, line separators, and the marks that change the direction of writing.
fn unsafe_to_show(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ordinary_names_stay_as_they_are() {
        assert_eq!(text("a b+ü 100%.gz".as_bytes()), "a b+ü 100%.gz");
    }

    #[test]
    fn hostile_names_become_one_visible_line() {
        assert_eq!(text(b"a\n\x1b[31m\xff%41"), "a%0A%1B[31m%FF%2541");
        assert_eq!(text("gpj.\u{202e}exe".as_bytes()), "gpj.%E2%80%AEexe");
    }

    #[test]
    fn addresses_come_apart_again() {
        assert_eq!(bucket_and_key(&object("b", "x/\ny%20")), Some(("b", "x/\ny%20".to_owned())));
        assert_eq!(bucket_and_key("/tmp/x"), None);
    }

    proptest! {
        #[test]
        fn names_survive(name in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'%'), Just(b'4')], 0..40)) {
            let shown = text(&name);
            prop_assert!(!shown.chars().any(char::is_control));
            prop_assert_eq!(bytes(&shown), name);
        }
    }
}
