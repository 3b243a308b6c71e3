//! Keys that lost their newlines, as secrets of CI systems do.
//!
//! - Armor on one line: each newline became a space, a tab, a CR, the two characters `\n`, or nothing.
//! - Base64 of armor or of binary packets, in the standard or the URL-safe alphabet, padded or not,
//!   wrapped or not, once or twice. GitLab, for one, masks a variable only if it is one line without
//!   spaces.
//! - Any of these between quotes, as a JSON string is, or in UTF-16, as PowerShell writes files.
//!
//! [`restore`] only puts the file together again. What it gives is read by the same parser as any
//! other file, which decides.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use zeroize::Zeroizing;

use crate::{
    armor::{BEGIN, BOM, END},
    packets,
};

const LABELS: [&[u8]; 2] = [b"PRIVATE KEY BLOCK-----", b"PUBLIC KEY BLOCK-----"];

/// How often base64 is taken off: CI systems encode what people have encoded before.
const WRAPPERS: u8 = 2;

/// The longest value of an armor header, in bytes.
const MAX_HEADER: usize = 256;

const CONFIG: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, CONFIG);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, CONFIG);

/// Whether a text is meant as a key: armor, whole or damaged, or base64 of a key. For a setting that
/// takes a key or the path of one.
pub fn looks_like_key(text: &[u8]) -> bool {
    find(text, b"-----BEGIN ").is_some() || restore(text).is_some()
}

/// The armor or the binary packets that `file` was made from; `None` if it is neither form.
pub(crate) fn restore(file: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    unwrapped(file, WRAPPERS)
}

fn unwrapped(file: &[u8], wrappers: u8) -> Option<Zeroizing<Vec<u8>>> {
    let ascii = from_utf16(file);
    let text = without_escapes(ascii.as_deref().map_or(file, |ascii| ascii));
    let text = without_quotes(&text);
    armor(text).or_else(|| {
        let inner = wrappers.checked_sub(1)?;
        let decoded = decode(text)?;
        if packets::begins_with_key(&decoded) {
            return Some(decoded);
        }
        // What is in there may have lost its newlines before.
        unwrapped(&decoded, inner)
    })
}

/// A text in UTF-16, of either order of bytes, with its mark or without; `None` if it is not, or has
/// characters that no key has.
pub(crate) fn from_utf16(file: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (units, high) = match file {
        [0xff, 0xfe, units @ ..] => (units, 1),
        [0xfe, 0xff, units @ ..] => (units, 0),
        [_, 0, ..] => (file, 1),
        [0, ..] => (file, 0),
        _ => return None,
    };
    let units = units.chunks(2);
    let is_ascii =
        |unit: &[u8]| matches!(unit, [a, b] if [a, b][high] == &0 && [a, b][1 - high].is_ascii());
    if !units.clone().all(is_ascii) {
        return None;
    }
    let mut text = Zeroizing::new(Vec::with_capacity(file.len() / 2));
    text.extend(units.filter_map(|unit| unit.get(1 - high)));
    Some(text)
}

fn without_quotes(text: &[u8]) -> &[u8] {
    match text.trim_ascii() {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => inner,
        other => other,
    }
}

/// `file` without a byte order mark, and with each `\n`, `\r` and `\t` of two characters replaced by
/// white space.
fn without_escapes(file: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(Vec::with_capacity(file.len()));
    let mut rest = file.strip_prefix(BOM).unwrap_or(file);
    while let [first, after @ ..] = rest {
        let (byte, after) = match rest {
            [b'\\', b'n' | b'r', after @ ..] => (b'\n', after),
            [b'\\', b't', after @ ..] => (b'\t', after),
            // As some writers of JSON have it.
            [b'\\', b'/', after @ ..] => (b'/', after),
            _ => (*first, after),
        };
        text.push(byte);
        rest = after;
    }
    text
}

/// Blocks of armored keys and nothing else, with their lines restored.
fn armor(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut restored = Zeroizing::new(Vec::with_capacity(text.len() + 16));
    let mut rest = text.trim_ascii();
    while !rest.is_empty() {
        let after = rest.strip_prefix(BEGIN)?;
        let label = LABELS.into_iter().find(|label| after.starts_with(label))?;
        let after = &after[label.len()..];
        let end = find(after, END)?;
        let Body {
            data,
            padding,
            checksum,
        } = body(&after[..end])?;
        for part in [BEGIN, label, b"\n\n", &data, padding, b"\n"] {
            restored.extend_from_slice(part);
        }
        if !checksum.is_empty() {
            for part in [&checksum, b"\n".as_slice()] {
                restored.extend_from_slice(part);
            }
        }
        for part in [END, label, b"\n"] {
            restored.extend_from_slice(part);
        }
        rest = after[end + END.len()..]
            .strip_prefix(label)?
            .trim_ascii_start();
    }
    (!restored.is_empty()).then_some(restored)
}

/// What is between the lines of a block, without white space.
struct Body {
    data: Zeroizing<Vec<u8>>,
    padding: &'static [u8],
    /// With its `=`, or empty.
    checksum: Zeroizing<Vec<u8>>,
}

/// The body of a block. Where the armor headers (`Version: …`, `Comment: …`) ended is lost: it is
/// where whole packets with a key begin.
fn body(text: &[u8]) -> Option<Body> {
    let Some(colon) = text.iter().rposition(|&byte| byte == b':') else {
        return split(text);
    };
    let value = &text[colon + 1..];
    (0..value.len().min(MAX_HEADER)).find_map(|start| {
        let body = split(&value[start..])?;
        packets::are_keys(&decode(&body.data)?).then_some(body)
    })
}

fn split(text: &[u8]) -> Option<Body> {
    let joined = without_space(text);
    let length = joined
        .iter()
        .position(|&byte| byte == b'=')
        .unwrap_or(joined.len());
    let (data, tail) = joined.split_at(length);
    let padding: &[u8] = match data.len() % 4 {
        0 => b"",
        2 => b"==",
        3 => b"=",
        _ => return None,
    };
    let checksum = tail.strip_prefix(padding)?;
    matches!(checksum, [] | [b'=', _, _, _, _]).then(|| Body {
        data: Zeroizing::new(data.to_vec()),
        padding,
        checksum: Zeroizing::new(checksum.to_vec()),
    })
}

/// The bytes of a text that is base64 and nothing else.
fn decode(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let joined = without_space(text);
    let engine = if joined.iter().any(|byte| matches!(byte, b'-' | b'_')) {
        &URL_SAFE
    } else {
        &STANDARD
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(joined.len()));
    engine.decode_vec(joined.as_slice(), &mut bytes).ok()?;
    Some(bytes)
}

fn without_space(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut joined = Zeroizing::new(Vec::with_capacity(text.len()));
    joined.extend(text.iter().filter(|byte| !byte.is_ascii_whitespace()));
    joined
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}
