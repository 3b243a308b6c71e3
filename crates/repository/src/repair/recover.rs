//! Which commit a missing or damaged head has to name again: the newest that the evidence shows, never an older one.
//!
//! Evidence is what is written after a head moves: the record of succession, `Release` and `Release.gpg`. Only `Release.gpg` is
//! signed, so only the commit that it vouches for is proven. Anyone who may write to the bucket could have made the others; to
//! sign such a commit again is for the caller to allow.

use std::cmp::Reverse;

use deb_index::{
    digest::Sha256,
    suite::{founding::Founding, layout, release::ReleaseError},
};

use crate::{
    Error, Folder, Head, Suite,
    gc::inventory::Inventory,
    read::{head::SignedHead, loss::is_unreadable},
    verify::{
        CLOSED,
        check::{Top, compare},
        problem::{Fix, Part, Remedy},
    },
};

/// Commits that are looked at: the newest, and those that lost a race to become it.
const SEARCHED: usize = 200;
/// Commits that are named where any of them may be the newest.
const NAMED: usize = 5;

/// What the evidence shows.
#[derive(Debug)]
enum Newest {
    /// A commit, and whether a signature vouches for it.
    One(Sha256, bool),
    /// It contradicts itself, or names the head that is there: the commits that may be the newest.
    Unclear(Vec<Sha256>),
    /// No commit of the suite is left.
    None,
}

impl Suite<'_> {
    /// Finds what takes the place of a head that cannot be used, or is not the newest.
    pub(crate) async fn recovered(
        &self,
        mut top: Top,
        inventory: &Inventory,
    ) -> Result<Top, Error> {
        if top.commit.is_none() && !top.problems.is_empty() {
            self.require_own().await?;
        }
        if !top.needs_head {
            return Ok(top);
        }
        if top.head.is_none() && self.was_closed(inventory).await? {
            return Ok(self.unfinished(CLOSED));
        }
        let newest = self.newest(inventory, top.head.as_ref()).await?;
        if top.is_strangers && !matches!(newest, Newest::One(_, true)) {
            return Ok(top);
        }
        let fix = match (newest, &top.head) {
            (Newest::One(commit, is_proven), head) => {
                if let (Some(head), true) = (head, top.is_stand_in) {
                    // Not the commit is what is wrong, but that this head is there.
                    let key = head.key();
                    let text = format!("names commit {}, which is missing or damaged", head.id());
                    top = Top {
                        problems: vec![self.problem(Part::Head, key, text)],
                        ..Top::default()
                    };
                }
                if top.head.is_none() && !is_proven {
                    top = self.with_release(top).await?;
                }
                if top.is_stand_in {
                    return Ok(top);
                }
                if top.commit.is_none() {
                    top.commit = Some(self.read_commit(&commit).await?.into());
                }
                Some(Fix::Head { commit, is_proven })
            }
            _ if top.is_stand_in => return Ok(top),
            // What was newer is lost.
            (Newest::None, Some(head)) => Some(Fix::Commit {
                is_proven: self.shown_by_release().await? == Some(head.id()),
            }),
            (newest, None) => {
                top = self.with_release(top).await?;
                if top.is_stand_in {
                    return Ok(top);
                }
                if let Newest::Unclear(commits) = &newest {
                    let named = commits.iter().take(NAMED).map(ToString::to_string);
                    let named = named.collect::<Vec<_>>().join(", ");
                    top.problems[0].text += &format!("; it may have named any of {named}");
                    top.problems[0].remedy = Remedy::NameCommit;
                }
                let is_pool_left = inventory.below(layout::POOL).next().is_some();
                (matches!(newest, Newest::None) && is_pool_left).then_some(Fix::Pool)
            }
            (_, Some(_)) => None,
        };
        let mut problem = top.problems[0].clone().fixed_by(fix);
        if problem.remedy == Remedy::RepairUnproven && self.is_unchecked() {
            let signature = layout::in_suite(&self.name, "Release.gpg");
            if self.look(&signature).await?.is_some() {
                problem.remedy = Remedy::GiveKey;
            }
        }
        top.problems[0] = problem;
        Ok(top)
    }

    /// Whether the suite was closed, and `suite.json` does not say that it is one: its deletion was interrupted. The commit that
    /// closes a suite leaves no record that it took the place of the one before, so no other may have.
    async fn was_closed(&self, inventory: &Inventory) -> Result<bool, Error> {
        if matches!(self.founding().await?.0, Some(Founding::Suite { .. })) {
            return Ok(false);
        }
        for id in self.newest_commits(inventory) {
            let commit = self.readable(Some(id)).await?;
            let closing = commit.filter(|commit| commit.is_closed() && commit.suite == self.name);
            if let Some(commit) = closing {
                let record = layout::successor_key(&self.name, commit.parent.as_ref());
                return Ok(inventory.get(&record).is_none());
            }
        }
        Ok(false)
    }

    /// The commits that nothing took the place of, the newest first, as far as they are looked at.
    fn newest_commits(&self, inventory: &Inventory) -> impl Iterator<Item = Sha256> {
        let is_superseded = |id: &Sha256| {
            let record = layout::successor_key(&self.name, Some(id));
            inventory.get(&record).is_some()
        };
        let folder = layout::commits(&self.name);
        let commits = inventory.below(&folder).filter_map(|(key, object)| {
            let id = layout::commit_at(&self.name, key)?;
            (!is_superseded(&id)).then_some((Reverse(object.modified), id))
        });
        let mut commits: Vec<_> = commits.collect();
        commits.sort_unstable();
        commits.into_iter().take(SEARCHED).map(|(_, id)| id)
    }

    /// Fails if another tool wrote what is in the folder: nothing of it is damage.
    async fn require_own(&self) -> Result<(), Error> {
        match self.what_it_is().await? {
            Some(Folder::Foreign) => Err(Error::Release {
                suite: self.name.clone(),
                source: ReleaseError::NotOurs,
            }),
            _ => Ok(()),
        }
    }

    /// Takes `Release` for the head that is missing, if its signature is good and its commit is lost.
    async fn with_release(&self, top: Top) -> Result<Top, Error> {
        let Some(shown) = self.head_beside().await? else {
            return Ok(top);
        };
        let lost = match self.read_commit(&shown.release.commit).await {
            Ok(_) => return Ok(top),
            Err(error) if is_unreadable(&error) => error,
            Err(error) => return Err(error),
        };
        let Ok(stand_in) = self.stand_in(shown, &lost).await? else {
            return Ok(top);
        };
        let mut problems = top.problems;
        problems[0] = problems[0]
            .clone()
            .fixed_by(stand_in.problems[0].fix.clone());
        problems.extend(stand_in.problems);
        Ok(Top {
            problems,
            ..stand_in
        })
    }

    /// The head that takes the place of `instead`, or of one that cannot be used. One that has lost index files is only taken if
    /// no other can be.
    async fn newest(&self, inventory: &Inventory, instead: Option<&Head>) -> Result<Newest, Error> {
        let founding = self.founding().await?.0;
        let is_unsigned = founding.is_some_and(|founding| founding.is_suite(false));
        let proven = self.shown_by_release().await?;
        let (mut whole, mut broken): (Vec<Sha256>, Vec<Sha256>) = Default::default();
        let mut left = Vec::new();
        for id in self.newest_commits(inventory) {
            let commit = match self.read_commit(&id).await {
                Ok(commit) if commit.suite == self.name => commit,
                Ok(_) => continue,
                Err(error) if is_unreadable(&error) => continue,
                Err(error) => return Err(error),
            };
            if instead.is_none_or(|head| head.id() != id) {
                left.push(id);
            }
            let was_head = self.took_the_place_of(commit.parent, id).await?;
            let is_whole = commit.files().all(|(path, _, stored)| {
                let key = layout::by_hash_key(&self.name, path, &stored.sha256);
                compare(inventory.get(&key), stored.size).is_none()
            });
            if was_head || proven == Some(id) {
                let list = if is_whole { &mut whole } else { &mut broken };
                list.push(id);
            }
        }
        if let Some(proven) = proven.filter(|id| whole.contains(id) || broken.contains(id)) {
            (whole, broken) = (vec![proven], Vec::new());
        }
        if whole.len() + broken.len() > 1 {
            // One that another was built on is not the newest.
            for id in [&whole[..], &broken[..]].concat() {
                let mut next = Some(id);
                for _ in 0..SEARCHED {
                    let commit = self.readable(next).await?;
                    next = commit.and_then(|commit| commit.parent);
                    let Some(older) = next else { break };
                    whole.retain(|id| *id != older);
                    broken.retain(|id| *id != older);
                }
            }
        }
        let commit = match (&whole[..], &broken[..]) {
            ([commit], _) | ([], [commit]) => *commit,
            _ if left.is_empty() => return Ok(Newest::None),
            _ => {
                let all = [whole, broken].concat();
                left.retain(|id| all.is_empty() || all.contains(id));
                return Ok(Newest::Unclear(left));
            }
        };
        if instead.is_some_and(|head| head.id() == commit) {
            return Ok(Newest::Unclear(left));
        }
        let is_proven = is_unsigned || proven == Some(commit);
        Ok(Newest::One(commit, is_proven))
    }

    /// The commit that `Release` shows, if `Release.gpg` is a good signature of it.
    pub(crate) async fn shown_by_release(&self) -> Result<Option<Sha256>, Error> {
        let shown = self.head_beside().await?;
        Ok(shown.map(|shown| shown.release.commit))
    }

    /// The head as `Release` shows it, if `Release.gpg` is a good signature of it.
    pub(crate) async fn head_beside(&self) -> Result<Option<SignedHead>, Error> {
        let Some(keyring) = self.keys.accepted() else {
            return Ok(None);
        };
        let key = |name| layout::in_suite(&self.name, name);
        let (release, signature) = (key("Release"), key("Release.gpg"));
        let (release, signature) =
            futures::try_join!(self.find(&release), self.find_follower(signature))?;
        let (Some((object, text)), Some(signature)) = (release, signature) else {
            return Ok(None);
        };
        let Ok(verified) = keyring.verify_release(&text, &signature) else {
            return Ok(None);
        };
        Ok(SignedHead::of(object, text.clone(), verified, text).ok())
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
