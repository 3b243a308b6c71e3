//! How every bucket is set up: as AWS makes a new one. Nothing of it can be changed.

use s3s::{
    S3ErrorCode, S3Request, S3Result,
    dto::{
        GetBucketAclInput, GetBucketAclOutput, GetBucketEncryptionInput, GetBucketEncryptionOutput,
        GetBucketLifecycleConfigurationInput, GetBucketLifecycleConfigurationOutput,
        GetBucketOwnershipControlsInput, GetBucketOwnershipControlsOutput,
        GetBucketPolicyStatusInput, GetBucketPolicyStatusOutput, GetBucketVersioningInput,
        GetBucketVersioningOutput, GetPublicAccessBlockInput, GetPublicAccessBlockOutput, Grant,
        Grantee, ObjectOwnership, Owner, OwnershipControls, OwnershipControlsRule, Permission,
        PublicAccessBlockConfiguration, ServerSideEncryption, ServerSideEncryptionByDefault,
        ServerSideEncryptionConfiguration, ServerSideEncryptionRule, Type,
    },
};

use super::Service;

/// The owner of all buckets.
const OWNER: &str = "dev-s3";

pub(super) async fn get_bucket_versioning(
    _: &Service,
    _: S3Request<GetBucketVersioningInput>,
) -> S3Result<GetBucketVersioningOutput> {
    Ok(GetBucketVersioningOutput::default())
}

pub(super) async fn get_bucket_encryption(
    _: &Service,
    _: S3Request<GetBucketEncryptionInput>,
) -> S3Result<GetBucketEncryptionOutput> {
    let default = ServerSideEncryptionByDefault {
        kms_master_key_id: None,
        sse_algorithm: ServerSideEncryption::from_static(ServerSideEncryption::AES256),
    };
    let rule = ServerSideEncryptionRule {
        apply_server_side_encryption_by_default: Some(default),
        bucket_key_enabled: Some(false),
    };
    Ok(GetBucketEncryptionOutput {
        server_side_encryption_configuration: Some(ServerSideEncryptionConfiguration {
            rules: vec![rule],
        }),
    })
}

pub(super) async fn get_public_access_block(
    _: &Service,
    _: S3Request<GetPublicAccessBlockInput>,
) -> S3Result<GetPublicAccessBlockOutput> {
    Ok(GetPublicAccessBlockOutput {
        public_access_block_configuration: Some(PublicAccessBlockConfiguration {
            block_public_acls: Some(true),
            block_public_policy: Some(true),
            ignore_public_acls: Some(true),
            restrict_public_buckets: Some(true),
        }),
    })
}

pub(super) async fn get_bucket_policy_status(
    _: &Service,
    _: S3Request<GetBucketPolicyStatusInput>,
) -> S3Result<GetBucketPolicyStatusOutput> {
    Err(S3ErrorCode::NoSuchBucketPolicy.into())
}

pub(super) async fn get_bucket_ownership_controls(
    _: &Service,
    _: S3Request<GetBucketOwnershipControlsInput>,
) -> S3Result<GetBucketOwnershipControlsOutput> {
    let object_ownership = ObjectOwnership::from_static(ObjectOwnership::BUCKET_OWNER_ENFORCED);
    Ok(GetBucketOwnershipControlsOutput {
        ownership_controls: Some(OwnershipControls {
            rules: vec![OwnershipControlsRule { object_ownership }],
        }),
    })
}

pub(super) async fn get_bucket_acl(
    _: &Service,
    _: S3Request<GetBucketAclInput>,
) -> S3Result<GetBucketAclOutput> {
    let grantee = Grantee {
        display_name: None,
        email_address: None,
        id: Some(OWNER.to_owned()),
        type_: Type::from_static(Type::CANONICAL_USER),
        uri: None,
    };
    let grant = Grant {
        grantee: Some(grantee),
        permission: Some(Permission::from_static(Permission::FULL_CONTROL)),
    };
    Ok(GetBucketAclOutput {
        grants: Some(vec![grant]),
        owner: Some(Owner {
            display_name: None,
            id: Some(OWNER.to_owned()),
        }),
    })
}

pub(super) async fn get_bucket_lifecycle_configuration(
    _: &Service,
    _: S3Request<GetBucketLifecycleConfigurationInput>,
) -> S3Result<GetBucketLifecycleConfigurationOutput> {
    Err(S3ErrorCode::NoSuchLifecycleConfiguration.into())
}
