//! Buckets and their policies.

use s3s::{
    S3ErrorCode, S3Request, S3Result,
    dto::{
        Bucket, BucketLocationConstraint, CreateBucketInput, CreateBucketOutput, DeleteBucketInput,
        DeleteBucketOutput, DeleteBucketPolicyInput, DeleteBucketPolicyOutput,
        GetBucketLocationInput, GetBucketLocationOutput, GetBucketPolicyInput,
        GetBucketPolicyOutput, HeadBucketInput, HeadBucketOutput, ListBucketsInput,
        ListBucketsOutput, Owner, PutBucketPolicyInput, PutBucketPolicyOutput, Timestamp,
    },
};

use super::Service;
use crate::{clock, store::BucketPolicy};

pub(super) async fn list_buckets(
    service: &Service,
    _: S3Request<ListBucketsInput>,
) -> S3Result<ListBucketsOutput> {
    let buckets = service
        .store
        .buckets()
        .into_iter()
        .map(|(name, created)| Bucket {
            name: Some(name),
            creation_date: Some(Timestamp::from(clock::at(created))),
            ..Bucket::default()
        });
    let owner = Owner {
        display_name: Some("dev-s3".to_owned()),
        id: Some("dev-s3".to_owned()),
    };
    Ok(ListBucketsOutput {
        buckets: Some(buckets.collect()),
        owner: Some(owner),
        ..ListBucketsOutput::default()
    })
}

pub(super) async fn create_bucket(
    service: &Service,
    request: S3Request<CreateBucketInput>,
) -> S3Result<CreateBucketOutput> {
    service.store.create_bucket(&request.input.bucket)?;
    Ok(CreateBucketOutput {
        location: Some(format!("/{}", request.input.bucket)),
    })
}

pub(super) async fn head_bucket(
    service: &Service,
    request: S3Request<HeadBucketInput>,
) -> S3Result<HeadBucketOutput> {
    service
        .store
        .with_bucket(&request.input.bucket, |_| Ok(HeadBucketOutput::default()))
}

pub(super) async fn delete_bucket(
    service: &Service,
    request: S3Request<DeleteBucketInput>,
) -> S3Result<DeleteBucketOutput> {
    service.store.delete_bucket(&request.input.bucket)?;
    Ok(DeleteBucketOutput::default())
}

pub(super) async fn get_bucket_location(
    service: &Service,
    request: S3Request<GetBucketLocationInput>,
) -> S3Result<GetBucketLocationOutput> {
    service
        .store
        .with_bucket(&request.input.bucket, |_| Ok(()))?;
    // us-east-1 is said by saying nothing.
    let region = service
        .region
        .clone()
        .filter(|region| region != "us-east-1");
    Ok(GetBucketLocationOutput {
        location_constraint: region.map(BucketLocationConstraint::from),
    })
}

pub(super) async fn get_bucket_policy(
    service: &Service,
    request: S3Request<GetBucketPolicyInput>,
) -> S3Result<GetBucketPolicyOutput> {
    let policy = service
        .store
        .with_bucket(&request.input.bucket, |bucket| Ok(bucket.policy.clone()))?;
    let policy = policy.ok_or(S3ErrorCode::NoSuchBucketPolicy)?;
    Ok(GetBucketPolicyOutput {
        policy: Some(policy.text),
    })
}

pub(super) async fn put_bucket_policy(
    service: &Service,
    request: S3Request<PutBucketPolicyInput>,
) -> S3Result<PutBucketPolicyOutput> {
    let policy = BucketPolicy::parse(request.input.policy)?;
    service
        .store
        .set_policy(&request.input.bucket, Some(policy))?;
    Ok(PutBucketPolicyOutput::default())
}

pub(super) async fn delete_bucket_policy(
    service: &Service,
    request: S3Request<DeleteBucketPolicyInput>,
) -> S3Result<DeleteBucketPolicyOutput> {
    service.store.set_policy(&request.input.bucket, None)?;
    Ok(DeleteBucketPolicyOutput::default())
}
