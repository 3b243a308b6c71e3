//! OpenPGP for repositories: signs a `Release` file and verifies one that is already there.
//!
//! A signed suite has three files of one content ([repository format][format]): `Release`, its
//! detached signature `Release.gpg`, and `InRelease`, which holds both in the cleartext signature
//! framework of [RFC 9580, section 7][csf].
//!
//! - A [`Signer`] makes one signature; [`KeyFile`] is the one that has its secret key in memory.
//! - [`sign_release`] frames the signatures of one signer or several.
//! - [`choose_key`] says which of a signer's keys signs, [`Certificate::check`] whether and until when
//!   it may.
//! - [`Keyring`] verifies: strictly, because a publisher builds on what it read.
//! - [`generate`] makes a key pair; [`Certificate`] is its public half.
//!
//! What is accepted is what every client in use accepts: OpenPGP version 4 keys (`gpgv` of Debian 12
//! supports no later version) of RSA with 2048 bits or more (3072 are recommended), Ed25519 in its
//! first form (`EdDSALegacy`), and ECDSA on NIST curves; signatures with SHA-256, SHA-384 or
//! SHA-512. SHA-1 is refused everywhere, in the signatures that hold a key together too, as `sqv`
//! does.
//!
//! The crate reads no clock, no file and no environment: every time is a parameter. No error carries
//! anything of what was read but fingerprints, because that may be a secret key.
//!
//! Signatures inside packages (`_gpgorigin`) are not made here.
//!
//! [format]: https://wiki.debian.org/DebianRepository/Format#A.22Release.22_files
//! [csf]: https://www.rfc-editor.org/rfc/rfc9580.html#name-cleartext-signature-framewo

mod algorithm;
mod armor;
mod certificate;
mod choose;
mod cleartext;
mod component;
mod fingerprint;
mod generate;
mod key_file;
mod one_line;
mod packets;
mod passphrase;
mod problem;
mod release;
mod sign_error;
mod signature;
mod signer;
mod time;
mod validity;
mod verify;

pub use armor::ArmorError;
pub use certificate::{Certificate, CertificateError, Keyring};
pub use choose::{ChooseError, choose_key};
pub use cleartext::TextProblem;
pub use deb_index::fingerprint::{Fingerprint, ParseFingerprintError};
pub use generate::{GenerateError, GeneratedKey, KeyAlgorithm, generate};
pub use key_file::{KeyFile, KeyFileError};
pub use one_line::looks_like_key;
pub use passphrase::Passphrase;
pub use problem::{KeyProblem, KeyState};
pub use release::{SignWith, SignedRelease, sign_release};
pub use sign_error::SignError;
pub use signature::{DigestAlgorithm, RawSignature, Signature, SignatureKind, ToSign, Unsigned};
pub use signer::{KeyAt, Signer, keys_at};
pub use time::{SignatureTime, TimeOutOfRange};
pub use verify::{GoodSignature, Issuer, SignatureProblem, Verified, VerifyError, unverified_text};
