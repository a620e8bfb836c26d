//! Values in other clothes: base64 at any offset, UTF-16, and the dashes of Windows command lines.

/// Variants that `windash` may make of one value.
const MOST_VARIANTS: usize = 625;
/// What Windows takes for a dash.
const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The texts that `value` becomes; the error says why it cannot.
pub fn variants(value: &str, encodings: &[&str]) -> Result<Vec<String>, String> {
    let mut texts = vec![value.to_owned()];
    let mut bytes: Option<Vec<u8>> = None;
    for encoding in encodings {
        match *encoding {
            "windash" => texts = dashed(value)?,
            "utf16le" => bytes = Some(wide(value, u16::to_le_bytes).collect()),
            "utf16be" => bytes = Some(wide(value, u16::to_be_bytes).collect()),
            "utf16" => bytes = Some([0xFF, 0xFE].into_iter().chain(wide(value, u16::to_le_bytes)).collect()),
            base => {
                if value.contains(['*', '?']) {
                    return Err("a value with wildcards cannot be encoded as base64".into());
                }
                let sources: Vec<Vec<u8>> = match bytes.take() {
                    Some(bytes) => vec![bytes],
                    None => texts.iter().map(|text| text.as_bytes().to_vec()).collect(),
                };
                let encode = |source: &Vec<u8>| match base {
                    "base64" => vec![base64(source)],
                    _ => (0..3).filter_map(|offset| shifted(source, offset)).collect(),
                };
                texts = sources.iter().flat_map(encode).collect();
                if texts.is_empty() || texts.iter().any(String::is_empty) {
                    return Err("the value is too short to be recognised in base64".into());
                }
            }
        }
    }
    match bytes {
        Some(_) => Err("UTF-16 without base64 behind it cannot be in a log, which is UTF-8".into()),
        None => Ok(texts),
    }
}

fn wide(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> impl Iterator<Item = u8> {
    text.encode_utf16().flat_map(to_bytes)
}

/// Base64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let at = |place: usize| u32::from(chunk.get(place).copied().unwrap_or(0));
        let group = (at(0) << 16) | (at(1) << 8) | at(2);
        for place in 0..4 {
            let letter = ALPHABET.get((group >> (18 - 6 * place)) as usize & 63).copied().unwrap_or(b'=');
            text.push(if place > chunk.len() { '=' } else { char::from(letter) });
        }
    }
    text
}

/// The letters that stand for `bytes` wherever they begin `offset` bytes behind a multiple of three.
fn shifted(bytes: &[u8], offset: usize) -> Option<String> {
    let padded: Vec<u8> = std::iter::repeat_n(b' ', offset).chain(bytes.iter().copied()).collect();
    let whole = base64(&padded);
    let first = [0, 2, 3].get(offset)?;
    let last = whole.len() - [0, 3, 2].get(padded.len() % 3)?;
    whole.get(*first..last).map(str::to_owned)
}

/// Every way to write the dashes that begin a word.
fn dashed(value: &str) -> Result<Vec<String>, String> {
    let letters: Vec<char> = value.chars().collect();
    let word = |place: Option<usize>| {
        place.and_then(|place| letters.get(place)).is_some_and(|c| c.is_alphanumeric() || *c == '_')
    };
    let mut texts = vec![String::new()];
    for (place, letter) in letters.iter().enumerate() {
        let begins = DASHES.contains(letter) && !word(place.checked_sub(1)) && word(Some(place + 1));
        if !begins {
            texts.iter_mut().for_each(|text| text.push(*letter));
            continue;
        }
        texts = texts.iter().flat_map(|text| DASHES.iter().map(move |dash| format!("{text}{dash}"))).collect();
        if texts.len() > MOST_VARIANTS {
            return Err(format!("windash makes more than {MOST_VARIANTS} texts of it"));
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_at_every_offset() {
        assert_eq!(variants("secret", &["base64"]), Ok(vec!["c2VjcmV0".into()]));
        let offsets = variants("/bin/bash", &["base64offset"]).expect("encodes");
        assert_eq!(offsets, ["L2Jpbi9iYXNo", "9iaW4vYmFza", "vYmluL2Jhc2"]);
        assert_eq!(variants("ab", &["utf16le", "base64"]), Ok(vec!["YQBiAA==".into()]));
        assert_eq!(variants("ab", &["utf16be", "base64"]), Ok(vec!["AGEAYg==".into()]));
        assert_eq!(variants("ab", &["utf16", "base64"]), Ok(vec!["//5hAGIA".into()]));
        assert!(variants("ab", &["utf16le"]).is_err());
        assert!(variants("a*", &["base64"]).is_err());
    }

    #[test]
    fn dashes_at_the_beginning_of_words() {
        let texts = variants("run -a x-y", &["windash"]).expect("encodes");
        assert_eq!(texts.len(), 5);
        assert!(texts.contains(&"run /a x-y".to_owned()));
        assert!(variants("-a -b -c -d -e", &["windash"]).is_err());
    }
}
