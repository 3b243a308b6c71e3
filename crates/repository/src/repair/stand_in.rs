//! What stands in for the commit of a head where that is missing or damaged.
//!
//! The head lists every index with its digest, and shows most settings, and all that is signed. What it does not tell is what the
//! commit changed, who made it, and which commit was before it. So a stand-in is never stored: it is what the indexes are checked
//! by, and what the next commit is built on, which names the lost one as its parent.

use std::{collections::BTreeMap, sync::Arc};

use deb_index::{
    index::IndexPath,
    paragraph::Paragraph,
    suite::{
        commit::{Authorship, Commit, Index},
        foreign::ForeignRelease,
        layout,
        settings::Settings,
    },
};

use crate::{
    Error, Head, HeadSignatures, Keys, Suite, accepted_key,
    read::head::SignedHead,
    verify::{
        check::{Top, chain},
        problem::{Fix, Part, Remedy},
    },
};

impl Suite<'_> {
    /// The head with a stand-in for its commit.
    ///
    /// # Errors
    /// [`Error::Foreign`] if the head lists nothing that a commit could name; those of a head that is not accepted.
    pub(crate) fn without_commit(&self, signed: SignedHead) -> Result<Head, Error> {
        let is_unsigned = *signed.signatures() == HeadSignatures::Unsigned;
        if is_unsigned && !matches!(self.keys, Keys::Unsigned | Keys::Unchecked) {
            let suite = self.name.clone();
            return Err(Error::NotSigned { suite });
        }
        let text = signed.text();
        let foreign = |source| Error::Foreign {
            suite: self.name.clone(),
            source,
        };
        let release = ForeignRelease::parse(&self.name, text).map_err(foreign)?;
        let indexes = release.indexes.into_iter().filter_map(|(path, forms)| {
            let plain = forms.plain?;
            let index = Index {
                entries: None,
                size: plain.size,
                sha256: plain.sha256,
                files: forms.files,
                rest: Default::default(),
            };
            Some((path, index))
        });
        let indexes: BTreeMap<IndexPath, Index> = indexes.collect();
        let packages = indexes
            .iter()
            .find(|(path, _)| path.as_packages().is_some());
        let formats = packages.map(|(_, index)| index.files.keys().cloned().collect());
        let signing_keys = match signed.signatures() {
            HeadSignatures::By(by) => {
                let known = self.keys.accepted().unwrap_or_default().certificates;
                let has_signed = |key| by.iter().any(|by| by.certificate == key);
                let known = known.iter();
                let signers = known.filter(|known| has_signed(known.fingerprint()));
                signers.map(accepted_key).collect()
            }
            HeadSignatures::Unsigned | HeadSignatures::Unchecked => Vec::new(),
        };
        let time = signed.release.date;
        let settings = Settings {
            formats: formats.unwrap_or_default(),
            signing_keys,
            keys_since: (!is_unsigned).then_some(time),
            aliases: signed.release.names.iter().skip(1).cloned().collect(),
            signed_by: Paragraph::parse(text)
                .is_ok_and(|release| release.get_str("Signed-By").is_some()),
            ..release.settings
        };
        let commit = Commit {
            format: Commit::FORMAT,
            suite: self.name.clone(),
            parent: None,
            time,
            authorship: Authorship::default(),
            requires: Commit::requirements(None, &settings, false),
            settings,
            changes: Arc::default(),
            taken_back: Default::default(),
            indexes,
            rest: Default::default(),
        };
        self.head_of(signed, commit)
    }

    /// The head with a stand-in for its commit, and what is wrong with that; the inner error is why there can be none.
    pub(crate) async fn stand_in(
        &self,
        signed: SignedHead,
        lost: &Error,
    ) -> Result<Result<Top, Error>, Error> {
        if *signed.signatures() == HeadSignatures::Unsigned && self.was_signed().await? {
            let suite = self.name.clone();
            return Ok(Err(Error::SignatureMissing { suite }));
        }
        let others = signed.others.clone();
        let head = match self.without_commit(signed) {
            Ok(head) => head,
            Err(error) => return Ok(Err(error)),
        };
        let key = layout::commit_key(&self.name, &head.id());
        let text = match lost {
            Error::Damaged { problem, .. } => (*problem).to_owned(),
            error => format!("cannot be used: {}", chain(error)),
        };
        let mut problem = self.problem(Part::Commit, key, text);
        let is_proven = self.is_beyond_doubt(&head).await?;
        if others.is_empty() {
            problem = problem.fixed_by(Some(Fix::Commit { is_proven }));
        } else {
            // Who else signs the suite would no longer be known.
            let others: Vec<_> = others.iter().map(ToString::to_string).collect();
            problem.remedy = Remedy::Manual;
            problem.text += &format!("; the head is signed by {}, too", others.join(", "));
        }
        Ok(Ok(Top {
            commit: Some(head.commit.clone()),
            head: Some(head),
            problems: vec![problem],
            warnings: Vec::new(),
            needs_head: !is_proven,
            is_stand_in: true,
            is_strangers: false,
        }))
    }

    /// Whether a suite without `InRelease` is a signed one, as far as that shows where the commit of its head is lost.
    async fn was_signed(&self) -> Result<bool, Error> {
        let signature = layout::in_suite(&self.name, "Release.gpg");
        let (founding, signature) = futures::try_join!(self.founding(), self.look(&signature))?;
        Ok(signature.is_some() || founding.0.is_some_and(|founding| founding.is_suite(true)))
    }

    /// Whether a head without its commit may be signed anew without further ado: it is this suite's, and nothing says that it is
    /// not the newest.
    async fn is_beyond_doubt(&self, head: &Head) -> Result<bool, Error> {
        let is_ours = head.release.names.first() == Some(&self.name);
        let evidence = self.evidence(head.id()).await?;
        match self.judge(head.id(), &head.commit, &evidence).await {
            Ok(()) => Ok(is_ours),
            Err(error) if error.is_put_back() => Ok(false),
            Err(error) => Err(error),
        }
    }
}
