//! Which of a signer's keys signs.
//!
//! A device whose copy of the certificate lacks a subkey cannot verify that subkey's signatures
//! (`NO_PUBKEY`). So a new subkey is not used merely because it is there: the key that signed last goes
//! on signing, and a key that devices do not know is used only if the caller says so.

use thiserror::Error;

use crate::{Fingerprint, KeyAt, KeyProblem, KeyState};

/// Why no key was chosen.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ChooseError {
    /// None of the keys may sign.
    #[error("{}", unusable(.problems))]
    NoUsableKey {
        /// Each key, and what is wrong with it. Empty if the signer holds no key for signing.
        problems: Vec<(Fingerprint, KeyProblem)>,
    },
    /// Only a key that devices do not know may sign.
    #[error(
        "the key {key} is new: devices that have an earlier copy of the certificate cannot verify its signatures{}",
        others(.problems)
    )]
    NewKey {
        /// The key that could sign.
        key: Fingerprint,
        /// The other keys that cannot sign, and why.
        problems: Vec<(Fingerprint, KeyProblem)>,
    },
}

/// Chooses the key that signs.
///
/// - `keys`: the signer's keys at the time of the signature, in order of preference
///   ([`keys_at`](crate::keys_at)).
/// - `signed_last`: the keys whose signatures are on the current head.
/// - `known`: the keys that devices can verify; empty if nothing was signed yet.
/// - `may_adopt_new`: whether a key that is not in `known` may be chosen if no known one can sign.
///
/// Of the valid and known keys, one that signed last is chosen, else the first.
///
/// # Errors
/// If no key may sign, or only a new one.
pub fn choose_key(
    keys: &[KeyAt],
    signed_last: &[Fingerprint],
    known: &[Fingerprint],
    may_adopt_new: bool,
) -> Result<KeyState, ChooseError> {
    let mut valid = Vec::new();
    let mut problems = Vec::new();
    for KeyAt { key, state } in keys {
        match state {
            Ok(state) => valid.push(*state),
            Err(problem) => problems.push((*key, problem.clone())),
        }
    }
    let Some(&first) = valid.first() else {
        return Err(ChooseError::NoUsableKey { problems });
    };
    let is_known = |state: &&KeyState| known.is_empty() || known.contains(&state.key);
    let known: Vec<_> = valid.iter().filter(is_known).collect();
    let last = known.iter().find(|state| signed_last.contains(&state.key));
    match last.or(known.first()) {
        Some(&&state) => Ok(state),
        None if may_adopt_new => Ok(first),
        None => Err(ChooseError::NewKey {
            key: first.key,
            problems,
        }),
    }
}

fn unusable(problems: &[(Fingerprint, KeyProblem)]) -> String {
    match problems {
        [] => "there is no secret key for signing".to_owned(),
        [(key, problem)] => format!("the key {key} cannot sign: {problem}"),
        _ => format!("no key of the certificate can sign: {}", list(problems)),
    }
}

fn list(problems: &[(Fingerprint, KeyProblem)]) -> String {
    problems
        .iter()
        .map(|(key, problem)| format!("{key}: {problem}"))
        .collect::<Vec<_>>()
        .join("; ")
}

fn others(problems: &[(Fingerprint, KeyProblem)]) -> String {
    if problems.is_empty() {
        return String::new();
    }
    format!(" (other keys: {})", list(problems))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SignatureTime;

    const A: Fingerprint = Fingerprint::from_bytes([0xa; 20]);
    const B: Fingerprint = Fingerprint::from_bytes([0xb; 20]);

    fn good(key: Fingerprint) -> KeyAt {
        KeyAt {
            key,
            state: Ok(KeyState { key, expires: None }),
        }
    }

    fn expired(key: Fingerprint) -> KeyAt {
        let [at, time] = [1, 2].map(SignatureTime::from_seconds);
        KeyAt {
            key,
            state: Err(KeyProblem::Expired { at, time }),
        }
    }

    #[test]
    fn the_key_that_signed_last_goes_on_and_new_keys_wait() {
        for (keys, signed_last, known, may_adopt_new, expected) in [
            // A first signature: the newest.
            (vec![good(B), good(A)], vec![], vec![], false, Some(B)),
            (vec![expired(B), good(A)], vec![], vec![], false, Some(A)),
            // Devices know both: the one that signed last.
            (vec![good(B), good(A)], vec![A], vec![A, B], false, Some(A)),
            (vec![good(B), good(A)], vec![B], vec![A, B], false, Some(B)),
            // It cannot sign any more: the next that devices know.
            (
                vec![good(B), expired(A)],
                vec![A],
                vec![A, B],
                false,
                Some(B),
            ),
            // Devices do not know B.
            (vec![good(B), good(A)], vec![A], vec![A], false, Some(A)),
            (vec![good(B), good(A)], vec![], vec![A], false, Some(A)),
            (vec![good(B), good(A)], vec![B], vec![A], false, Some(A)),
            (vec![good(B), good(A)], vec![A], vec![A], true, Some(A)),
            (vec![good(B), expired(A)], vec![A], vec![A], false, None),
            (vec![good(B), expired(A)], vec![A], vec![A], true, Some(B)),
            (vec![good(B)], vec![A], vec![A], false, None),
            (vec![good(B)], vec![A], vec![A], true, Some(B)),
            (vec![], vec![A], vec![A], true, None),
        ] {
            let chosen = choose_key(&keys, &signed_last, &known, may_adopt_new);
            assert_eq!(
                chosen.ok().map(|state| state.key),
                expected,
                "{keys:?} {signed_last:?} {known:?} {may_adopt_new}"
            );
        }
    }

    #[test]
    fn a_refusal_names_the_new_key_and_what_is_wrong_with_the_others() {
        let error = choose_key(&[good(B), expired(A)], &[A], &[A], false).unwrap_err();
        assert!(
            matches!(&error, ChooseError::NewKey { key, problems } if *key == B && problems.len() == 1)
        );
        let text = error.to_string();
        assert!(
            text.contains(&B.to_string()) && text.contains("expired"),
            "{text}"
        );
        let error = choose_key(&[expired(A)], &[], &[], true).unwrap_err();
        assert!(matches!(error, ChooseError::NoUsableKey { problems } if problems.len() == 1));
    }
}
