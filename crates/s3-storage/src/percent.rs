//! Percent-encoding, in addresses and in listings.

/// Undoes `%` and two hexadecimal digits, once; a `%` that is not followed by two stays as it is.
pub fn percent_decoded(encoded: &[u8]) -> Vec<u8> {
    let digit = |at: usize| {
        encoded
            .get(at)
            .and_then(|byte| char::from(*byte).to_digit(16))
    };
    let mut out = Vec::with_capacity(encoded.len());
    let mut at = 0;
    while let Some(byte) = encoded.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    out
}
