//! A store that does not do what [`Storage`] promises, as some real ones do not.

use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::{
    ETag, Error, ErrorKind, GetOptions, GetReply, Listed, ObjectMeta, Payload, PutMode, PutOptions,
    PutReply, Storage, error::Refusable,
};

/// What a store does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// It overwrites where it must create.
    IgnoresCreate,
    /// It overwrites whatever is there where it must update.
    IgnoresUpdate,
    /// It ignores all preconditions.
    IgnoresConditions,
    /// It answers 501 to every precondition.
    RefusesConditions,
    /// It answers 501 to `If-Match`.
    RefusesUpdate,
    /// It looks whether the object is there, and creates it later.
    ChecksThenWrites,
    /// Its ETags are weak.
    GivesWeakETags,
    /// Its answers to writes have no ETags.
    GivesNoETags,
    /// It answers 501 to every write, all of which have an ACL.
    RefusesAcl,
}

/// A [`Storage`] with a flaw.
#[derive(Debug)]
pub struct Careless<S> {
    inner: S,
    flaw: Flaw,
}

impl<S> Careless<S> {
    /// `inner`, as it would be with `flaw`.
    pub fn new(inner: S, flaw: Flaw) -> Self {
        Self { inner, flaw }
    }

    fn spoil(&self, etag: &mut ETag) {
        if self.flaw == Flaw::GivesWeakETags {
            etag.0.insert_str(0, "W/");
        }
    }
}

fn not_implemented(key: &str, refusable: Refusable) -> Error {
    Error::new(ErrorKind::Unsupported, "PutObject", key, "not implemented")
        .with_answer(Some(501), Some("NotImplemented"))
        .with_refusable(refusable)
}

#[async_trait]
impl<S: Storage> Storage for Careless<S> {
    async fn get(&self, key: &str, options: GetOptions) -> Result<GetReply, Error> {
        let mut reply = self.inner.get(key, options).await?;
        if let GetReply::Found(object) = &mut reply {
            self.spoil(&mut object.meta.etag);
        }
        Ok(reply)
    }

    async fn head(&self, key: &str) -> Result<ObjectMeta, Error> {
        let mut meta = self.inner.head(key).await?;
        self.spoil(&mut meta.etag);
        Ok(meta)
    }

    async fn put(
        &self,
        key: &str,
        payload: Payload,
        mut options: PutOptions,
    ) -> Result<PutReply, Error> {
        let conditional = options.mode != PutMode::Overwrite;
        let updates = matches!(options.mode, PutMode::Update(_));
        let refusable = Refusable {
            acl: self.flaw == Flaw::RefusesAcl,
            encryption: false,
            condition: conditional,
        };
        match self.flaw {
            Flaw::RefusesAcl => return Err(not_implemented(key, refusable)),
            Flaw::RefusesConditions if conditional => return Err(not_implemented(key, refusable)),
            Flaw::RefusesUpdate if updates => return Err(not_implemented(key, refusable)),
            Flaw::IgnoresCreate if !updates => options.mode = PutMode::Overwrite,
            Flaw::IgnoresUpdate if updates => options.mode = PutMode::Overwrite,
            Flaw::IgnoresConditions => options.mode = PutMode::Overwrite,
            Flaw::ChecksThenWrites
                if options.mode == PutMode::Create && self.inner.head(key).await.is_err() =>
            {
                tokio::task::yield_now().await;
                options.mode = PutMode::Overwrite;
            }
            _ => {}
        }
        let mut reply = self.inner.put(key, payload, options).await?;
        self.spoil(&mut reply.etag);
        if self.flaw == Flaw::GivesNoETags {
            reply.etag = ETag(String::new());
        }
        Ok(reply)
    }

    fn list(&self, prefix: &str, delimiter: Option<&str>) -> BoxStream<'_, Result<Listed, Error>> {
        self.inner.list(prefix, delimiter)
    }

    async fn delete(&self, keys: &[String]) -> Result<(), Error> {
        self.inner.delete(keys).await
    }

    async fn abort_uploads(&self) {
        self.inner.abort_uploads().await;
    }
}
