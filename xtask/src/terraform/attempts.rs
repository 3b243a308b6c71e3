//! What somebody tries who has the keys of a reader or of a publisher and means harm: real requests, each of which must be
//! refused for want of the right.

use std::path::Path;

use anyhow::{Result, ensure};
use futures::TryStreamExt as _;
use s3_storage::{
    Config, Credentials, ETag, Error, ErrorKind, Payload, Proxy, PutMode, PutOptions, S3, S3Config,
    Storage, create_bucket, delete_bucket, put_bucket_policy,
};
use tokio::runtime::Runtime;

use crate::store::{Keys, REGION};

/// A store, and who asks it for what.
pub(super) struct Intruder<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) endpoint: &'a str,
    /// Whose certificate the store has, if it speaks TLS.
    pub(super) ca_bundle: Option<&'a Path>,
    pub(super) bucket: &'a str,
    pub(super) keys: &'a Keys,
}

impl Intruder<'_> {
    fn config(&self, bucket: &str) -> S3Config {
        let access = Config {
            region: Some(REGION.to_owned()),
            endpoint: Some(self.endpoint.to_owned()),
            credentials: Credentials::Static(self.keys.into()),
            proxy: Proxy::Direct,
            ca_bundle: self.ca_bundle.map(|path| path.to_owned().into()),
            ..Config::default()
        };
        S3Config::new(bucket, access)
    }

    /// Tries to harm the repository in the folder `prefix`, which has this head and this package, and expects to be refused each
    /// time. Returns how often that was.
    pub(super) fn is_refused(&self, prefix: &str, head: &str, package: &str) -> Result<usize> {
        let (head, package) = (in_folder(prefix, head), in_folder(prefix, package));
        let outcomes = self.runtime.block_on(async {
            let s3 = S3::connect(self.config(self.bucket)).await?;
            let other = S3::connect(self.config("debucket-other")).await?;
            let put = async |s3: &S3, key: &str, mode: PutMode| -> Result<(), Error> {
                let payload = Payload::Bytes(b"forged".as_slice().into());
                s3.put(key, payload, PutOptions::new(mode)).await.map(drop)
            };
            let etag = s3.head(&head).await?.etag;
            let package_etag = s3.head(&package).await?.etag;
            let policy = r#"{"Version": "2012-10-17", "Statement": []}"#;
            Ok::<_, anyhow::Error>([
                (
                    "overwriting the head",
                    put(&s3, &head, PutMode::Overwrite).await,
                ),
                (
                    "replacing a package",
                    put(&s3, &package, PutMode::Update(package_etag)).await,
                ),
                (
                    "overwriting a package",
                    put(&s3, &package, PutMode::Overwrite).await,
                ),
                (
                    "a file outside the repository's folders",
                    put(&s3, &in_folder(prefix, "index.html"), PutMode::Create).await,
                ),
                ("deleting the head", delete(&s3, &head).await),
                ("deleting a package", delete(&s3, &package).await),
                (
                    "writing to another bucket",
                    put(&other, &head, PutMode::Update(etag)).await,
                ),
                (
                    "reading another bucket",
                    other.head("secret").await.map(drop),
                ),
                (
                    "deleting the bucket",
                    delete_bucket(&self.config(self.bucket)).await,
                ),
                (
                    "changing the bucket's policy",
                    put_bucket_policy(&self.config(self.bucket), policy).await,
                ),
                (
                    "making a bucket",
                    create_bucket(&self.config("debucket-new")).await,
                ),
            ])
        })?;
        expect_refused(&outcomes)
    }

    /// A reader neither lists nor writes, however careful the write is.
    pub(super) fn only_reads(&self, prefix: &str, head: &str) -> Result<usize> {
        let key = in_folder(prefix, head);
        let outcomes = self.runtime.block_on(async {
            let s3 = S3::connect(self.config(self.bucket)).await?;
            let etag: ETag = s3.head(&key).await?.etag;
            let payload = || Payload::Bytes(b"forged".as_slice().into());
            let update = PutOptions::new(PutMode::Update(etag));
            let create = PutOptions::new(PutMode::Create);
            let new = format!("{key}.new");
            Ok::<_, anyhow::Error>([
                (
                    "listing",
                    s3.list("", None).try_collect::<Vec<_>>().await.map(drop),
                ),
                (
                    "moving the head",
                    s3.put(&key, payload(), update).await.map(drop),
                ),
                (
                    "creating a file",
                    s3.put(&new, payload(), create).await.map(drop),
                ),
            ])
        })?;
        expect_refused(&outcomes)
    }
}

fn in_folder(prefix: &str, key: &str) -> String {
    match prefix {
        "" => key.to_owned(),
        prefix => format!("{prefix}/{key}"),
    }
}

/// Each attempt must have failed for want of the right; returns how many there were.
fn expect_refused(outcomes: &[(&str, Result<(), Error>)]) -> Result<usize> {
    for (what, outcome) in outcomes {
        let refused = matches!(outcome, Err(error) if error.kind() == ErrorKind::PermissionDenied);
        ensure!(
            refused,
            "{what} was not refused for want of the right, but: {outcome:?}"
        );
    }
    Ok(outcomes.len())
}

async fn delete(s3: &S3, key: &str) -> Result<(), Error> {
    s3.delete(&[key.to_owned()]).await
}
