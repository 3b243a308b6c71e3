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
    let region = s3
        .inner
        .region
        .clone()
        .filter(|region| s3.endpoint().is_none() && region != super::DEFAULT_REGION);
    let place = region.map(|region| {
        let region = BucketLocationConstraint::from(region.as_str());
        CreateBucketConfiguration::builder()
            .location_constraint(region)
            .build()
    });
    s3.call("CreateBucket", "", |client, exchange| {
        let request = client
            .create_bucket()
            .bucket(s3.bucket())
            .set_create_bucket_configuration(place.clone());
        request.customize().interceptor(exchange.watch(None)).send()
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
    s3.call("DeleteBucket", "", |client, exchange| {
        client
            .delete_bucket()
            .bucket(s3.bucket())
            .customize()
            .interceptor(exchange.watch(None))
            .send()
    })
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
    s3.call("PutBucketPolicy", "", |client, exchange| {
        let request = client
            .put_bucket_policy()
            .bucket(s3.bucket())
            .policy(policy);
        request.customize().interceptor(exchange.watch(None)).send()
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
    s3.call("DeleteBucketPolicy", "", |client, exchange| {
        client
            .delete_bucket_policy()
            .bucket(s3.bucket())
            .customize()
            .interceptor(exchange.watch(None))
            .send()
    })
    .await?;
    Ok(())
}

/// How many uploads in parts have begun and were neither completed nor aborted.
///
/// # Errors
/// Those of the request.
pub async fn open_uploads(config: &S3Config) -> Result<usize, Error> {
    let s3 = S3::connect(config.clone()).await?;
    let (output, _) = s3
        .call("ListMultipartUploads", "", |client, exchange| {
            client
                .list_multipart_uploads()
                .bucket(s3.bucket())
                .customize()
                .interceptor(exchange.watch(None))
                .send()
        })
        .await?;
    Ok(output.uploads().len())
}
