//! Which commit a missing or damaged head has to name again: the newest that the evidence shows, never an older one.
//!
//! Evidence is what is written after a head moves: the record of succession, `Release` and `Release.gpg`. Only `Release.gpg` is
//! signed, so only the commit that it vouches for is proven. Anyone who may write to the bucket could have made the others; to
//! sign such a commit again is for the caller to allow.

use deb_index::{
    digest::Sha256,
    suite::{founding::Founding, layout, release::Release},
};

use crate::{
    Error, Head, Suite, check::compare, inventory::Inventory, problem::Fix,
    succession::is_unreadable,
};

/// Commits that are looked at: the newest, and those that lost a race to become it.
const SEARCHED: usize = 200;

impl Suite<'_> {
    /// The head that takes the place of `instead`, or of one that cannot be used.
    pub(crate) async fn newest(
        &self,
        inventory: &Inventory,
        instead: Option<&Head>,
    ) -> Result<Option<Fix>, Error> {
        let is_signed = match self.founding().await {
            Ok((Some(Founding::Suite { signed }), _)) => Some(signed),
            _ => None,
        };
        let proven = self.shown_by_release().await?;
        let mut newest: Vec<Sha256> = Vec::new();
        let folder = layout::commits(&self.name);
        let commits = inventory.below(&folder);
        let commits = commits.filter_map(|(key, _)| layout::commit_at(&self.name, key));
        let is_superseded = |id: &Sha256| {
            inventory
                .get(&layout::successor_key(&self.name, Some(id)))
                .is_some()
        };
        for id in commits.filter(|id| !is_superseded(id)).take(SEARCHED) {
            let commit = match self.read_commit(&id).await {
                Ok(commit) => commit,
                Err(error) if is_unreadable(&error) => continue,
                Err(error) => return Err(error),
            };
            let was_head = self.took_the_place_of(commit.parent, id).await?;
            let files = commit.indexes.iter().flat_map(|(path, index)| {
                let files = index.files.values();
                files.map(move |stored| (path.by_hash(&stored.sha256), stored.size))
            });
            let is_whole = files.into_iter().all(|(path, size)| {
                let key = layout::in_suite(&self.name, &path);
                compare(inventory.get(&key), size).is_none()
            });
            let is_usable = commit.suite == self.name && is_whole;
            if is_usable && (was_head || proven == Some(id)) {
                newest.push(id);
            }
        }
        // More than one were the newest: evidence that contradicts itself.
        let [commit] = newest[..] else {
            return Ok(None);
        };
        if instead.is_some_and(|head| head.id() == commit) {
            return Ok(None);
        }
        Ok(Some(Fix::Head {
            commit,
            is_proven: is_signed == Some(false) || proven == Some(commit),
        }))
    }

    /// The commit that `Release` shows, if `Release.gpg` is a good signature of it.
    async fn shown_by_release(&self) -> Result<Option<Sha256>, Error> {
        let Some(keyring) = self.keys.accepted() else {
            return Ok(None);
        };
        let key = |name| layout::in_suite(&self.name, name);
        let (release, signature) = futures::try_join!(
            self.find_follower(key("Release")),
            self.find_follower(key("Release.gpg"))
        )?;
        let (Some(release), Some(signature)) = (release, signature) else {
            return Ok(None);
        };
        if keyring.verify_detached(&release, &signature).is_err() {
            return Ok(None);
        }
        Ok(Release::parse(&release).ok().map(|release| release.commit))
    }

    pub(crate) async fn find_follower(&self, key: String) -> Result<Option<bytes::Bytes>, Error> {
        Ok(self.find(&key).await?.map(|(_, bytes)| bytes))
    }

    /// Whether the record says that `commit` took the place of its parent.
    pub(crate) async fn took_the_place_of(
        &self,
        parent: Option<Sha256>,
        commit: Sha256,
    ) -> Result<bool, Error> {
        let key = layout::successor_key(&self.name, parent.as_ref());
        let Some((_, bytes)) = self.find(&key).await? else {
            return Ok(false);
        };
        let first = str::from_utf8(&bytes).unwrap_or_default().lines().next();
        Ok(first.and_then(|line| line.parse().ok()) == Some(commit))
    }
}
