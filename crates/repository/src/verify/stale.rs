//! Followers that do not show what the head has.

use bytes::Bytes;
use deb_index::{digest::Sha256, name::SuiteName, suite::layout};

use crate::{Depth, Error, Head, Suite, gc::inventory::Inventory, verify::check::compare};

impl Suite<'_> {
    /// The followers of a head that do not show what they have to, and what is wrong with each.
    pub(crate) async fn stale_followers(
        &self,
        head: &Head,
        inventory: &Inventory,
        depth: Depth,
        is_stand_in: bool,
    ) -> Result<Vec<(String, String)>, Error> {
        let mut stale = self
            .stale_indexes(&self.name, head, inventory, depth)
            .await?;
        for alias in &head.commit.settings.aliases {
            stale.extend(self.stale_alias(alias, head, inventory, depth).await?);
        }
        let mut add = |path: &str, text: &str| {
            stale.push((layout::in_suite(&self.name, path), text.to_owned()));
        };
        if !head.signatures.is_unsigned() {
            let key = |name| layout::in_suite(&self.name, name);
            let (release, signature) = futures::try_join!(
                self.find_follower(key("Release")),
                self.find_follower(key("Release.gpg"))
            )?;
            match release {
                None => add("Release", "is missing"),
                Some(release) if release != head.text => add("Release", "is not that of the head"),
                Some(_) => {}
            }
            match (signature, self.keys.accepted()) {
                (None, _) => add("Release.gpg", "is missing"),
                (Some(signature), Some(keyring))
                    if keyring.verify_detached(&head.text, &signature).is_err() =>
                {
                    add("Release.gpg", "is not a good signature of the head");
                }
                _ => {}
            }
        }
        // Which commit was before one that is lost is not known.
        let parent = head.commit.parent;
        if !is_stand_in && !self.took_the_place_of(parent, head.id()).await? {
            let key = layout::successor_key(&self.name, parent.as_ref());
            stale.push((key, "does not name the head's commit".to_owned()));
        }
        Ok(stale)
    }

    /// The followers in the folder of an alias.
    async fn stale_alias(
        &self,
        alias: &SuiteName,
        head: &Head,
        inventory: &Inventory,
        depth: Depth,
    ) -> Result<Vec<(String, String)>, Error> {
        match self.check_held(alias).await {
            Ok(()) => {}
            Err(error @ Error::Storage(_)) => return Err(error),
            // That is a problem of its own.
            Err(_) => return Ok(Vec::new()),
        }
        let mut stale = self.stale_indexes(alias, head, inventory, depth).await?;
        let is_signed = !head.signatures.is_unsigned();
        let inrelease = is_signed.then_some(("InRelease", &head.bytes));
        for (name, expected) in inrelease.into_iter().chain([("Release", &head.text)]) {
            let key = layout::in_suite(alias, name);
            let text = match self.find_follower(key.clone()).await? {
                Some(bytes) if bytes == *expected => continue,
                Some(_) => "is not that of the suite's head",
                None => "is missing",
            };
            stale.push((key, text.to_owned()));
        }
        let key = layout::in_suite(alias, "Release.gpg");
        let keyring = self.keys.accepted().filter(|_| is_signed);
        let is_good = match (self.find_follower(key.clone()).await?, keyring) {
            (Some(signature), Some(keyring)) => {
                keyring.verify_detached(&head.text, &signature).is_ok()
            }
            (signature, None) => signature.is_some() || !is_signed,
            (None, Some(_)) => false,
        };
        if !is_good {
            let text = "is not a good signature of the suite's head";
            stale.push((key, text.to_owned()));
        }
        Ok(stale)
    }

    /// The followers of indexes in the folder of the suite, or of an alias.
    async fn stale_indexes(
        &self,
        folder: &SuiteName,
        head: &Head,
        inventory: &Inventory,
        depth: Depth,
    ) -> Result<Vec<(String, String)>, Error> {
        let mut stale = Vec::new();
        for (path, extension, stored) in head.commit.files() {
            let key = layout::in_suite(folder, &path.with_extension(extension));
            let by_hash = layout::by_hash_key(folder, path, &stored.sha256);
            let there = inventory.get(&key);
            if let Some(text) = compare(there, stored.size) {
                stale.push((key, text));
                continue;
            }
            // Where an ETag follows from the content, as a rule, the same one is proof enough.
            let same = inventory.get(&by_hash).map(|object| &object.etag)
                == there.map(|object| &object.etag);
            if same && depth == Depth::Listing {
                continue;
            }
            let bytes = self.find_index(&key).await?;
            if bytes.is_none_or(|bytes| Sha256::of(&bytes) != stored.sha256) {
                stale.push((key, "has other content than the head lists".to_owned()));
            }
        }
        Ok(stale)
    }

    pub(crate) async fn find_index(&self, key: &str) -> Result<Option<Bytes>, Error> {
        match self.read_by_digest(key).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Error::Damaged { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
