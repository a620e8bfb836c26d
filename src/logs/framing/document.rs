//! Text of an object: byte order marks, UTF-16, and bytes that are not UTF-8 without losing their place.

use std::borrow::Cow;

/// An object as text.
#[derive(Debug)]
pub(super) struct Document<'d> {
    text: Cow<'d, str>,
    original: Cow<'d, [u8]>,
}

/// Text and the bytes that it stands for, of equal length.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'d> {
    /// The text; a byte that is not UTF-8 is a NUL here, so that the record around it is damaged and no other.
    pub text: &'d str,
    /// The bytes as they were read.
    pub original: &'d [u8],
}

impl<'d> Document<'d> {
    /// Reads bytes as UTF-8, or as UTF-16 when they begin with its mark.
    pub fn new(bytes: &'d [u8]) -> Self {
        let utf16 = match bytes {
            [0xff, 0xfe, rest @ ..] => Some(from_utf16(rest, u16::from_le_bytes)),
            [0xfe, 0xff, rest @ ..] => Some(from_utf16(rest, u16::from_be_bytes)),
            _ => None,
        };
        if let Some(text) = utf16 {
            let original = Cow::Owned(text.clone().into_bytes());
            return Document { text: Cow::Owned(text), original };
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let text = match simdutf8::basic::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => Cow::Owned(marked(bytes)),
        };
        Document { text, original: Cow::Borrowed(bytes) }
    }

    /// Text and bytes.
    pub fn view(&self) -> View<'_> {
        View { text: &self.text, original: &self.original }
    }

    /// The text when every byte of it was UTF-8.
    pub fn whole(&self) -> Option<&'d str> {
        match self.text {
            Cow::Borrowed(text) => Some(text),
            Cow::Owned(_) => None,
        }
    }

    /// The bytes without a mark.
    pub fn original(&self) -> &[u8] {
        &self.original
    }
}

impl<'d> View<'d> {
    /// A text that stands for itself.
    pub fn of(text: &'d str) -> Self {
        View { text, original: text.as_bytes() }
    }

    /// The bytes between two places.
    pub fn bytes(&self, from: usize, to: usize) -> &'d [u8] {
        self.original.get(from..to).unwrap_or_default()
    }

    /// The text between two places, which must be the first bytes of characters.
    pub fn part(&self, from: usize, to: usize) -> &'d str {
        self.text.get(from..to).unwrap_or_default()
    }
}

fn from_utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let units = bytes.as_chunks::<2>().0.iter().map(|pair| unit(*pair));
    char::decode_utf16(units).map(|decoded| decoded.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// The text with a NUL for each byte that is not UTF-8.
fn marked(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(std::iter::repeat_n('\0', chunk.invalid().len()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_have_the_same_places() {
        let bytes = b"\xef\xbb\xbf{\"a\":\"\xff\xfe\xc3\xa9\"}";
        let document = Document::new(bytes);
        let view = document.view();
        assert_eq!(view.text, "{\"a\":\"\0\0é\"}");
        assert_eq!(view.text.len(), view.original.len());
        assert_eq!(view.bytes(6, 8), b"\xff\xfe");
    }

    #[test]
    fn utf16_is_read_in_both_orders() {
        let little: Vec<u8> = [0xfeff_u16, 0x7b, 0xd83d, 0xde00, 0xd83d].iter().flat_map(|u| u.to_le_bytes()).collect();
        let big: Vec<u8> = [0xfeff_u16, 0x7b, 0xd83d, 0xde00, 0xd83d].iter().flat_map(|u| u.to_be_bytes()).collect();
        assert_eq!(Document::new(&little).view().text, "{😀\u{fffd}");
        assert_eq!(Document::new(&big).view().text, "{😀\u{fffd}");
    }
}
