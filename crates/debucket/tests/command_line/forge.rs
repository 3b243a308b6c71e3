//! Commits as a later version of the program might make them, signed with the store's key.

use std::fs;

use deb_index::{
    digest::Sha256,
    suite::{commit::Commit, release},
};
use repo_signing::{KeyFile, SignWith, SignatureTime, Signer as _, sign_release};
use serde_json::Value;

use crate::run::{BUCKET, Store};

/// An object of the suite `stable`.
pub(crate) fn key(path: &str) -> String {
    format!("robots/dists/stable/{path}")
}

impl Store {
    pub(crate) fn in_suite(&self, path: &str) -> Vec<u8> {
        self.server.get(BUCKET, &key(path)).unwrap().unwrap()
    }

    /// `Release`, as the head has it.
    pub(crate) fn release(&self) -> String {
        let text = repo_signing::unverified_text(&self.in_suite("InRelease")).unwrap();
        String::from_utf8(text).unwrap()
    }

    /// The commit that the head names: its name and its text.
    pub(crate) fn commit(&self) -> (String, String) {
        let release = self.release();
        let mut lines = release.lines();
        let id = lines.find_map(|line| line.strip_prefix("X-Debucket-Commit: "));
        let id = id.unwrap().to_owned();
        let text = self.in_suite(&format!("commits/{id}.json"));
        (id, String::from_utf8(text).unwrap())
    }

    /// Stores a file of an index at the key under its digest; returns how a commit describes it.
    pub(crate) fn index_file(&self, folder: &str, content: &str) -> Value {
        let sha256 = Sha256::of(content.as_bytes());
        let path = key(&format!("{folder}/by-hash/SHA256/{sha256}"));
        self.server.put(BUCKET, &path, content.as_bytes()).unwrap();
        serde_json::json!({"size": content.len(), "sha256": sha256})
    }

    /// Builds on the head what `change` makes of its commit.
    pub(crate) fn forge(&self, change: impl FnOnce(&mut Value)) {
        let (parent, text) = self.commit();
        let mut commit: Value = serde_json::from_str(&text).unwrap();
        commit["parent"] = parent.clone().into();
        change(&mut commit);
        let text = serde_json::to_vec(&commit).unwrap();
        let id = Sha256::of(&text);
        let path = key(&format!("commits/{id}.json"));
        self.server.put(BUCKET, &path, &text).unwrap();
        let release = match serde_json::from_slice::<Commit>(&text) {
            Ok(commit) => release::render(&commit, &id),
            Err(_) => self.release().replace(&parent, &id.to_string()).into(),
        };
        let signer = fs::read(self.path("key.asc")).unwrap();
        let signer = KeyFile::from_bytes(&signer, None).unwrap();
        let time: jiff::Timestamp = commit["time"].as_str().unwrap().parse().unwrap();
        let time = SignatureTime::try_from(time.as_second()).unwrap();
        let by = SignWith {
            signer: &signer,
            key: signer.keys()[0],
        };
        let signed = self.block_on(sign_release(&release, time, &[by])).unwrap();
        let head = key("InRelease");
        self.server.put(BUCKET, &head, &signed.inrelease).unwrap();
    }
}
