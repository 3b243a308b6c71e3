//! A client of the server under test.

#![allow(dead_code, reason = "not every test needs all of them")]

use std::path::Path;

use dev_s3::DevS3;
use s3_storage::{Config, Credentials, Keys, Proxy, S3, S3Config};

pub(crate) const BUCKET: &str = "bucket";

/// The credentials of a server that was given no keys.
pub(crate) fn admin() -> Credentials {
    key(DevS3::DEFAULT_KEY_ID, DevS3::DEFAULT_SECRET)
}

pub(crate) fn key(id: &str, secret: &str) -> Credentials {
    Credentials::Static(Keys::new(id, secret))
}

/// A configuration that nothing in the environment changes.
pub(crate) fn config(endpoint: &str, credentials: Credentials) -> S3Config {
    let access = Config {
        region: Some("eu-central-1".to_owned()),
        endpoint: Some(endpoint.to_owned()),
        credentials,
        proxy: Proxy::Direct,
        ..Config::default()
    };
    S3Config::new(BUCKET, access)
}

pub(crate) async fn client(endpoint: &str, credentials: Credentials) -> S3 {
    S3::connect(config(endpoint, credentials)).await.unwrap()
}

/// A client that trusts only the server's own authority.
pub(crate) async fn tls_client(server: &DevS3, folder: &Path) -> S3 {
    let ca = folder.join("ca.pem");
    std::fs::write(&ca, server.ca_pem().unwrap()).unwrap();
    let config = config(&server.endpoint(), admin());
    let config = config.with_access(|access| access.ca_bundle = Some(ca.into()));
    S3::connect(config).await.unwrap()
}
