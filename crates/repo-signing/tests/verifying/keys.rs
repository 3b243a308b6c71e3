//! When a key may sign, and which of its subkeys.

use pgp::composed::{Deserializable as _, SignedSecretKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{SignatureConfig, SignatureType, Subpacket, SubpacketData};
use pgp::types::{KeyDetails as _, Password, Timestamp};
use repo_signing::{KeyProblem, Keyring, SignatureProblem, Signer as _, VerifyError};

use crate::forge::{framed, inrelease, signature};
use crate::support::{DAY, FEBRUARY, JANUARY, fixture, key, keyring};

/// What is said of a signature that the fixture's primary key made at a time.
fn at(name: &str, seconds: u32) -> Result<(), KeyProblem> {
    let signature = signature(
        name,
        SignatureType::Text,
        HashAlgorithm::Sha512,
        seconds,
        b"Origin: x",
    );
    let file = framed("SHA512", "Origin: x\n", &[signature]);
    match keyring(&key(name)).verify_inrelease(&file) {
        Ok(_) => Ok(()),
        Err(VerifyError::Unusable {
            problem: SignatureProblem::Key(problem),
            ..
        }) => Err(problem),
        Err(error) => panic!("{name}: {error}"),
    }
}

#[test]
fn a_key_counts_only_while_it_is_valid() {
    assert!(matches!(
        at("ed25519", JANUARY - 1),
        Err(KeyProblem::NotYetCreated { .. })
    ));
    assert_eq!(at("ed25519", JANUARY), Ok(()));
    assert_eq!(at("expiring", JANUARY + 182 * DAY), Ok(()));
    assert!(matches!(
        at("expiring", JANUARY + 183 * DAY),
        Err(KeyProblem::Expired { .. })
    ));
    assert_eq!(at("revoked", JANUARY + 120 * DAY), Ok(()));
    assert!(matches!(
        at("revoked", JANUARY + 122 * DAY),
        Err(KeyProblem::Revoked { .. })
    ));
    assert_eq!(at("sha1", FEBRUARY), Err(KeyProblem::WeakSelfSignature));
    assert!(matches!(
        at("rsa1024", FEBRUARY),
        Err(KeyProblem::RsaTooShort { bits: 1024 })
    ));
}

#[test]
fn a_primary_key_that_only_certifies_does_not_sign() {
    let key = SignedSecretKey::from_armor_single(fixture("subkeys").as_slice())
        .unwrap()
        .0;
    assert_eq!(key.secret_subkeys.len(), 3);
    assert_eq!(at("subkeys", FEBRUARY), Err(KeyProblem::NotForSigning));
}

#[test]
fn an_extended_key_keeps_its_earlier_signatures() {
    // The extension replaced the self-signature: the only one there is younger than the signature.
    assert_eq!(at("extended", FEBRUARY), Ok(()));
    assert_eq!(at("extended", JANUARY + 300 * DAY), Ok(()));
}

#[test]
fn a_subkey_of_another_key_is_not_taken_over() {
    // The thief binds a stranger's signing subkey to his own certificate, without its back-signature.
    let thief = SignedSecretKey::from_armor_single(fixture("ed25519").as_slice())
        .unwrap()
        .0;
    let victim = SignedSecretKey::from_armor_single(fixture("subkeys").as_slice())
        .unwrap()
        .0;
    let stolen = victim.secret_subkeys[0].key.public_key().clone();
    let mut config = SignatureConfig::v4(
        SignatureType::SubkeyBinding,
        thief.primary_key.algorithm(),
        HashAlgorithm::Sha512,
    );
    let mut flags = pgp::packet::KeyFlags::default();
    flags.set_sign(true);
    config.hashed_subpackets = vec![
        Subpacket::regular(SubpacketData::IssuerFingerprint(
            thief.primary_key.fingerprint(),
        ))
        .unwrap(),
        Subpacket::regular(SubpacketData::SignatureCreationTime(Timestamp::from_secs(
            JANUARY,
        )))
        .unwrap(),
        Subpacket::regular(SubpacketData::KeyFlags(flags)).unwrap(),
    ];
    let public = thief.primary_key.public_key();
    let binding = config
        .sign_subkey_binding(&thief.primary_key, public, &Password::empty(), &stolen)
        .unwrap();
    let mut certificate = thief.to_public_key();
    certificate
        .public_subkeys
        .push(pgp::composed::SignedPublicSubKey::new(
            stolen,
            vec![binding],
        ));
    let ring = Keyring::from_bytes(&pgp::ser::Serialize::to_bytes(&certificate).unwrap()).unwrap();
    let error = ring
        .verify_inrelease(&inrelease("subkeys", FEBRUARY))
        .unwrap_err();
    let problem = SignatureProblem::Key(KeyProblem::NoBackSignature);
    assert!(
        matches!(&error, VerifyError::Unusable { problem: found, .. } if *found == problem),
        "{error}"
    );
    // Beside the owner's certificate it does no harm.
    let both = Keyring::from_iter([
        ring.certificates[0].clone(),
        key("subkeys").certificate().clone(),
    ]);
    let verified = both
        .verify_inrelease(&inrelease("subkeys", FEBRUARY))
        .unwrap();
    assert_eq!(
        verified.signatures[0].certificate,
        key("subkeys").certificate().fingerprint()
    );
}
