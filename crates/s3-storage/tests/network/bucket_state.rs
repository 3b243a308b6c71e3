//! What the store says about a bucket, read from its own words.

use s3_storage::{
    AclGrants, Encryption, Error, ErrorKind, Lifecycle, PublicAccessBlock, S3, UnfinishedUpload,
    Versioning,
};

use crate::server::{answer, config, serve};

/// A bucket of a store that answers everything like this.
async fn bucket(status: &'static str, body: &'static str) -> S3 {
    let xml = "Content-Type: application/xml\r\n";
    let (address, _) = serve(None, move |_, _| answer(status, xml, body, None)).await;
    S3::connect(config("http", address)).await.unwrap()
}

async fn settings(body: &'static str) -> S3 {
    bucket("200 OK", body).await
}

/// A bucket that has nothing set, in the words of this code.
async fn unset(code: &'static str) -> S3 {
    let body = format!("<Error><Code>{code}</Code><Message>none</Message></Error>");
    bucket("404 Not Found", body.leak()).await
}

#[tokio::test]
async fn settings_are_read_as_the_store_writes_them() {
    for (status, expected) in [
        ("<Status>Enabled</Status>", Versioning::Enabled),
        ("<Status>Suspended</Status>", Versioning::Suspended),
        ("", Versioning::Never),
    ] {
        let body = format!("<VersioningConfiguration>{status}</VersioningConfiguration>").leak();
        assert_eq!(settings(body).await.versioning().await.unwrap(), expected);
    }
    let kms = settings(
        "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>\
         <SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>alias/apt</KMSMasterKeyID>\
         </ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled></Rule>\
         </ServerSideEncryptionConfiguration>",
    );
    let expected = Encryption {
        algorithm: "aws:kms".into(),
        kms_key: Some("alias/apt".into()),
    };
    let found = kms.await.default_encryption().await.unwrap();
    assert_eq!(found, Some(expected));
    let half = settings(
        "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls>\
         <RestrictPublicBuckets>false</RestrictPublicBuckets></PublicAccessBlockConfiguration>",
    );
    let expected = PublicAccessBlock {
        block_acls: true,
        ..PublicAccessBlock::default()
    };
    let found = half.await.public_access_block().await.unwrap();
    assert_eq!(found, Some(expected));
    let public = settings("<PolicyStatus><IsPublic>true</IsPublic></PolicyStatus>").await;
    assert!(public.has_public_policy().await.unwrap());
    for (ownership, has_acls) in [("BucketOwnerEnforced", false), ("ObjectWriter", true)] {
        let body = format!(
            "<OwnershipControls><Rule><ObjectOwnership>{ownership}</ObjectOwnership></Rule></OwnershipControls>"
        );
        let found = settings(body.leak()).await.has_acls().await.unwrap();
        assert_eq!(found, has_acls, "{ownership}");
    }
    let uploads = settings(
        "<ListMultipartUploadsResult><Upload><Key>pool/x</Key><UploadId>1</UploadId>\
         <Initiated>1994-11-06T08:49:37.000Z</Initiated></Upload></ListMultipartUploadsResult>",
    );
    let expected = UnfinishedUpload {
        key: "pool/x".into(),
        begun: Some("1994-11-06T08:49:37Z".parse().unwrap()),
    };
    let found = uploads.await.unfinished_uploads("").await.unwrap();
    assert_eq!(found, [expected]);
}

#[tokio::test]
async fn grants_to_others_are_told_from_the_owners() {
    let grant = |grantee: &str| {
        format!(
            "<AccessControlPolicy><Owner><ID>own</ID></Owner><AccessControlList><Grant>\
             <Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"{grantee}</Grantee>\
             <Permission>READ</Permission></Grant></AccessControlList></AccessControlPolicy>"
        )
    };
    let group = "http://acs.amazonaws.com/groups";
    for (grantee, public, others) in [
        ("CanonicalUser\"><ID>own</ID>".to_owned(), false, false),
        ("CanonicalUser\"><ID>else</ID>".to_owned(), false, true),
        (
            format!("Group\"><URI>{group}/global/AllUsers</URI>"),
            true,
            true,
        ),
        (
            format!("Group\"><URI>{group}/s3/LogDelivery</URI>"),
            false,
            true,
        ),
    ] {
        let found = settings(grant(&grantee).leak()).await.acl_grants().await;
        assert_eq!(found.unwrap(), AclGrants { public, others }, "{grantee}");
    }
}

#[tokio::test]
async fn only_rules_that_hold_for_the_whole_prefix_count() {
    let rules = |status: &str, filter: &str| {
        let filter = if filter.is_empty() {
            "<Filter/>"
        } else {
            filter
        };
        format!(
            "<LifecycleConfiguration><Rule><ID>1</ID><Status>{status}</Status>{filter}\
             <NoncurrentVersionExpiration><NoncurrentDays>90</NoncurrentDays></NoncurrentVersionExpiration>\
             </Rule><Rule><ID>2</ID><Status>{status}</Status>{filter}<AbortIncompleteMultipartUpload>\
             <DaysAfterInitiation>3</DaysAfterInitiation></AbortIncompleteMultipartUpload>\
             <Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration></Rule>\
             </LifecycleConfiguration>"
        )
    };
    let both = Lifecycle {
        unfinished_uploads: Some(3),
        old_versions: Some(90),
        current_objects: false,
    };
    let none = Lifecycle::default();
    for (status, filter, expected) in [
        ("Enabled", "", both),
        ("Disabled", "", none),
        ("Enabled", "<Filter><Prefix>rob</Prefix></Filter>", both),
        ("Enabled", "<Prefix>robots/</Prefix>", both),
        (
            "Enabled",
            "<Filter><Prefix>robots/pool/</Prefix></Filter>",
            none,
        ),
        (
            "Enabled",
            "<Filter><Tag><Key>a</Key><Value>b</Value></Tag></Filter>",
            none,
        ),
    ] {
        let found = settings(rules(status, filter).leak()).await;
        let found = found.lifecycle("robots/").await.unwrap();
        assert_eq!(found, expected, "{status} {filter}");
    }
    for (prefix, expires) in [("", true), ("robots/pool/", true), ("logs/", false)] {
        let body = format!(
            "<LifecycleConfiguration><Rule><Status>Enabled</Status><Filter><Prefix>{prefix}</Prefix>\
             </Filter><Expiration><Days>30</Days></Expiration></Rule></LifecycleConfiguration>"
        );
        let found = settings(body.leak()).await.lifecycle("robots/").await;
        assert_eq!(found.unwrap().current_objects, expires, "{prefix}");
    }
}

#[tokio::test]
async fn what_is_not_set_is_told_from_what_is_not_known() {
    let encryption = unset("ServerSideEncryptionConfigurationNotFoundError").await;
    assert_eq!(encryption.default_encryption().await.unwrap(), None);
    let block = unset("NoSuchPublicAccessBlockConfiguration").await;
    assert_eq!(block.public_access_block().await.unwrap(), None);
    let policy = unset("NoSuchBucketPolicy").await;
    assert!(!policy.has_public_policy().await.unwrap());
    let controls = unset("OwnershipControlsNotFoundError").await;
    assert!(controls.has_acls().await.unwrap());
    let rules = unset("NoSuchLifecycleConfiguration").await;
    assert_eq!(rules.lifecycle("").await.unwrap(), Lifecycle::default());

    let missing = unset("NoSuchBucket").await.versioning().await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NoSuchBucket);
    let is_unknown = |error: Error| error.is_unknown_operation();
    for (status, code, expected) in [
        ("501 Not Implemented", "NotImplemented", true),
        ("405 Method Not Allowed", "MethodNotAllowed", true),
        ("403 Forbidden", "AccessDenied", false),
    ] {
        let body = format!("<Error><Code>{code}</Code></Error>").leak();
        let found = bucket(status, body).await.versioning().await;
        assert_eq!(is_unknown(found.unwrap_err()), expected, "{code}");
    }
}
