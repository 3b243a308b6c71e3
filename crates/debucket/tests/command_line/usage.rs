//! Calls that go wrong before any store is asked, and the help.

use std::fs;

use crate::{
    package,
    run::{Run, debucket, run},
};

fn without_store(arguments: &[&str]) -> Run {
    // Whoever connects here is told off at once.
    run(debucket()
        .args(arguments)
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9"))
}

#[test]
fn a_wrong_call_ends_with_2() {
    for arguments in [
        &["publish"][..],
        &["publish", "x.deb", "--repo", "acme-apt"],
        &[
            "publish",
            "x.deb",
            "--repo",
            "s3://acme-apt",
            "--sign-key",
            "k",
            "--unsigned",
        ],
        &[
            "publish",
            "x.deb",
            "--repo",
            "s3://acme-apt",
            "--suite",
            "../up",
        ],
        &[
            "publish",
            "x.deb",
            "--repo",
            "s3://acme-apt",
            "--bucket",
            "acme-apt",
        ],
        &["list", "--suites", "--long", "--repo", "s3://acme-apt"],
        &[
            "show",
            "hello",
            "1",
            "--all-versions",
            "--repo",
            "s3://acme-apt",
        ],
        &["log", "-n", "many", "--repo", "s3://acme-apt"],
        &[
            "client-config",
            "--sources",
            "--key-only",
            "--repo",
            "s3://acme-apt",
        ],
        &["frobnicate"],
        &["list"],
        &["key", "export"],
    ] {
        let run = without_store(arguments);
        assert_eq!(run.code, 2, "{arguments:?}: {run:#?}");
        assert!(
            run.stdout.is_empty() && !run.stderr.is_empty(),
            "{arguments:?}"
        );
    }
}

#[test]
fn a_name_that_every_suite_has_for_itself_is_refused() {
    for (option, name) in [
        ("--component", "InRelease"),
        ("--component", "release.GPG"),
        ("--component", "Binary-amd64"),
        ("--component", "suite.json"),
        ("--suite", "stable/commits"),
        ("--suite", "Succession"),
        ("--suite", "x/binary-amd64"),
        ("--suite", "by-hash/x"),
    ] {
        let repo = ["publish", "x.deb", "--repo", "s3://acme-apt", "--unsigned"];
        let refused = without_store(&[&repo[..], &[option, name]].concat());
        assert_eq!(refused.code, 2, "{refused:#?}");
        let told = "name of a file or folder that every suite has";
        assert!(refused.stderr.contains(told), "{refused:#?}");
    }
}

#[test]
fn what_is_no_package_is_named_and_nothing_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let good = package::write(folder.path(), "hello", "1.0", "all", "good");
    let bad = folder.path().join("notes.deb");
    fs::write(&bad, "just some notes").unwrap();
    // The store cannot be reached: an error about it would show that it was asked.
    let files = [good.to_str().unwrap(), bad.to_str().unwrap()];
    let run = without_store(&[
        "publish",
        files[0],
        files[1],
        "--repo",
        "s3://acme-apt",
        "--unsigned",
    ]);
    assert_eq!(run.code, 1, "{run:#?}");
    let errors: Vec<_> = run
        .stderr
        .lines()
        .filter(|line| line.starts_with("error:"))
        .collect();
    assert_eq!(errors.len(), 1, "{}", run.stderr);
    assert!(
        errors[0].starts_with(&format!("error: {}: not a .deb", files[1])),
        "{}",
        run.stderr
    );
    assert!(!run.stderr.contains("127.0.0.1"), "{}", run.stderr);
}

#[test]
fn a_missing_file_ends_with_4() {
    let run = without_store(&[
        "publish",
        "/nonexistent/*.deb",
        "--repo",
        "s3://acme-apt",
        "--unsigned",
    ]);
    assert_eq!(run.code, 4);
    assert!(run.stderr.contains("/nonexistent/*.deb"), "{}", run.stderr);
}

#[test]
fn a_suite_is_not_left_unsigned_by_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let file = package::write(folder.path(), "hello", "1.0", "all", "good");
    let run = without_store(&["publish", file.to_str().unwrap(), "--repo", "s3://acme-apt"]);
    assert_eq!(run.code, 1);
    assert!(
        run.stderr.contains("no signing key was given") && run.stderr.contains("--unsigned"),
        "{}",
        run.stderr
    );
}

#[test]
fn the_help_shows_no_secret() {
    for arguments in [
        &["publish", "--help"][..],
        &["list", "--help"],
        &["key", "generate", "--help"],
        &["publish", "--sign-key"],
    ] {
        let mut command = debucket();
        command
            .args(arguments)
            .env("DEBUCKET_SIGN_KEY", "hunter2")
            .env("DEBUCKET_SIGN_KEY_PASSPHRASE", "hunter2");
        let run = run(&mut command);
        assert!(
            !run.stdout.contains("hunter2") && !run.stderr.contains("hunter2"),
            "{run:#?}"
        );
    }
}

#[test]
fn help_reads_as_before() {
    for (name, arguments) in [
        ("help", &["--help"][..]),
        ("help-publish", &["publish", "--help"]),
        ("help-list", &["list", "--help"]),
        ("help-show", &["show", "--help"]),
        ("help-log", &["log", "--help"]),
        ("help-search", &["search", "--help"]),
        ("help-diff", &["diff", "--help"]),
        ("help-remove", &["remove", "--help"]),
        ("help-promote", &["promote", "--help"]),
        ("help-prune", &["prune", "--help"]),
        ("help-phase", &["phase", "--help"]),
        ("help-rollback", &["rollback", "--help"]),
        ("help-refresh", &["refresh", "--help"]),
        ("help-adopt", &["adopt", "--help"]),
        ("help-suite", &["suite", "--help"]),
        ("help-suite-delete", &["suite", "delete", "--help"]),
        ("help-suite-set", &["suite", "set", "--help"]),
        ("help-verify", &["verify", "--help"]),
        ("help-doctor", &["doctor", "--help"]),
        ("help-gc", &["gc", "--help"]),
        ("help-client-config", &["client-config", "--help"]),
        ("help-key-generate", &["key", "generate", "--help"]),
        ("help-key-export", &["key", "export", "--help"]),
        ("help-key-list", &["key", "list", "--help"]),
        ("help-key-add", &["key", "add", "--help"]),
        ("help-key-retire", &["key", "retire", "--help"]),
        ("help-key-package", &["key", "package", "--help"]),
        ("help-key-reset", &["key", "reset", "--help"]),
    ] {
        insta::assert_snapshot!(name, run(debucket().args(arguments)).expect(0));
    }
}
