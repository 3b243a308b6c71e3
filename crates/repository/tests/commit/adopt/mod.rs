//! A suite that another program made is taken over in place.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use deb_index::{
    index::compression::{Format, decompress},
    suite::commit::Authorship,
};
use repository::{
    Accept, Adoption, Allow, Error, Keys, Outcome, Published, Silent, Takeover, Writes,
};
use s3_storage::Storage;

use crate::{
    foreign::Foreign,
    repository::{Repository, Signing, committed, keys, open, suite},
};

mod content;
mod refusals;

const IN_RELEASE: &str = "dists/stable/InRelease";

/// What was found, before it is taken over.
#[derive(Debug)]
struct Found {
    damage: Vec<String>,
    carried_over: Vec<String>,
    rewritten: Vec<String>,
    corrected: Vec<String>,
    packages: usize,
    client_changes: Vec<String>,
}

impl Found {
    fn of(takeover: &Takeover<'_>) -> Self {
        fn words<T: ToString>(items: impl IntoIterator<Item = T>) -> Vec<String> {
            items.into_iter().map(|item| item.to_string()).collect()
        }
        Self {
            damage: words(&takeover.damage),
            carried_over: words(&takeover.carried_over),
            corrected: words(&takeover.corrected),
            rewritten: words(takeover.rewritten()),
            packages: takeover.packages,
            client_changes: words(takeover.view_changes()),
        }
    }
}

async fn adopt_as<S: Storage + 'static>(
    storage: &Arc<S>,
    keys: Keys,
    accept: Accept,
    allow: Allow,
) -> Result<(Option<Found>, Published), Error> {
    let repository = open(storage.clone(), Writes::Conditional);
    let suite = repository.suite(suite(), keys);
    match suite.adoption(accept, allow).await? {
        Adoption::Ours(head) => Ok((
            None,
            Published {
                outcome: Outcome::Unchanged(head),
                stale_followers: None,
            },
        )),
        Adoption::Foreign(takeover) => {
            let found = Found::of(&takeover);
            let by = Authorship::default();
            Ok((Some(found), takeover.commit(&by, &Silent).await?))
        }
    }
}

async fn adopt<S: Storage + 'static>(
    storage: &Arc<S>,
    signing: &Signing,
) -> Result<(Option<Found>, Published), Error> {
    adopt_as(storage, keys(signing), Accept::default(), Allow::default()).await
}

/// Adopts, and returns what was found.
async fn adopted(repository: &Repository, signing: &Signing, accept: Accept) -> Found {
    let done = adopt_as(&repository.bucket, keys(signing), accept, Allow::default()).await;
    let (found, published) = done.unwrap();
    committed(Ok(published));
    repository.check_followers().await;
    found.unwrap()
}

/// Adopts what another program has made and signed with the same key.
async fn adopted_signed(repository: &Repository, foreign: &Foreign, signing: &Signing) -> Found {
    let key = signing.as_ref().unwrap();
    foreign.write_signed(repository, key).await;
    adopted(repository, signing, Accept::default()).await
}

const UNVERIFIED: Accept = Accept {
    unverified: true,
    damage: false,
};
const DAMAGE: Accept = Accept {
    unverified: false,
    damage: true,
};

fn content(repository: &Repository) -> BTreeMap<String, Bytes> {
    let keys = repository.bucket.keys().into_iter();
    let read = |key: String| {
        let bytes = repository.bucket.read(&key).unwrap();
        (key, bytes)
    };
    keys.map(read).collect()
}

fn stanzas(repository: &Repository, index: &str) -> String {
    let key = format!("dists/stable/{index}/Packages.gz");
    let packed = repository.bucket.read(&key).unwrap();
    let plain = decompress(Format::Gz, &packed, 1 << 20);
    String::from_utf8(plain.unwrap()).unwrap()
}

fn names(packages: impl IntoIterator<Item = String>) -> String {
    packages.into_iter().collect::<Vec<_>>().join(" ")
}
