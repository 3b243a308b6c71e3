//! A suite of a repository, and what may be done with it.

use deb_index::name::SuiteName;

use crate::{commit::keys::Keys, repository::Repository};

/// A suite, open for reading, and for changes if its [`Keys`] allow them.
#[derive(Debug)]
pub struct Suite<'a> {
    pub(crate) repository: &'a Repository,
    pub(crate) name: SuiteName,
    pub(crate) keys: Keys,
}

impl Suite<'_> {
    #[must_use]
    pub fn name(&self) -> &SuiteName {
        &self.name
    }

    #[must_use]
    pub fn repository(&self) -> &Repository {
        self.repository
    }

    /// Whether keys that sign are at hand.
    #[must_use]
    pub fn has_signers(&self) -> bool {
        self.keys.is_signed()
    }

    /// Whether signatures are not checked.
    #[must_use]
    pub fn is_unchecked(&self) -> bool {
        matches!(self.keys, Keys::Unchecked)
    }
}

impl Repository {
    /// A suite, which need not exist.
    #[must_use]
    pub fn suite(&self, name: SuiteName, keys: Keys) -> Suite<'_> {
        Suite {
            repository: self,
            name,
            keys,
        }
    }
}
