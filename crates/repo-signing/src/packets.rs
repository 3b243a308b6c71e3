//! The packets of a file of keys, as far as needed to say why the parser refuses a key
//! ([RFC 9580, sections 4.2 and 5.5](https://www.rfc-editor.org/rfc/rfc9580.html#name-packet-headers)).
//!
//! rPGP skips a key packet of an unknown version without a word and takes what follows for parts of the
//! key before it, and calls a key on a curve that it does not know damaged.

use crate::{KeyProblem, algorithm};

const SECRET_KEY: u8 = 5;
const PUBLIC_KEY: u8 = 6;

/// A packet's type and content.
struct Packet<'a> {
    kind: u8,
    body: &'a [u8],
}

/// Whether the first byte is that of a packet with a primary key.
pub(crate) fn begins_with_key(bytes: &[u8]) -> bool {
    next(bytes).is_some_and(|(packet, _)| packet.is_primary_key())
}

/// Whether all of it is packets, of which the first has a primary key.
pub(crate) fn are_keys(mut bytes: &[u8]) -> bool {
    let is_key = begins_with_key(bytes);
    while let Some((_, rest)) = next(bytes) {
        bytes = rest;
    }
    is_key && bytes.is_empty()
}

/// The first primary key that has a version other than 4.
pub(crate) fn foreign_version(bytes: &[u8]) -> Option<KeyProblem> {
    primary_keys(bytes)
        .filter_map(|packet| packet.body.first().copied())
        .find(|&version| version != 4)
        .map(KeyProblem::Version)
}

/// Why the parser may have failed: the first primary key whose algorithm or curve is not supported.
pub(crate) fn unsupported(bytes: &[u8]) -> Option<KeyProblem> {
    primary_keys(bytes).find_map(|packet| {
        // The version, four bytes of creation time, the algorithm; then a curve with its length.
        match packet.body.get(5..)? {
            [1..=3, ..] => None,
            [19 | 22, length, rest @ ..] => {
                let oid = rest.get(..usize::from(*length))?;
                (!algorithm::is_supported_curve(oid)).then(|| algorithm::unsupported_curve(oid))
            }
            [number, ..] => Some(algorithm::unsupported_algorithm(*number)),
            [] => None,
        }
    })
}

fn primary_keys(mut bytes: &[u8]) -> impl Iterator<Item = Packet<'_>> {
    std::iter::from_fn(move || {
        let (packet, rest) = next(bytes)?;
        bytes = rest;
        Some(packet)
    })
    .filter(Packet::is_primary_key)
}

/// The first packet and what follows it; `None` where there is no whole packet, or one of a length
/// that keys do not have (indeterminate or partial).
fn next(bytes: &[u8]) -> Option<(Packet<'_>, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let (kind, length, rest) = match first {
        0xc0.. => {
            let (length, rest) = match rest {
                [short @ 0..=191, rest @ ..] => (u32::from(*short), rest),
                [high @ 192..=223, low, rest @ ..] => {
                    ((u32::from(*high) - 192) * 256 + u32::from(*low) + 192, rest)
                }
                [255, a, b, c, d, rest @ ..] => (u32::from_be_bytes([*a, *b, *c, *d]), rest),
                _ => return None,
            };
            (first & 0x3f, length, rest)
        }
        0x80.. => {
            let (length, rest) = match (first & 3, rest) {
                (0, [a, rest @ ..]) => (u32::from(*a), rest),
                (1, [a, b, rest @ ..]) => (u32::from(u16::from_be_bytes([*a, *b])), rest),
                (2, [a, b, c, d, rest @ ..]) => (u32::from_be_bytes([*a, *b, *c, *d]), rest),
                _ => return None,
            };
            (first >> 2 & 0xf, length, rest)
        }
        _ => return None,
    };
    let (body, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    Some((Packet { kind, body }, rest))
}

impl Packet<'_> {
    fn is_primary_key(&self) -> bool {
        matches!(self.kind, SECRET_KEY | PUBLIC_KEY)
    }
}
