//! The S3 operations that are served, each in the file of its kind. Parsing, signatures and XML are
//! s3s's part.
//!
//! What is not listed here answers `NotImplemented`: versions, tags, ACLs of objects, and whatever
//! else the project does not use.

mod body;
mod buckets;
mod list;
mod parts;
mod read;
mod settings;
mod write;

pub(crate) use write::{default_content_type, digest};

use std::sync::Arc;

use async_trait::async_trait;
use s3s::{
    S3, S3Request, S3Response, S3Result,
    dto::{
        AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
        CompleteMultipartUploadOutput, CopyObjectInput, CopyObjectOutput, CreateBucketInput,
        CreateBucketOutput, CreateMultipartUploadInput, CreateMultipartUploadOutput,
        DeleteBucketInput, DeleteBucketOutput, DeleteBucketPolicyInput, DeleteBucketPolicyOutput,
        DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput,
        GetBucketAclInput, GetBucketAclOutput, GetBucketEncryptionInput, GetBucketEncryptionOutput,
        GetBucketLifecycleConfigurationInput, GetBucketLifecycleConfigurationOutput,
        GetBucketLocationInput, GetBucketLocationOutput, GetBucketOwnershipControlsInput,
        GetBucketOwnershipControlsOutput, GetBucketPolicyInput, GetBucketPolicyOutput,
        GetBucketPolicyStatusInput, GetBucketPolicyStatusOutput, GetBucketVersioningInput,
        GetBucketVersioningOutput, GetObjectInput, GetObjectOutput, GetPublicAccessBlockInput,
        GetPublicAccessBlockOutput, HeadBucketInput, HeadBucketOutput, HeadObjectInput,
        HeadObjectOutput, ListBucketsInput, ListBucketsOutput, ListMultipartUploadsInput,
        ListMultipartUploadsOutput, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input,
        ListObjectsV2Output, ListPartsInput, ListPartsOutput, PutBucketPolicyInput,
        PutBucketPolicyOutput, PutObjectInput, PutObjectOutput, UploadPartCopyInput,
        UploadPartCopyOutput, UploadPartInput, UploadPartOutput,
    },
};

use crate::{access::Access, store::Store};

/// S3 on a [`Store`].
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) store: Arc<Store>,
    pub(crate) access: Access,
    /// The buckets' region; `us-east-1` if there is none.
    pub(crate) region: Option<String>,
}

/// The trait that has all operations, with those that are served taken from their modules.
macro_rules! serve {
    ($($module:ident::$operation:ident($input:ident) -> $output:ident;)+) => {
        #[async_trait]
        impl S3 for Service {
            $(async fn $operation(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                $module::$operation(self, request).await.map(S3Response::new)
            })+
        }
    };
}

serve! {
    buckets::list_buckets(ListBucketsInput) -> ListBucketsOutput;
    buckets::create_bucket(CreateBucketInput) -> CreateBucketOutput;
    buckets::head_bucket(HeadBucketInput) -> HeadBucketOutput;
    buckets::delete_bucket(DeleteBucketInput) -> DeleteBucketOutput;
    buckets::get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput;
    buckets::get_bucket_policy(GetBucketPolicyInput) -> GetBucketPolicyOutput;
    buckets::put_bucket_policy(PutBucketPolicyInput) -> PutBucketPolicyOutput;
    buckets::delete_bucket_policy(DeleteBucketPolicyInput) -> DeleteBucketPolicyOutput;
    settings::get_bucket_versioning(GetBucketVersioningInput) -> GetBucketVersioningOutput;
    settings::get_bucket_encryption(GetBucketEncryptionInput) -> GetBucketEncryptionOutput;
    settings::get_public_access_block(GetPublicAccessBlockInput) -> GetPublicAccessBlockOutput;
    settings::get_bucket_policy_status(GetBucketPolicyStatusInput) -> GetBucketPolicyStatusOutput;
    settings::get_bucket_ownership_controls(GetBucketOwnershipControlsInput) -> GetBucketOwnershipControlsOutput;
    settings::get_bucket_acl(GetBucketAclInput) -> GetBucketAclOutput;
    settings::get_bucket_lifecycle_configuration(GetBucketLifecycleConfigurationInput) -> GetBucketLifecycleConfigurationOutput;
    list::list_objects(ListObjectsInput) -> ListObjectsOutput;
    list::list_multipart_uploads(ListMultipartUploadsInput) -> ListMultipartUploadsOutput;
    list::list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output;
    read::get_object(GetObjectInput) -> GetObjectOutput;
    read::head_object(HeadObjectInput) -> HeadObjectOutput;
    write::put_object(PutObjectInput) -> PutObjectOutput;
    write::copy_object(CopyObjectInput) -> CopyObjectOutput;
    write::delete_object(DeleteObjectInput) -> DeleteObjectOutput;
    write::delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput;
    parts::create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput;
    parts::upload_part(UploadPartInput) -> UploadPartOutput;
    parts::upload_part_copy(UploadPartCopyInput) -> UploadPartCopyOutput;
    parts::complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput;
    parts::abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput;
    parts::list_parts(ListPartsInput) -> ListPartsOutput;
}
