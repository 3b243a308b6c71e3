//! Keys that lost their newlines, as secrets of CI systems do.
//!
//! - Armor on one line: each newline became a space, a tab, a CR, the two characters `\n`, or nothing.
//! - Base64 of armor or of binary packets, in the standard or the URL-safe alphabet, padded or not,
//!   wrapped or not. GitLab, for one, masks a variable only if it is one line without spaces.
//!
//! [`restore`] only puts the file together again. What it gives is read by the same parser as any
//! other file, which decides.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use zeroize::Zeroizing;

use crate::packets;

const LABELS: [&[u8]; 2] = [b"PRIVATE KEY BLOCK-----", b"PUBLIC KEY BLOCK-----"];
const BEGIN: &[u8] = b"-----BEGIN PGP ";
const END: &[u8] = b"-----END PGP ";

/// The shortest line of base64 that marks the end of armor headers where the empty line behind them is
/// lost. Armor has lines of 64 characters (some tools: 76), headers rarely such words.
const MIN_LINE: usize = 60;

const CONFIG: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, CONFIG);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, CONFIG);

/// The armor or the binary packets that `file` was made from; `None` if it is neither form.
pub(crate) fn restore(file: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let text = without_escapes(file);
    armor(&text).or_else(|| {
        let decoded = decode(&text)?;
        if packets::begins_with_key(&decoded) || decoded.starts_with(BEGIN) {
            // Base64 of armor that had lost its newlines already.
            return armor(&without_escapes(&decoded)).or(Some(decoded));
        }
        None
    })
}

/// `file` with each `\n`, `\r` and `\t` of two characters replaced by the character.
fn without_escapes(file: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(Vec::with_capacity(file.len()));
    let mut rest = file;
    while let [first, after @ ..] = rest {
        let (byte, after) = match rest {
            [b'\\', b'n' | b'r', after @ ..] => (b'\n', after),
            [b'\\', b't', after @ ..] => (b'\t', after),
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
        let (body, padding, checksum) = body(&after[..end])?;
        for part in [BEGIN, label, b"\n\n", &body, padding, b"\n"] {
            restored.extend_from_slice(part);
        }
        if let Some(checksum) = checksum {
            for part in [b"=", checksum.as_slice(), b"\n"] {
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

/// The base64, its padding, and the checksum of what is between the lines of a block.
#[allow(clippy::type_complexity, reason = "three parts of one text")]
fn body(
    text: &[u8],
) -> Option<(
    Zeroizing<Vec<u8>>,
    &'static [u8],
    Option<Zeroizing<Vec<u8>>>,
)> {
    let joined = without_space(behind_headers(text)?);
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
    let checksum = match tail.strip_prefix(padding)? {
        [] => None,
        [b'=', checksum @ ..] if checksum.len() == 4 => Some(Zeroizing::new(checksum.to_vec())),
        _ => return None,
    };
    Some((Zeroizing::new(data.to_vec()), padding, checksum))
}

/// What follows the armor headers (`Version: …`, `Comment: …`).
fn behind_headers(text: &[u8]) -> Option<&[u8]> {
    let Some(colon) = text.iter().rposition(|&byte| byte == b':') else {
        return Some(text);
    };
    let mut words = text[colon + 1..].split(u8::is_ascii_whitespace);
    let first = words.find(|word| word.len() >= MIN_LINE && word.iter().copied().all(is_base64))?;
    let rest: usize = words.map(|word| word.len() + 1).sum();
    Some(&text[text.len() - rest - first.len()..])
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

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}
