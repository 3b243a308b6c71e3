//! Signers that are not key files, which keys sign, and until when.

#![allow(clippy::unwrap_used, reason = "a failed step must end the test")]

mod support;

use async_trait::async_trait;
use pgp::{
    composed::{Deserializable as _, SignedSecretKey},
    crypto::hash::HashAlgorithm,
    packet::{SignatureConfig, SignatureType, Subpacket, SubpacketData},
    types::{KeyDetails as _, Password, SignatureBytes, SigningKey as _, Tag, Timestamp},
};
use repo_signing::{
    Certificate, ChooseError, DigestAlgorithm, Fingerprint, KeyFile, KeyProblem, RawSignature,
    SignError, SignWith, Signature, SignatureKind, Signer, ToSign, choose_key, keys_at,
    sign_release,
};
use support::{
    DAY, FEBRUARY, JANUARY, RELEASE, assert_accepted_by_others, block_on, fixture, key, keyring,
    time,
};

/// A service that signs digests and knows nothing of OpenPGP, and what speaks to it.
#[derive(Debug)]
struct Service {
    certificate: Certificate,
    keys: Vec<Fingerprint>,
    secret: SignedSecretKey,
}

impl Service {
    fn with(name: &str) -> Self {
        let certificate = key(name).certificate().clone();
        Self {
            keys: vec![certificate.fingerprint()],
            certificate,
            secret: SignedSecretKey::from_armor_single(fixture(name).as_slice())
                .unwrap()
                .0,
        }
    }

    async fn sign_digest(&self, algorithm: DigestAlgorithm, digest: &[u8]) -> RawSignature {
        let hash = match algorithm {
            DigestAlgorithm::Sha256 => HashAlgorithm::Sha256,
            DigestAlgorithm::Sha384 => HashAlgorithm::Sha384,
            DigestAlgorithm::Sha512 => HashAlgorithm::Sha512,
        };
        assert_eq!(Some(digest.len()), hash.digest_size());
        let primary = &self.secret.primary_key;
        let Ok(SignatureBytes::Mpis(numbers)) = primary.sign(&Password::empty(), hash, digest)
        else {
            panic!("no numbers")
        };
        let numbers: Vec<Vec<u8>> = numbers
            .iter()
            .map(|number| number.as_ref().to_vec())
            .collect();
        match <[_; 2]>::try_from(numbers) {
            Err(one) => RawSignature::Rsa(one.concat()),
            Ok([r, s]) if hash == HashAlgorithm::Sha256 => RawSignature::Ecdsa { r, s },
            Ok([r, s]) => {
                let mut value = [0; 64];
                value[32 - r.len()..32].copy_from_slice(&r);
                value[64 - s.len()..].copy_from_slice(&s);
                RawSignature::Ed25519(value)
            }
        }
    }
}

#[async_trait]
impl Signer for Service {
    fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    fn keys(&self) -> &[Fingerprint] {
        &self.keys
    }

    async fn sign(&self, data: &ToSign<'_>) -> Result<Signature, SignError> {
        let unsigned = data.prepare(&self.certificate)?;
        let value = self
            .sign_digest(unsigned.algorithm(), unsigned.digest())
            .await;
        unsigned.assemble(&value)
    }
}

#[test]
fn a_service_that_signs_digests_can_be_a_signer() {
    for name in ["ed25519", "nistp256", "rsa4096"] {
        let service = Service::with(name);
        let by = [SignWith {
            key: service.keys[0],
            signer: &service,
        }];
        let signed = block_on(sign_release(RELEASE, time(FEBRUARY), &by)).unwrap();
        assert_accepted_by_others(RELEASE, &signed, &service.certificate);
    }
}

/// What is asked of a signer, turned into something else.
type Change = fn(ToSign<'_>) -> ToSign<'_>;

/// A signer that signs something else than it was asked for.
#[derive(Debug)]
struct Wrong {
    key: KeyFile,
    secret: KeyFile,
    change: Change,
}

#[async_trait]
impl Signer for Wrong {
    fn certificate(&self) -> &Certificate {
        self.key.certificate()
    }

    fn keys(&self) -> &[Fingerprint] {
        self.key.keys()
    }

    async fn sign(&self, data: &ToSign<'_>) -> Result<Signature, SignError> {
        let mut data = (self.change)(*data);
        data.key = self.secret.keys()[0];
        self.secret.sign(&data).await
    }
}

#[test]
fn a_signature_is_verified_before_it_is_returned() {
    let changes: [(&str, Change); 5] = [
        ("ed25519", |data| data),
        ("ed25519", |data| ToSign {
            kind: SignatureKind::Binary,
            ..data
        }),
        ("ed25519", |data| ToSign {
            data: b"Origin: y",
            ..data
        }),
        ("ed25519", |data| ToSign {
            time: time(FEBRUARY + 1),
            ..data
        }),
        ("nistp256", |data| data),
    ];
    for (index, (secret, change)) in changes.into_iter().enumerate() {
        let signer = Wrong {
            key: key("ed25519"),
            secret: key(secret),
            change,
        };
        let by = [SignWith {
            key: signer.keys()[0],
            signer: &signer,
        }];
        let signed = block_on(sign_release(RELEASE, time(FEBRUARY), &by));
        match signed {
            Ok(_) => assert_eq!(index, 0),
            Err(SignError::Mismatch { .. }) => assert_ne!(index, 0),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn no_signer_and_keys_that_are_not_there_are_refused() {
    let signed =
        |by: &[SignWith<'_>]| block_on(sign_release(RELEASE, time(FEBRUARY), by)).unwrap_err();
    assert!(matches!(signed(&[]), SignError::NoSigner));
    // The primary key's secret is elsewhere: its own certificate does not let it sign either.
    let offline = key("offline-primary");
    let other = key("ed25519").keys()[0];
    for (key, expected) in [
        (
            offline.certificate().fingerprint(),
            KeyProblem::NotForSigning,
        ),
        (other, KeyProblem::NotInCertificate),
    ] {
        match signed(&[SignWith {
            signer: &offline,
            key,
        }]) {
            SignError::Key {
                key: named,
                problem,
            } => assert_eq!((named, problem), (key, expected)),
            error => panic!("{error}"),
        }
    }
}

#[test]
fn the_end_of_a_key_is_known_before_it_comes() {
    let expires = |name: &str, index: usize, seconds| {
        let key = key(name);
        key.certificate()
            .check(key.keys()[index], time(seconds))
            .unwrap()
            .expires
    };
    assert_eq!(expires("ed25519", 0, FEBRUARY), None);
    assert_eq!(
        expires("expiring", 0, FEBRUARY),
        Some(time(JANUARY + 182 * DAY + DAY / 2))
    );
    // The newer subkey expires, the older one does not.
    assert_eq!(
        expires("subkeys", 0, FEBRUARY + 60 * DAY),
        Some(time(1_725_192_000))
    );
    assert_eq!(expires("subkeys", 1, FEBRUARY), None);
    // The primary key expires before its subkey.
    assert_eq!(
        expires("expiring-primary", 0, FEBRUARY),
        Some(time(1_717_243_200))
    );
    let key = key("expiring-primary");
    let problem = key
        .certificate()
        .check(key.keys()[0], time(1_717_243_200))
        .unwrap_err();
    let expired = KeyProblem::Expired {
        at: time(1_717_243_200),
        time: time(1_717_243_200),
    };
    assert_eq!(problem, KeyProblem::Primary(Box::new(expired)));
}

#[test]
fn a_subkey_that_signed_last_goes_on_when_a_newer_one_is_valid() {
    let key = key("subkeys");
    let april = time(FEBRUARY + 60 * DAY);
    let [newer, older] = key.keys() else {
        panic!("{:?}", key.keys())
    };
    let keys = keys_at(&key, april);
    let chosen =
        |last: &[_], known: &[_]| choose_key(&keys, last, known, false).map(|state| state.key);
    assert_eq!(chosen(&[], &[]), Ok(*newer));
    assert_eq!(chosen(&[*older], &[*older, *newer]), Ok(*older));
    assert_eq!(chosen(&[*older], &[*older]), Ok(*older));
    let stranger = support::key("ed25519").keys()[0];
    assert!(
        matches!(chosen(&[stranger], &[stranger]), Err(ChooseError::NewKey { key, .. }) if key == *newer)
    );
}

#[test]
fn the_signing_keys_of_a_certificate_are_those_that_a_device_can_verify() {
    for name in [
        "ed25519",
        "rsa4096",
        "expiring",
        "revoked",
        "subkeys",
        "offline-primary",
        "expiring-primary",
    ] {
        let key = key(name);
        let mut listed = key.certificate().signing_keys();
        listed.sort();
        let mut held = key.keys().to_vec();
        held.sort();
        // The fixtures hold the secrets of all keys that sign.
        assert_eq!(listed, held, "{name}");
        assert!(!listed.is_empty());
    }
    for name in ["dsa", "rsa1024", "brainpool", "secp256k1"] {
        assert_eq!(key(name).certificate().signing_keys(), [], "{name}");
    }
    assert_eq!(
        keyring(&key("subkeys")).certificates[0]
            .signing_keys()
            .len(),
        2
    );
}

#[test]
fn signatures_of_others_and_revocations_do_not_make_a_key_one_for_signing() {
    let secret = |name: &str| {
        SignedSecretKey::from_armor_single(fixture(name).as_slice())
            .unwrap()
            .0
    };
    let (owner, stranger) = (secret("subkeys"), secret("ed25519"));
    let expected = key("subkeys").certificate().signing_keys();
    for (kind, by) in [
        (SignatureType::CertGeneric, &stranger.primary_key),
        (SignatureType::CertRevocation, &owner.primary_key),
    ] {
        let mut certificate = owner.to_public_key();
        let mut config = SignatureConfig::v4(kind, by.algorithm(), HashAlgorithm::Sha512);
        config.hashed_subpackets = vec![
            Subpacket::regular(SubpacketData::IssuerFingerprint(by.fingerprint())).unwrap(),
            Subpacket::regular(SubpacketData::SignatureCreationTime(Timestamp::from_secs(
                FEBRUARY,
            )))
            .unwrap(),
        ];
        let user = &mut certificate.details.users[0];
        let signature = config
            .sign_certification_third_party(
                by,
                &Password::empty(),
                &certificate.primary_key,
                Tag::UserId,
                &user.id,
            )
            .unwrap();
        user.signatures.push(signature);
        let binary = pgp::ser::Serialize::to_bytes(&certificate).unwrap();
        let certificate = Certificate::from_bytes(&binary).unwrap();
        assert_ne!(&certificate, key("subkeys").certificate());
        assert_eq!(certificate.signing_keys(), expected, "{kind:?}");
    }
}
