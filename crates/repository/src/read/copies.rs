//! Packages of one suite for another, of the same repository or of another one.

use std::{collections::HashMap, sync::Arc};

use deb_index::{
    change::Selector, name::Component, phase::Percentage, stanza::Stanza, suite::layout,
};
use futures::TryStreamExt as _;
use s3_storage::Listed;

use crate::{
    Error, Head, HeadSignatures, PackageFile, Repository, Selection, Suite, commit::upload::Origin,
};

/// Packages whose files are asked about one by one. For more, the pool is listed, a thousand at once.
const ASKED: usize = 500;

/// Packages of a suite, to be added to another.
#[derive(Debug)]
pub struct Copies {
    /// The head that they were read from.
    pub head: Head,
    /// For all devices, whatever part of them the suite has them for.
    pub stanzas: Vec<Stanza>,
    /// Selectors that match nothing, as they are written.
    pub unmatched: Vec<String>,
}

impl Suite<'_> {
    /// The packages that any of `of` means, in `component` if one is given, and otherwise in the component that they are in.
    ///
    /// # Errors
    /// Those of reading; [`Error::NotChecked`]; a head that was put back, which lacks what was taken out since; a stanza that lacks what names its file.
    pub async fn copies(
        &self,
        head: Head,
        of: &[Selector],
        component: Option<&Component>,
    ) -> Result<Copies, Error> {
        if head.signatures == HeadSignatures::Unchecked {
            return Err(Error::NotChecked {
                suite: self.name.clone(),
            });
        }
        self.require_newest(&head).await?;
        let list = self.packages_of(head.id(), head.commit.clone(), Selection::default());
        let list = list.await?;
        let packages = self.sorted(&list)?;
        let mut is_matched = vec![false; of.len()];
        let mut stanzas = Vec::new();
        for package in &packages {
            let mut is_meant = false;
            for (selector, is_matched) in of.iter().zip(&mut is_matched) {
                let matches = selector.matches(&package.component, &package.stanza);
                *is_matched |= matches;
                is_meant |= matches;
            }
            if is_meant {
                let own = component.unwrap_or(&package.component);
                let stanza = package.to_stanza(own.clone());
                let stanza = stanza.map_err(|source| Error::MalformedIndex {
                    suite: self.name.clone(),
                    path: package.component.to_string(),
                    source,
                })?;
                stanzas.push(stanza.phased(Percentage::ALL));
            }
        }
        let unmatched = of.iter().zip(is_matched);
        let unmatched = unmatched.filter(|(_, is_matched)| !is_matched);
        Ok(Copies {
            stanzas,
            unmatched: unmatched
                .map(|(selector, _)| selector.to_string())
                .collect(),
            head,
        })
    }
}

impl Suite<'_> {
    /// Fails if the file of one of these packages of the suite is not in the pool, as far as its size and the store's own checksum
    /// tell: another suite would only get its loss.
    ///
    /// # Errors
    /// [`Error::FileLost`]; those of the store.
    pub async fn require_files(&self, stanzas: &[Stanza]) -> Result<(), Error> {
        let mut asked: Vec<_> = stanzas.iter().collect();
        if asked.len() > ASKED {
            // The pool may be far larger than the suite, so of its listing only this is kept.
            let keys = asked.iter().map(|stanza| (stanza.key.as_str(), None));
            let mut sizes: HashMap<_, _> = keys.collect();
            let mut pool = self.repository.storage.list(layout::POOL, None);
            while let Some(entry) = pool.try_next().await? {
                if let Listed::Object(object) = entry
                    && let Some(size) = sizes.get_mut(object.key.as_str())
                {
                    *size = Some(object.size);
                }
            }
            asked.retain(|stanza| sizes.get(stanza.key.as_str()) != Some(&Some(stanza.size)));
        }
        let asked: Vec<_> = asked.into_iter().cloned().collect();
        match self.lost(&asked, false).await?.first() {
            None => Ok(()),
            Some(lost) => Err(Error::FileLost {
                suite: self.name.clone(),
                key: lost.stanza.key.clone(),
            }),
        }
    }

    /// The files of packages of this suite, to be copied into another repository, and their stanzas there.
    pub fn files_to_copy<'s>(
        &self,
        stanzas: impl IntoIterator<Item = &'s Stanza>,
    ) -> Vec<PackageFile> {
        let of = Arc::new(Origin {
            repository: self.repository.clone(),
            suite: self.name.clone(),
        });
        let files = stanzas.into_iter();
        files
            .map(|stanza| PackageFile::stored(of.clone(), stanza))
            .collect()
    }
}

impl Repository {
    /// An error in reading this repository while another one is changed.
    #[must_use]
    pub fn unusable(&self, source: Error) -> Error {
        Error::Source {
            repository: self.url.to_string(),
            source: source.into(),
        }
    }
}
