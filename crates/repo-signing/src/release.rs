//! Signing a `Release`: one text, any number of signers, two files.

use bytes::Bytes;
use pgp::{armor::BlockType, composed::DetachedSignature};

use crate::{
    Fingerprint, SignError, Signature, SignatureKind, SignatureTime, Signer, ToSign, cleartext,
    verify::{self, Expected},
};

/// A signer, and which of its keys signs.
#[derive(Debug, Clone, Copy)]
pub struct SignWith<'a> {
    /// Makes the signatures.
    pub signer: &'a dyn Signer,
    /// One of its [`keys`](Signer::keys), as [`choose_key`](crate::choose_key) gives it.
    pub key: Fingerprint,
}

/// The signed forms of a `Release`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRelease {
    /// `InRelease`: the text in the cleartext signature framework.
    pub inrelease: Bytes,
    /// `Release.gpg`: the detached signatures of the text, in one armored block.
    pub detached: Bytes,
}

/// Signs the bytes of a `Release` with every key in `by`, in that order.
///
/// `time` is when the signatures say they were made. It comes from the store's clock, as `Date` in the
/// file does; this machine's clock is not read. Every signature is verified with its certificate
/// before anything is returned.
///
/// # Errors
/// [`SignError::Text`] unless the text ends with exactly one newline and no line ends with white space
/// or has control characters (clients would read it differently); otherwise what the signers say.
pub async fn sign_release(
    text: &[u8],
    time: SignatureTime,
    by: &[SignWith<'_>],
) -> Result<SignedRelease, SignError> {
    cleartext::check(text).map_err(|(line, problem)| SignError::Text { line, problem })?;
    if by.is_empty() {
        return Err(SignError::NoSigner);
    }
    let canonical = cleartext::canonical(text);
    let mut of_text = Vec::with_capacity(by.len());
    let mut of_bytes = Vec::with_capacity(by.len());
    for with in by {
        of_text.push(with.sign(SignatureKind::Text, &canonical, time).await?);
        of_bytes.push(with.sign(SignatureKind::Binary, text, time).await?);
    }
    let armored = |signatures: &[Signature]| {
        armored(signatures).map_err(|error| SignError::computation(by[0].key, error))
    };
    Ok(SignedRelease {
        inrelease: cleartext::frame(text, &hashes(&of_text), &armored(&of_text)?).into(),
        detached: armored(&of_bytes)?.into(),
    })
}

impl SignWith<'_> {
    async fn sign(
        self,
        kind: SignatureKind,
        data: &[u8],
        time: SignatureTime,
    ) -> Result<Signature, SignError> {
        let key = self.key;
        let certificate = self.signer.certificate();
        let checked = certificate.component(key).and_then(|component| {
            certificate.check(key, time)?;
            Ok(component)
        });
        let component = checked.map_err(|problem| SignError::Key { key, problem })?;
        let to_sign = ToSign {
            kind,
            data,
            time,
            key,
        };
        let signature = self.signer.sign(&to_sign).await?;
        let expected = Expected { kind, time, data };
        if verify::is_as_expected(component, signature.packet(), &expected) {
            Ok(signature)
        } else {
            Err(SignError::Mismatch { key })
        }
    }
}

/// The names of the signatures' digests, each once, for the `Hash` header.
fn hashes(signatures: &[Signature]) -> String {
    let mut hashes = Vec::new();
    for name in signatures.iter().filter_map(Signature::hash_name) {
        if !hashes.contains(&name) {
            hashes.push(name);
        }
    }
    hashes.join(",")
}

/// Signatures in one armored block, with a final newline.
fn armored(signatures: &[Signature]) -> Result<Vec<u8>, pgp::errors::Error> {
    let packets: Vec<_> = signatures
        .iter()
        .map(|signature| DetachedSignature::new(signature.packet().clone()))
        .collect();
    let mut armored = Vec::new();
    let checksum = true;
    pgp::armor::write(
        &packets.as_slice(),
        BlockType::Signature,
        &mut armored,
        None,
        checksum,
    )?;
    Ok(armored)
}
