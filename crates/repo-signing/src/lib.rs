//! OpenPGP for repositories: signs a `Release` file and verifies one that is already there.
//!
//! A signed suite has three files of one content ([repository format][format]): `Release`, its
//! detached signature `Release.gpg`, and `InRelease`, which holds both in the cleartext signature
//! framework of [RFC 9580, section 7][csf].
//!
//! - [`Signer`] makes all three from the bytes of `Release` and a time that the caller gives;
//!   [`KeyFile`] is the signer whose secret key is at hand. A signer elsewhere (a key management
//!   service, an agent) implements the same trait.
//! - [`Keyring`] verifies: strictly, because a publisher builds on what it read.
//! - [`generate`] makes a key pair; [`Certificate`] is its public half.
//!
//! What is accepted is what every client in use accepts: OpenPGP version 4 keys (`gpgv` of Debian 12
//! reads no later version) of RSA with 2048 bits or more (3072 are recommended), Ed25519 in its
//! first form (`EdDSALegacy`), and ECDSA on NIST curves; signatures with SHA-256, SHA-384 or
//! SHA-512. SHA-1 is refused everywhere, in the signatures that hold a key together too, as `sqv`
//! does.
//!
//! The crate reads no clock, no file and no environment: every time is a parameter.
//!
//! Signatures inside packages (`_gpgorigin`) are not made here.
//!
//! [format]: https://wiki.debian.org/DebianRepository/Format#A.22Release.22_files
//! [csf]: https://www.rfc-editor.org/rfc/rfc9580.html#name-cleartext-signature-framewo

mod algorithm;
mod armor;
mod certificate;
mod cleartext;
mod fingerprint;
mod generate;
mod key_file;
mod passphrase;
mod signer;
mod time;
mod validity;
mod verify;

pub use certificate::{Certificate, CertificateError, Keyring};
pub use cleartext::TextProblem;
pub use fingerprint::{Fingerprint, ParseFingerprintError};
pub use generate::{GenerateError, GeneratedKey, KeyAlgorithm, generate};
pub use key_file::{KeyFile, KeyFileError};
pub use passphrase::Passphrase;
pub use signer::{SignError, SignedRelease, Signer};
pub use time::{SignatureTime, TimeOutOfRange};
pub use validity::KeyProblem;
pub use verify::{Issuer, SignatureProblem, Verified, VerifyError, unverified_text};
