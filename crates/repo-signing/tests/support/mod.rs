//! Keys, times and the verifiers of other projects, shared by the tests.

#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a failed step must end the test")]

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Output},
};

use repo_signing::{
    Certificate, ChooseError, KeyFile, Keyring, Passphrase, SignError, SignWith, SignatureTime,
    SignedRelease, Signer, choose_key, keys_at, sign_release,
};

/// 2024-02-01T00:00:00Z: a month after most of the keys were made.
pub(crate) const FEBRUARY: u32 = 1_706_745_600;
/// 2024-01-01T00:00:00Z: when most of the keys were made.
pub(crate) const JANUARY: u32 = 1_704_067_200;
/// One day in seconds.
pub(crate) const DAY: u32 = 86_400;

pub(crate) const RELEASE: &[u8] = b"Origin: Example\nSuite: stable\nDate: Thu, 01 Feb 2024 00:00:00 UTC\n-dash: yes\n- dash: too\n\
    From here: on\nDescription: gr\xc3\xbc\xc3\x9fe\nSHA256:\n 00 12 main/binary-amd64/Packages\n";

pub(crate) fn time(seconds: u32) -> SignatureTime {
    SignatureTime::from_seconds(seconds)
}

pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(format!("{name}.sec.asc"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn sesame() -> Passphrase {
    Passphrase::new("sesame")
}

pub(crate) fn key(name: &str) -> KeyFile {
    KeyFile::from_bytes(&fixture(name), Some(&sesame()))
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Why nothing was signed.
#[derive(Debug)]
pub(crate) enum Failed {
    Choose(ChooseError),
    Sign(SignError),
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Choose(error) => error.fmt(f),
            Self::Sign(error) => error.fmt(f),
        }
    }
}

/// Signs with the newest valid key.
pub(crate) fn sign(
    key: &dyn Signer,
    release: &[u8],
    seconds: u32,
) -> Result<SignedRelease, Failed> {
    sign_by(&[key], release, seconds)
}

/// Signs with the newest valid key of each signer.
pub(crate) fn sign_by(
    signers: &[&dyn Signer],
    release: &[u8],
    seconds: u32,
) -> Result<SignedRelease, Failed> {
    let by: Vec<_> = signers
        .iter()
        .map(|&signer| {
            let state = choose_key(&keys_at(signer, time(seconds)), &[], &[], false)?;
            Ok(SignWith {
                signer,
                key: state.key,
            })
        })
        .collect::<Result<_, _>>()
        .map_err(Failed::Choose)?;
    block_on(sign_release(release, time(seconds), &by)).map_err(Failed::Sign)
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

pub(crate) fn keyring(key: &dyn Signer) -> Keyring {
    key.certificate().clone().into()
}

/// Runs a program of another project. `None`, and a loud line, where it is not installed.
pub(crate) fn run(program: &str, arguments: &[&Path]) -> Option<Output> {
    match Command::new(program).args(arguments).output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            left_out(program);
            None
        }
        Err(error) => panic!("{program}: {error}"),
    }
}

/// Says that a check was left out, past the test harness, which would swallow it.
pub(crate) fn left_out(program: &str) {
    let line = format!(
        "\n*** LEFT OUT: {program} is not installed, so what it would say was not checked ***\n"
    );
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// Asserts that `gpgv` and `sqv` accept what was signed, and that `gpgv` reads the same text.
pub(crate) fn assert_accepted_by_others(
    text_signed: &[u8],
    signed: &SignedRelease,
    certificate: &Certificate,
) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let ring = write("ring.gpg", certificate.binary());
    let armored = write("ring.asc", certificate.armored().as_bytes());
    let inrelease = write("InRelease", &signed.inrelease);
    let release = write("Release", text_signed);
    let detached = write("Release.gpg", &signed.detached);
    let text = folder.path().join("text");
    let accepted = |program: &str, output: Option<Output>| {
        let Some(output) = output else { return };
        assert!(
            output.status.success(),
            "{program}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    let (keyring, output) = (Path::new("--keyring"), Path::new("--output"));
    if let Some(result) = run("gpgv", &[keyring, &ring, output, &text, &inrelease]) {
        accepted("gpgv InRelease", Some(result));
        assert_eq!(
            std::fs::read(&text).unwrap(),
            text_signed,
            "gpgv reads another text"
        );
    }
    accepted(
        "gpgv Release.gpg",
        run("gpgv", &[keyring, &ring, &detached, &release]),
    );
    for ring in [&ring, &armored] {
        accepted("sqv", run("sqv", &[keyring, ring, &detached, &release]));
    }
}
