//! Two signers on one head: `gpgv`, `sqv` and apt accept it with either key.

#![allow(clippy::unwrap_used, reason = "a failed step must end the test")]

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use repo_signing::{Certificate, KeyFile, Keyring, SignedRelease, Signer};
use support::{FEBRUARY, key, left_out, run, sign_by};

/// Of a flat repository with an empty `Packages`.
const RELEASE: &str = "Origin: Example\nSuite: stable\nDate: Thu, 01 Feb 2024 00:00:00 UTC\nSHA256:\n \
    e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 0 Packages\n";

/// A repository that two keys sign, and a private root for apt.
struct Signed {
    folder: tempfile::TempDir,
    keys: [KeyFile; 2],
    signed: SignedRelease,
}

impl Signed {
    fn by(names: [&str; 2]) -> Self {
        let keys = names.map(key);
        let signers: [&dyn Signer; 2] = [&keys[0], &keys[1]];
        let signed = sign_by(&signers, RELEASE.as_bytes(), FEBRUARY).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
        write("InRelease", &signed.inrelease);
        write("Release", RELEASE.as_bytes());
        write("Release.gpg", &signed.detached);
        write("Packages", b"");
        Self {
            folder,
            keys,
            signed,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Keyrings with the first key, the second, and both.
    fn rings(&self) -> [Vec<&Certificate>; 3] {
        let [one, two] = self.keys.each_ref().map(Signer::certificate);
        [vec![one], vec![two], vec![one, two]]
    }

    /// Runs apt-get update with a keyring. `None` where there is no apt.
    fn apt_accepts(&self, ring: &Path, files: &[&str]) -> Option<bool> {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().display();
        for path in [
            "etc/apt/apt.conf.d",
            "etc/apt/preferences.d",
            "etc/apt/trusted.gpg.d",
            "var/cache/apt/archives/partial",
            "var/lib/apt/lists/partial",
            "var/lib/dpkg",
            "repo",
        ] {
            fs::create_dir_all(root.path().join(path)).unwrap();
        }
        for name in files {
            fs::copy(self.path(name), root.path().join("repo").join(name)).unwrap();
        }
        fs::write(root.path().join("var/lib/dpkg/status"), "").unwrap();
        let list = format!("deb [signed-by={}] copy:{folder}/repo ./\n", ring.display());
        fs::write(root.path().join("etc/apt/sources.list"), list).unwrap();
        let config = root.path().join("apt.conf");
        let settings = format!(
            "Dir \"{folder}/\";\nDir::State::status \"{folder}/var/lib/dpkg/status\";\n\
             Dir::Bin::Methods \"/usr/lib/apt/methods/\";\nAPT::Sandbox::User \"root\";\n\
             APT::Architecture \"amd64\";\nAPT::Architectures {{ \"amd64\"; }};\nAPT::Update::Error-Mode \"any\";\n"
        );
        fs::write(&config, settings).unwrap();
        let output = Command::new("apt-get")
            .arg("update")
            .env("APT_CONFIG", &config)
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .output();
        let Ok(output) = output else {
            left_out("apt-get");
            return None;
        };
        println!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Some(output.status.success())
    }

    fn ring(&self, name: &str, certificates: &[&Certificate]) -> PathBuf {
        let path = self.path(name);
        let binary: Vec<_> = certificates
            .iter()
            .map(|certificate| certificate.binary())
            .collect();
        fs::write(&path, binary.concat()).unwrap();
        path
    }
}

const PAIRS: [[&str; 2]; 3] = [
    ["ed25519", "rsa4096"],
    ["nistp256", "ed25519"],
    ["rsa4096", "subkeys"],
];

#[test]
fn each_signature_is_good_and_named() {
    for names in PAIRS {
        let repository = Signed::by(names);
        for certificates in repository.rings() {
            let expected: Vec<_> = certificates
                .iter()
                .map(|certificate| certificate.fingerprint())
                .collect();
            let ring: Keyring = certificates.into_iter().cloned().collect();
            let verified = ring.verify_inrelease(&repository.signed.inrelease).unwrap();
            assert_eq!(verified.release, RELEASE.as_bytes());
            let found: Vec<_> = verified
                .signatures
                .iter()
                .map(|good| good.certificate)
                .collect();
            assert_eq!(found, expected, "{names:?}");
        }
    }
}

#[test]
fn the_digests_of_all_signatures_are_announced_in_one_block() {
    for (names, header) in [
        (["ed25519", "rsa4096"], "\nHash: SHA512\n\n"),
        (["nistp256", "ed25519"], "\nHash: SHA256,SHA512\n\n"),
    ] {
        let signed = Signed::by(names).signed;
        for (file, has_text) in [(&signed.inrelease, true), (&signed.detached, false)] {
            let text = std::str::from_utf8(file).unwrap();
            assert_eq!(text.contains(header), has_text);
            assert_eq!(text.matches("BEGIN PGP SIGNATURE").count(), 1);
        }
    }
}

#[test]
fn gpgv_and_sqv_accept_it_with_either_key_and_with_both() {
    for names in PAIRS {
        let repository = Signed::by(names);
        let (release, detached, inrelease) = (
            repository.path("Release"),
            repository.path("Release.gpg"),
            repository.path("InRelease"),
        );
        for (index, certificates) in repository.rings().into_iter().enumerate() {
            let ring = repository.ring("ring.gpg", &certificates);
            let status = [
                Path::new("--status-fd"),
                Path::new("1"),
                Path::new("--keyring"),
                &ring,
            ];
            for files in [
                vec![inrelease.as_path()],
                vec![detached.as_path(), release.as_path()],
            ] {
                let arguments: Vec<_> = status.into_iter().chain(files).collect();
                if let Some(output) = run("gpgv", &arguments) {
                    let said = String::from_utf8_lossy(&output.stdout).into_owned();
                    // Where one key is missing, gpgv fails, and apt goes by the status lines.
                    assert!(output.status.success() || certificates.len() == 1, "{said}");
                    assert_eq!(
                        said.matches("] VALIDSIG ").count(),
                        certificates.len(),
                        "{names:?}, {index}: {said}"
                    );
                    assert_eq!(
                        said.matches("] NO_PUBKEY ").count(),
                        2 - certificates.len(),
                        "{said}"
                    );
                    assert!(!said.contains("] BADSIG "), "{said}");
                }
            }
            if let Some(output) = run("sqv", &[Path::new("--keyring"), &ring, &detached, &release])
            {
                assert!(
                    output.status.success(),
                    "{names:?}, {index}: {}",
                    String::from_utf8_lossy(&output.stderr)
                );
            }
        }
    }
}

#[test]
fn apt_accepts_it_with_either_key_and_with_both() {
    for names in [PAIRS[0], PAIRS[1]] {
        let repository = Signed::by(names);
        let rings = repository.rings();
        for (index, certificates) in rings.iter().enumerate() {
            let ring = repository.ring("ring.gpg", certificates);
            for files in [
                ["InRelease", "Packages"].as_slice(),
                &["Release", "Release.gpg", "Packages"],
            ] {
                let Some(accepted) = repository.apt_accepts(&ring, files) else {
                    return;
                };
                assert!(accepted, "{names:?}, {index}, {files:?}");
            }
        }
        let stranger = repository.ring("ring.gpg", &[key("expiring").certificate()]);
        assert_eq!(
            repository.apt_accepts(&stranger, &["InRelease", "Packages"]),
            Some(false)
        );
    }
}
