//! A suite as deb-s3 and its like lay it out: `Packages` and `Packages.gz`, an index for all architectures beside the others, a pool
//! of its own.

use std::collections::BTreeMap;

use bytes::Bytes;
use deb_index::{
    digest::Sha256,
    index::compression::{Format, compress},
};
use repo_signing::{SignWith, SignatureTime, SignedRelease, keys_at, sign_release};

use crate::repository::{Repository, START, signer};

/// What another program writes.
pub(crate) struct Foreign {
    /// The fields of `Release` before `SHA256`.
    pub(crate) fields: String,
    /// Stanzas by the folder of their index.
    pub(crate) packages: BTreeMap<String, Vec<String>>,
    /// Other files that `Release` lists.
    pub(crate) others: BTreeMap<String, Bytes>,
}

impl Foreign {
    pub(crate) fn new() -> Self {
        Self {
            fields: "Origin: Acme\nCodename: stable\nDate: Mon, 24 Nov 2025 15:00:00 UTC\n\
                     Architectures: all amd64\nComponents: main\n"
                .to_owned(),
            packages: BTreeMap::new(),
            others: BTreeMap::new(),
        }
    }

    /// With an own package, and one for all architectures.
    pub(crate) fn usual(repository: &Repository) -> Self {
        let mut foreign = Self::new();
        foreign.add(repository, &["main/binary-amd64"], "own", "1.0", "amd64");
        let both = &["main/binary-all", "main/binary-amd64"];
        foreign.add(repository, both, "shared", "1.0", "all");
        foreign
    }

    pub(crate) fn key_of(name: &str, version: &str, architecture: &str) -> String {
        let first = |count| name.chars().take(count).collect::<String>();
        let (letter, letters) = (first(1), first(2));
        format!("pool/stable/{letter}/{letters}/{name}_{version}_{architecture}.deb")
    }

    /// Puts a package into the pool and into some indexes.
    pub(crate) fn add(
        &mut self,
        repository: &Repository,
        folders: &[&str],
        name: &str,
        version: &str,
        architecture: &str,
    ) {
        let content = format!("{name} {version}");
        let key = Self::key_of(name, version, architecture);
        // Fields that a rendering would lose or reorder.
        let stanza = format!(
            "package: {name}\nVersion: {version}\nLicense: unknown\nArchitecture: {architecture}\nDescription: x\n y \n\
             Filename: {key}\nSize: {}\nSHA256: {}\n",
            content.len(),
            Sha256::of(content.as_bytes()),
        );
        repository.bucket.write(&key, content);
        for folder in folders {
            let index = self.packages.entry((*folder).to_owned()).or_default();
            index.push(stanza.clone());
        }
    }

    /// Writes the suite, signed by `key`, and returns what was signed. The signatures are left to the caller.
    pub(crate) fn write(&self, repository: &Repository) -> String {
        let mut files = self.others.clone();
        for (folder, stanzas) in &self.packages {
            let plain = stanzas.join("\n");
            let packed = compress(Format::Gz, plain.as_bytes(), 1);
            files.insert(format!("{folder}/Packages.gz"), packed.into());
            files.insert(format!("{folder}/Packages"), plain.into());
        }
        let mut text = format!("{}SHA256:\n", self.fields);
        for (path, bytes) in files {
            text.push_str(&format!(" {} {} {path}\n", Sha256::of(&bytes), bytes.len()));
            repository
                .bucket
                .write(&format!("dists/stable/{path}"), bytes);
        }
        repository
            .bucket
            .write("dists/stable/Release", text.clone());
        text
    }

    /// Writes the suite with `InRelease` and `Release.gpg`.
    pub(crate) async fn write_signed(&self, repository: &Repository, key: &str) {
        let signed = sign(&self.write(repository), key).await;
        repository
            .bucket
            .write("dists/stable/InRelease", signed.inrelease);
        repository
            .bucket
            .write("dists/stable/Release.gpg", signed.detached);
    }
}

pub(crate) async fn sign(text: &str, key: &str) -> SignedRelease {
    sign_by(text, &[key]).await
}

pub(crate) async fn sign_by(text: &str, keys: &[&str]) -> SignedRelease {
    let time = SignatureTime::try_from(START - 60).unwrap();
    let signers: Vec<_> = keys.iter().map(|key| signer(key)).collect();
    let by = signers.iter().map(AsRef::as_ref).map(|signer| SignWith {
        signer,
        key: keys_at(signer, time)[0].key,
    });
    let by: Vec<_> = by.collect();
    sign_release(text.as_bytes(), time, &by).await.unwrap()
}
