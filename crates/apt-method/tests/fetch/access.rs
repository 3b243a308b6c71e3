//! Who may read, and where: keys from every place, regions, certificates, clocks.

use std::fs;

use dev_s3::{AccessKey, Clock, DevS3, Grants, WrongRegion};

use crate::{
    store::{against, store},
    support::{Start, expect_reason, field, show},
};

/// A store whose only key may read objects and nothing else: a missing one is forbidden.
async fn forbidding_store() -> DevS3 {
    let reader = AccessKey::new("reader", "reader-secret", Grants::GetObjectOnly);
    DevS3::builder()
        .bucket("bucket")
        .access_key(reader)
        .start()
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forbidden_inrelease_beside_a_readable_release_is_missing() {
    let store = forbidding_store().await;
    store
        .put("bucket", "dists/stable/Release", b"Suite: stable\n")
        .unwrap();
    let mut method = Start::default()
        .store(&store.endpoint(), "reader", "reader-secret")
        .configured();
    let failed = method.failure("s3://bucket/dists/stable/InRelease", "file");
    expect_reason(&failed, "HttpError404");
    let failed = method.failure("s3://bucket/dists/other/InRelease", "file");
    expect_reason(&failed, "HttpError403");
    assert!(field(&failed, "Message").contains("AccessDenied"));
    assert_eq!(failed.get("Transient-Failure"), None);
    let failed = method.failure("s3://bucket/dists/stable/Release.gpg", "file");
    expect_reason(&failed, "HttpError403");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_are_never_a_missing_file() {
    let store = store().await;
    store
        .put("bucket", "dists/stable/Release", b"Suite: stable\n")
        .unwrap();
    for (id, secret) in [("nobody", "x-secret"), (DevS3::DEFAULT_KEY_ID, "y-secret")] {
        let mut method = Start::default()
            .store(&store.endpoint(), id, secret)
            .configured();
        let failed = method.failure("s3://bucket/dists/stable/InRelease", "file");
        expect_reason(&failed, "HttpError403");
        assert_eq!(failed.get("Transient-Failure"), None);
        assert!(!field(&failed, "Message").contains(secret));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_bucket_needs_no_credentials() {
    let store = store().await;
    let policy = r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*"}]}"#;
    store.set_policy("bucket", Some(policy)).unwrap();
    store.put("bucket", "dists/stable/Release", b"abc").unwrap();
    let mut method = Start::default()
        .item("Acquire::s3::Endpoint", &store.endpoint())
        .configured();
    assert_eq!(
        method.content("s3://bucket/dists/stable/Release", "file").1,
        b"abc"
    );
    let failed = method.failure("s3://bucket/dists/stable/InRelease", "other");
    expect_reason(&failed, "HttpError404");
    assert!(
        store
            .request_log()
            .iter()
            .all(|logged| logged.request.access_key.is_none())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_elsewhere_is_found() {
    for otherwise in [WrongRegion::Redirect, WrongRegion::Malformed] {
        let store = DevS3::builder()
            .bucket("bucket")
            .region("eu-west-1", otherwise)
            .start()
            .await
            .unwrap();
        store.put("bucket", "file", b"abc").unwrap();
        let mut method = against(&store.endpoint())
            .item("Acquire::s3::Region", "us-east-1")
            .configured();
        for name in ["one", "two"] {
            assert_eq!(method.content("s3://bucket/file", name).1, b"abc");
        }
        assert_eq!(store.request_log().len(), 3, "the region is learnt once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_place_for_credentials_works() {
    let store = store().await;
    store.set_access_keys(vec![
        AccessKey::new("plain", "plain/secret+1", Grants::All),
        AccessKey::new("temporary", "temporary-secret", Grants::All).with_session_token("a-token"),
    ]);
    store.put("bucket", "file", b"abc").unwrap();
    store.put("bucket", "prefix/file", b"abc").unwrap();
    let endpoint = store.endpoint();
    let start = || Start::default().item("Acquire::s3::Endpoint", &endpoint);
    let write = |start: &Start, name: &str, text: &str| {
        let path = start.folder().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };

    let mut methods = Vec::new();
    let place = start();
    let path = write(
        &place,
        "s3auth.conf",
        "AccessKeyId = 'plain'\nSecretAccessKey = 'plain/secret+1'\nToken = ''\nRegion = 'eu-west-1'\n",
    );
    methods.push(place.item("Acquire::s3::AuthConf", &path));
    let place = Start::default();
    let text = format!(
        "AccessKeyId = nobody\nSecretAccessKey = x\n[bucket]\nEndpoint = {endpoint}\nAccessKeyId = temporary\nSecretAccessKey = temporary-secret\nToken = a-token\n"
    );
    let path = write(&place, "s3auth.conf", &text);
    methods.push(place.item("Acquire::s3::AuthConf", &path));
    let place = start();
    let path = write(
        &place,
        "auth.conf.d/repo.conf",
        "machine s3://bucket login plain password plain/secret+1\n",
    );
    methods.push(place.item("Dir::Etc::netrcparts", path.trim_end_matches("/repo.conf")));
    methods.push(
        start()
            .variable("AWS_ACCESS_KEY_ID", "temporary")
            .variable("AWS_SECRET_ACCESS_KEY", "temporary-secret")
            .variable("AWS_SESSION_TOKEN", "a-token"),
    );
    let place = start();
    write(
        &place,
        ".aws/credentials",
        "[default]\naws_access_key_id = nobody\naws_secret_access_key = x\n[mine]\naws_access_key_id = plain\naws_secret_access_key = plain/secret+1\n",
    );
    let home = place.folder().display().to_string();
    methods.push(
        place
            .variable("HOME", home)
            .item("Acquire::s3::bucket::Profile", "mine"),
    );
    for (number, start) in methods.into_iter().enumerate() {
        let mut method = start.configured();
        let (_, done) = method.fetch("s3://bucket/file", "file");
        assert_eq!(done.code, 201, "{number}: {}", show(&done));
    }

    let mut method = start().configured();
    for uri in [
        "s3://plain:plain%2Fsecret+1@s3.amazonaws.com/bucket/prefix/file".to_owned(),
        "s3://plain:plain%2Fsecret+1@bucket/prefix/file".to_owned(),
        format!(
            "s3://plain:plain%2fsecret%2b1@{}/bucket/prefix/file",
            store.address()
        ),
        "s3://plain:plain%2Fsecret+1@bucket.s3.eu-west-1.amazonaws.com/prefix/./file".to_owned(),
    ] {
        let (_, done) = method.fetch(&uri, "file");
        assert_eq!(done.code, 201, "{}", show(&done));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_serves_buckets_with_keys_of_their_own() {
    let key = |name: &str| AccessKey::new(name, format!("{name}-secret"), Grants::Nothing);
    let store = DevS3::builder()
        .bucket("one")
        .bucket("two")
        .access_key(key("of-one"))
        .access_key(key("of-two"))
        .start()
        .await
        .unwrap();
    let mut start = Start::default().item("Acquire::s3::Endpoint", &store.endpoint());
    for bucket in ["one", "two"] {
        let policy = format!(
            r#"{{"Statement":[{{"Effect":"Allow","Principal":{{"AWS":"of-{bucket}"}},"Action":"s3:GetObject","Resource":"arn:aws:s3:::{bucket}/*"}}]}}"#
        );
        store.set_policy(bucket, Some(&policy)).unwrap();
        store.put(bucket, "file", bucket.as_bytes()).unwrap();
        start = start
            .item(
                &format!("Acquire::s3::{bucket}::AccessKeyId"),
                &format!("of-{bucket}"),
            )
            .item(
                &format!("Acquire::s3::{bucket}::SecretAccessKey"),
                &format!("of-{bucket}-secret"),
            );
    }
    let mut method = start.configured();
    assert_eq!(method.content("s3://one/file", "1").1, b"one");
    assert_eq!(method.content("s3://two/file", "2").1, b"two");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_trusts_what_it_is_told_to() {
    let store = DevS3::builder()
        .bucket("bucket")
        .tls(true)
        .start()
        .await
        .unwrap();
    store.put("bucket", "file", b"abc").unwrap();
    let start = against(&store.endpoint());
    let bundle = start.folder().join("ca.pem");
    fs::write(&bundle, store.ca_pem().unwrap()).unwrap();
    let mut method = start.variable("AWS_CA_BUNDLE", bundle).configured();
    assert_eq!(method.content("s3://bucket/file", "file").1, b"abc");

    let mut method = against(&store.endpoint()).configured();
    let failed = method.failure("s3://bucket/file", "other");
    assert!(
        field(&failed, "Message").contains("AWS_CA_BUNDLE"),
        "{}",
        show(&failed)
    );
    assert_eq!(failed.get("Transient-Failure"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_a_day_off_does_not_matter() {
    let store = DevS3::builder()
        .bucket("bucket")
        .clock(Clock::with_offset(-86_400))
        .start()
        .await
        .unwrap();
    store.put("bucket", "file", b"abc").unwrap();
    let mut method = against(&store.endpoint()).configured();
    assert_eq!(method.content("s3://bucket/file", "file").1, b"abc");
}
