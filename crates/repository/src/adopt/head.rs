//! The head of a suite that another program made: `InRelease`, or `Release` with or without `Release.gpg`.

use bytes::Bytes;
use deb_index::suite::{
    layout,
    release::{Release, ReleaseError},
};
use jiff::Timestamp;
use repo_signing::{GoodSignature, Issuer};
use s3_storage::ETag;

use super::Accept;
use crate::{Error, HeadSignatures, Keys, Missing, Suite};

/// What another program wrote, and whether it can be trusted.
#[derive(Debug)]
pub(super) struct ForeignHead {
    /// Version tag of the object that is taken for the head.
    pub(super) etag: ETag,
    pub(super) is_inrelease: bool,
    pub(super) signatures: HeadSignatures,
    /// Who else signed it.
    pub(super) others: Vec<Issuer>,
    /// The bytes of `Release`.
    pub(super) text: Bytes,
    pub(super) store_time: Option<Timestamp>,
}

impl Suite<'_> {
    /// Reads the head; none if this program wrote it.
    pub(super) async fn foreign_head(&self, accept: Accept) -> Result<Option<ForeignHead>, Error> {
        let untrusted = |source| Error::ForeignUntrusted {
            suite: self.name.clone(),
            source,
        };
        let inrelease = self.find(&layout::head_key(&self.name, true)).await?;
        let is_inrelease = inrelease.is_some();
        let (object, bytes, text) = match inrelease {
            Some((object, bytes)) => {
                let text = match repo_signing::unverified_text(&bytes) {
                    Ok(text) => text,
                    // What is damaged is this program's.
                    Err(_) if self.has_history().await? => return Ok(None),
                    Err(source) => return Err(untrusted(source)),
                };
                (object, bytes, Bytes::from(text))
            }
            None => {
                let release = self.find(&layout::head_key(&self.name, false)).await?;
                let Some((object, bytes)) = release else {
                    return Err(self.flat_or_missing().await?.into());
                };
                (object, bytes.clone(), bytes)
            }
        };
        match Release::parse(&text) {
            Err(ReleaseError::NotOurs) => {}
            // If it was ours, it has a history.
            Err(ReleaseError::Malformed(_)) if !self.has_history().await? => {}
            _ => return Ok(None),
        }
        let keyring = self.keys.accepted();
        let mut is_signed = true;
        let verified = if is_inrelease {
            keyring.map(|keyring| keyring.verify_inrelease(&bytes))
        } else {
            let key = layout::in_suite(&self.name, "Release.gpg");
            match self.find(&key).await? {
                Some((_, detached)) => {
                    keyring.map(|keyring| keyring.verify_release(&text, &detached))
                }
                None => {
                    is_signed = false;
                    None
                }
            }
        };
        let mut others = Vec::new();
        let signatures = match verified {
            Some(Ok(verified)) => {
                others = verified.others;
                HeadSignatures::By(verified.signatures)
            }
            None if !is_signed => HeadSignatures::Unsigned,
            Some(Err(source)) if !accept.unverified => return Err(untrusted(source)),
            Some(Err(_)) | None => HeadSignatures::Unchecked,
        };
        let is_unsigned = signatures == HeadSignatures::Unsigned;
        match &self.keys {
            Keys::Sign { .. } => {}
            Keys::Unsigned if is_unsigned => {}
            _ => {
                return Err(Error::NoSigner {
                    suite: self.name.clone(),
                    is_signed: !is_unsigned,
                    keys: Vec::new(),
                });
            }
        }
        if is_unsigned && !accept.unverified {
            return Err(Error::Unverified {
                suite: self.name.clone(),
            });
        }
        Ok(Some(ForeignHead {
            etag: object.etag,
            is_inrelease,
            signatures,
            others,
            text,
            store_time: object.date,
        }))
    }

    /// There is no such suite; but perhaps a flat repository, at the root or in a folder of this name.
    async fn flat_or_missing(&self) -> Result<Missing, Error> {
        let folders = [
            "".to_owned(),
            format!("{}/", self.name),
            layout::in_suite(&self.name, ""),
        ];
        for folder in folders {
            if let Some(index) = self.repository.flat_index(&folder).await? {
                return Ok(Missing::Flat {
                    suite: self.name.clone(),
                    repository: self.repository.url.to_string(),
                    index,
                });
            }
        }
        Ok(self.missing())
    }

    /// Fails if another program has written since `head` was read. A first head that takes the place of `InRelease`, or of an
    /// unsigned `Release`, is written on that condition; where it is created beside `Release`, this is all there is.
    pub(super) async fn check_unchanged(&self, head: &ForeignHead) -> Result<(), Error> {
        let key = layout::head_key(&self.name, head.is_inrelease);
        match self.look(&key).await? {
            Some(now) if now.etag == head.etag => Ok(()),
            _ => Err(Error::ChangedMeanwhile {
                suite: self.name.clone(),
            }),
        }
    }
}

impl ForeignHead {
    /// The signatures that were verified.
    pub(super) fn verified(&self) -> &[GoodSignature] {
        match &self.signatures {
            HeadSignatures::By(signatures) => signatures,
            HeadSignatures::Unsigned | HeadSignatures::Unchecked => &[],
        }
    }
}
