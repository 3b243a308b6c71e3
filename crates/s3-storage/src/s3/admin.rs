//! Making and guarding buckets: what end-to-end tests need beside [`Storage`](crate::Storage), here
//! because only this crate names the SDK.

use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};

use super::S3;
use crate::{Error, S3Config};

/// Makes the bucket of `config`.
///
/// # Errors
/// Those of the request; [`ErrorKind::Unexpected`](crate::ErrorKind::Unexpected) with the code
/// `BucketAlreadyOwnedByYou` where it exists.
pub async fn create_bucket(config: &S3Config) -> Result<(), Error> {
    let s3 = S3::connect(config.clone()).await?;
    // Where none is named, a bucket is made in us-east-1.
    let region = s3.inner.access.sdk().region().map(ToString::to_string);
    let elsewhere = region.filter(|region| s3.endpoint().is_none() && region != "us-east-1");
    let place = elsewhere.map(|region| {
        let region = BucketLocationConstraint::from(region.as_str());
        CreateBucketConfiguration::builder()
            .location_constraint(region)
            .build()
    });
    s3.request("CreateBucket", "")
        .send(|client| {
            client
                .create_bucket()
                .bucket(s3.bucket())
                .set_create_bucket_configuration(place.clone())
                .send()
        })
        .await?;
    Ok(())
}

/// Deletes the bucket of `config`, which must be empty.
///
/// # Errors
/// Those of the request.
pub async fn delete_bucket(config: &S3Config) -> Result<(), Error> {
    let s3 = S3::connect(config.clone()).await?;
    s3.request("DeleteBucket", "")
        .send(|client| client.delete_bucket().bucket(s3.bucket()).send())
        .await?;
    Ok(())
}

/// Gives the bucket of `config` a policy (JSON).
///
/// # Errors
/// Those of the request; [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a policy that the
/// store does not understand.
pub async fn put_bucket_policy(config: &S3Config, policy: &str) -> Result<(), Error> {
    let s3 = S3::connect(config.clone()).await?;
    s3.request("PutBucketPolicy", "")
        .send(|client| {
            client
                .put_bucket_policy()
                .bucket(s3.bucket())
                .policy(policy)
                .send()
        })
        .await?;
    Ok(())
}

/// Takes the policy of the bucket of `config` away.
///
/// # Errors
/// Those of the request.
pub async fn delete_bucket_policy(config: &S3Config) -> Result<(), Error> {
    let s3 = S3::connect(config.clone()).await?;
    s3.request("DeleteBucketPolicy", "")
        .send(|client| client.delete_bucket_policy().bucket(s3.bucket()).send())
        .await?;
    Ok(())
}

/// How many uploads in parts have begun and were neither completed nor aborted.
///
/// # Errors
/// Those of the request.
pub async fn open_uploads(config: &S3Config) -> Result<usize, Error> {
    let s3 = S3::connect(config.clone()).await?;
    let output = s3
        .request("ListMultipartUploads", "")
        .send(|client| client.list_multipart_uploads().bucket(s3.bucket()).send())
        .await?;
    Ok(output.uploads().len())
}
