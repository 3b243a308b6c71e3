//! A variable of the environment that is empty counts as not set, and a wrong one is told in the report.

use std::fs;

use dev_s3::DevS3;

use super::Report;
use crate::run::{Store, run};

/// Variables that the program, the SDK or the proxy read.
const VARIABLES: [&str; 34] = [
    "AWS_ACCOUNT_ID",
    "AWS_CA_BUNDLE",
    "AWS_CONFIG_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_DEFAULT_REGION",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_STS",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_MAX_ATTEMPTS",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_REQUEST_CHECKSUM_CALCULATION",
    "AWS_RESPONSE_CHECKSUM_VALIDATION",
    "AWS_RETRY_MODE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_SDK_UA_APP_ID",
    "AWS_SESSION_TOKEN",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "DEBUCKET_AUTHOR",
    "DEBUCKET_KEYRING",
    "DEBUCKET_SIGN_KEY_PASSPHRASE",
    "DEBUCKET_SUITE",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "RUST_LOG",
];

#[test]
fn an_empty_variable_counts_as_not_set() {
    let store = Store::published();
    let statuses = |command: &mut assert_cmd::Command| {
        let report = Report::of(command);
        let checks = report.checks.into_iter();
        let status = |check: serde_json::Value| check["status"].as_str().unwrap().to_owned();
        checks
            .map(|(name, check)| (name, status(check)))
            .collect::<Vec<_>>()
    };
    let doctor = || {
        let mut command = store.debucket(&["doctor"]);
        command.env("DEBUCKET_SIGN_KEY", store.path("key.asc"));
        command
    };
    let sound = statuses(&mut doctor());
    for name in VARIABLES {
        assert_eq!(statuses(doctor().env(name, "")), sound, "{name}");
    }
    let mut all = doctor();
    assert_eq!(statuses(all.envs(VARIABLES.map(|name| (name, "")))), sound);
    // With everything in the profile.
    let folder = store.path(".aws");
    fs::create_dir(&folder).unwrap();
    let (key, secret) = (DevS3::DEFAULT_KEY_ID, DevS3::DEFAULT_SECRET);
    let credentials =
        format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n");
    let endpoint = store.server.endpoint();
    let config = format!("[default]\nregion = eu-west-1\nendpoint_url = {endpoint}\n");
    fs::write(folder.join("credentials"), credentials).unwrap();
    fs::write(folder.join("config"), config).unwrap();
    let of_profile = [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_ENDPOINT_URL",
        "AWS_REGION",
    ];
    let doctor_of_profile = || {
        let mut command = doctor();
        for name in of_profile {
            command.env_remove(name);
        }
        command.env("HOME", store.folder.path());
        command
    };
    assert_eq!(statuses(&mut doctor_of_profile()), sound);
    for name in VARIABLES.iter().chain(&of_profile) {
        let found = statuses(doctor_of_profile().env(name, ""));
        assert_eq!(found, sound, "{name} and a profile");
    }
    // The general endpoint is empty, and that of the service is not.
    let mut endpoint = doctor();
    endpoint.env("AWS_ENDPOINT_URL", "");
    endpoint.env("AWS_ENDPOINT_URL_S3", store.server.endpoint());
    assert_eq!(statuses(&mut endpoint), sound);

    for (name, check, status, next) in [
        (
            "DEBUCKET_SIGN_KEY",
            "stable: keys",
            "fail",
            "--sign-key FILE",
        ),
        ("AWS_ACCESS_KEY_ID", "bucket", "fail", "AWS_ACCESS_KEY_ID"),
        (
            "AWS_SECRET_ACCESS_KEY",
            "bucket",
            "fail",
            "AWS_ACCESS_KEY_ID",
        ),
    ] {
        Report::of(doctor().env(name, "")).expect(check, status, "", next);
    }
    let nowhere = run(doctor().env("DEBUCKET_REPO", ""));
    assert_eq!(nowhere.code, 2, "{nowhere:#?}");
    assert!(nowhere.stderr.contains("set DEBUCKET_REPO"), "{nowhere:#?}");
}

#[test]
fn a_wrong_configuration_is_a_failed_check() {
    let store = Store::published();
    for (name, value) in [
        ("AWS_REGION", "eu west"),
        ("AWS_ENDPOINT_URL", "ftp://store"),
        ("AWS_CA_BUNDLE", "/nonexistent"),
        ("AWS_PROFILE", "missing"),
        ("AWS_CONFIG_FILE", "/"),
    ] {
        let mut command = store.debucket(&["doctor"]);
        command.env(name, value);
        if name.starts_with("AWS_PROFILE") || name == "AWS_CONFIG_FILE" {
            command.env_remove("AWS_ACCESS_KEY_ID");
        }
        let report = Report::of(&mut command);
        report.expect("bucket", "fail", "", "");
        report.expect("suites", "skipped", "", "");
        report.expect("keys", "warn", "no signing key", "debucket key generate");
    }
}
