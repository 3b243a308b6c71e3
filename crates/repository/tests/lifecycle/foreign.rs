//! What another program has made of the signed suite: an index for all architectures beside the other, and a pool of its own.

use std::collections::BTreeMap;

use deb_index::{
    digest::Sha256,
    index::compression::{Format, compress},
};
use repo_signing::{SignWith, SignatureTime, keys_at, sign_release};
use s3_storage::Memory;

use crate::{
    model::Content,
    script::LABELS,
    shelf::{Build, Package, SIGNED, START, SUITES, Shelf},
};

const ALL: Package = Package {
    component: 0,
    name: 0,
    architecture: 0,
    version: 0,
};
const AMD64: Package = Package {
    component: 0,
    name: 1,
    architecture: 1,
    version: 1,
};

pub(crate) fn content() -> Content {
    Content {
        packages: [ALL, AMD64].map(|it| (it, Build::new(0))).into(),
        components: vec!["main"],
        architectures: vec!["all", "amd64"],
        formats: &["gz"],
        label: Some(0),
        ..Content::new(true)
    }
}

pub(crate) async fn write(bucket: &Memory, shelf: &Shelf) {
    let stanza = |package, key: &str| {
        let file = shelf.file(package, 0);
        let path = shelf.path(package, 0);
        bucket.write(key, std::fs::read(path).unwrap());
        String::from_utf8(file.stanza.at_key(key.to_owned()).bytes.to_vec()).unwrap()
    };
    let all = stanza(ALL, "pool/old/alpha.deb");
    let amd64 = stanza(AMD64, "pool/old/libbeta.deb");
    let both = format!("{}\n\n{amd64}", all.trim_end());
    let mut files = BTreeMap::new();
    for (architecture, plain) in [("all", all), ("amd64", both)] {
        let path = format!("main/binary-{architecture}/Packages");
        let packed = compress(Format::Gz, plain.as_bytes(), 1);
        files.insert(format!("{path}.gz"), packed);
        files.insert(path, plain.into_bytes());
    }
    let (suite, label) = (SUITES[SIGNED], LABELS[0]);
    let mut text = format!(
        "Label: {label}\nSuite: {suite}\nCodename: {suite}\nDate: Mon, 24 Nov 2025 15:00:00 UTC\n\
         Architectures: all amd64\nComponents: main\nSHA256:\n"
    );
    for (path, bytes) in files {
        text.push_str(&format!(" {} {} {path}\n", Sha256::of(&bytes), bytes.len()));
        bucket.write(&format!("dists/{suite}/{path}"), bytes);
    }
    let signer = shelf.signer(0);
    let time = SignatureTime::try_from(START - 60).unwrap();
    let key = keys_at(signer.as_ref(), time)[0].key;
    let by = SignWith {
        signer: signer.as_ref(),
        key,
    };
    let signed = sign_release(text.as_bytes(), time, &[by]).await.unwrap();
    bucket.write(&format!("dists/{suite}/Release"), text);
    bucket.write(&format!("dists/{suite}/InRelease"), signed.inrelease);
    bucket.write(&format!("dists/{suite}/Release.gpg"), signed.detached);
}
