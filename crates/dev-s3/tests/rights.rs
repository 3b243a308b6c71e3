//! Rights are tried without an effect.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{BUCKET, client, key};
use dev_s3::{AccessKey, DevS3, Grants, Policy};
use s3_storage::{Condition, ErrorKind, S3};

const CONDITIONS: [Condition; 3] = [Condition::None, Condition::Missing, Condition::Unchanged];

/// A client that may do one thing with one folder.
async fn allowed(server: &DevS3, action: &str) -> S3 {
    let policy = format!(
        r#"{{"Statement": {{"Effect": "Allow", "Action": "{action}", "Resource": "arn:aws:s3:::{BUCKET}/mine/*"}}}}"#
    );
    let grants = Grants::Policy(Policy::parse(&policy).unwrap());
    server.set_access_keys(vec![AccessKey::new("one", "secret", grants)]);
    client(&server.endpoint(), key("one", "secret")).await
}

#[tokio::test]
async fn what_may_be_done_is_found_out_and_nothing_is_done() {
    let server = DevS3::builder().bucket(BUCKET).start().await.unwrap();
    server.put(BUCKET, "mine/there", b"x").unwrap();
    for action in ["s3:DeleteObject", "s3:PutObject", "s3:GetObject"] {
        let s3 = allowed(&server, action).await;
        for (folder, may) in [("mine", true), ("other", false)] {
            let key = format!("{folder}/missing");
            let mut tried = vec![(s3.try_delete(&key).await, "s3:DeleteObject")];
            for condition in CONDITIONS {
                tried.push((s3.try_write(&key, condition).await, "s3:PutObject"));
            }
            for (tried, needs) in tried {
                let refused = tried.err().map(|error| error.kind());
                let expected = (needs != action || !may).then_some(ErrorKind::PermissionDenied);
                assert_eq!(refused, expected, "{action} {key} {needs}");
            }
        }
    }
    let s3 = allowed(&server, "s3:*").await;
    for condition in CONDITIONS {
        s3.try_write("mine/there", condition).await.unwrap();
    }
    s3.try_upload_in_parts("mine/parts").await.unwrap();
    assert_eq!(server.keys(BUCKET), ["mine/there"]);
    assert_eq!(server.get(BUCKET, "mine/there").unwrap().unwrap(), b"x");
    assert!(server.uploads(BUCKET).is_empty());

    // What could not be thrown away is not begun.
    let s3 = allowed(&server, "s3:PutObject").await;
    let error = s3.try_upload_in_parts("mine/parts").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(server.uploads(BUCKET).is_empty());
}
