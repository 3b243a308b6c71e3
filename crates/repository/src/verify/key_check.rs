//! Whether clients still accept the keys that sign a head. A signature is checked as of when it was made; clients check it as of now.

use deb_index::suite::settings::AcceptedKey;
use repo_signing::{Certificate, KeyProblem, KeyState, Keyring, SignatureTime};

use crate::{
    Head, Suite, Warning, key_expiry,
    verify::problem::{Part, Problem, Remedy, Severity},
};

impl Suite<'_> {
    /// The certificates of the suite with which clients refuse the head, and the keys that will not be good for long.
    #[must_use]
    pub fn check_keys(&self, head: &Head) -> (Vec<Problem>, Vec<Warning>) {
        let (mut problems, mut warnings) = (Vec::new(), Vec::new());
        let now = self.now(head);
        let time = SignatureTime::try_from(now.as_second()).ok();
        let Some(time) = time.filter(|_| !head.signatures.is_unsigned()) else {
            return (problems, warnings);
        };
        let mut add = |text: String| {
            let mut problem = self.problem(Part::Key, head.key(), text);
            problem.remedy = Remedy::Manual;
            problems.push(problem);
        };
        let accepted = head.commit.settings.signing_keys.iter();
        let known: Vec<_> = accepted.flat_map(|key| self.certificate(key)).collect();
        // The caller may have fewer. What the suite says of itself proves nothing, but has to be true.
        let keyring: Keyring = known.iter().cloned().collect();
        let by = match keyring.verify_inrelease(&head.bytes) {
            Ok(verified) => verified.signatures,
            Err(error) => {
                add(format!(
                    "has no good signature by a key of the suite: {error}"
                ));
                return (problems, warnings);
            }
        };
        for certificate in &known {
            let fingerprint = certificate.fingerprint();
            let signed = by.iter().filter(|by| by.certificate == fingerprint);
            let signed: Vec<_> = signed.map(|by| by.key).collect();
            if signed.is_empty() {
                add(format!(
                    "has no good signature by {fingerprint}, one of the suite's keys"
                ));
            }
            let (mut good, mut ended) = (Vec::new(), None);
            for key in signed {
                match certificate.check(key, time) {
                    Ok(state) => good.push(state),
                    Err(problem) => ended = ended.or(end(&problem).map(|end| (key, end))),
                }
            }
            // One that does not expire sorts first.
            let last = |state: &KeyState| {
                state
                    .expires
                    .map_or((0, None), |at| (1, Some(std::cmp::Reverse(at))))
            };
            good.sort_by_key(last);
            match (good.first(), ended) {
                (Some(state), _) => warnings.extend(key_expiry(certificate, state.key, now)),
                (None, Some((key, end))) => add(format!("is signed by the key {key}, which {end}")),
                (None, None) => {}
            }
        }
        if problems.len() < known.len() {
            for problem in &mut problems {
                problem.severity = Severity::Warning;
            }
        }
        (problems, warnings)
    }

    /// A certificate of the suite: the caller's copy, which may be newer, or that of the settings.
    fn certificate(&self, accepted: &AcceptedKey) -> Option<Certificate> {
        let own = self.keys.accepted().unwrap_or_default().certificates;
        let is_it = |own: &Certificate| own.fingerprint() == accepted.fingerprint;
        let own = own.into_iter().find(is_it);
        own.or_else(|| Certificate::from_bytes(accepted.certificate.as_bytes()).ok())
    }
}

/// How a key has come to its end, if it has.
fn end(problem: &KeyProblem) -> Option<String> {
    match problem {
        KeyProblem::Expired { at, .. } => Some(format!("expired at {at}")),
        KeyProblem::Revoked { at } => Some(format!("was revoked at {at}")),
        KeyProblem::Primary(problem) => end(problem),
        _ => None,
    }
}
