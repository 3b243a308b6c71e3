//! Packages are promoted from another bucket, or another folder of the same one.

use dev_s3::{AccessKey, DevS3, Grants, Operation, Policy};
use serde_json::Value;

use crate::{
    package,
    run::{BUCKET, REPO, Run, Store, run},
};

pub(crate) const OTHER: &str = "s3://acme-staging/robots";
const OTHER_BUCKET: &str = "acme-staging";
pub(crate) const TOOL: &str = "pool/main/t/tool/tool_1.0_all.deb";

impl Store {
    pub(crate) fn with_other_bucket() -> Self {
        let store = Self::start();
        store.server.create_bucket(OTHER_BUCKET).unwrap();
        store
    }

    /// Publishes `name version` into a suite of any repository, signed with the store's key or not at all.
    pub(crate) fn add_to(
        &self,
        repo: &str,
        suite: &str,
        name: &str,
        version: &str,
        signing: &[&str],
    ) {
        let summary = format!("{name} {version}");
        let file = package::write(self.folder.path(), name, version, "all", &summary);
        let mut publish = self.debucket(&["publish", "--repo", repo, "--suite", suite]);
        run(publish.arg(file).args(signing)).expect(0);
    }

    pub(crate) fn signing(&self) -> [String; 2] {
        ["--sign-key".to_owned(), self.text("key.asc")]
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn add_other(&self, name: &str, version: &str) {
        let signing = self.signing();
        self.add_to(
            OTHER,
            "testing",
            name,
            version,
            &signing.each_ref().map(String::as_str),
        );
    }

    /// Promotes from the suite `testing` of a repository into `stable`, signed with the store's key.
    pub(crate) fn promote_from(&self, repo: &str, more: &[&str]) -> Run {
        let promote = [
            "promote",
            "--from-repo",
            repo,
            "--from",
            "testing",
            "--to",
            "stable",
        ];
        run(self.debucket(&promote).args(self.signing()).args(more))
    }

    fn stable(&self) -> Vec<String> {
        let list = self.read(&["list", "--output", "json"]).json();
        let packages = list["packages"].as_array().unwrap().iter();
        let name = |package: &Value| {
            ["package", "version"].map(|field| package[field].as_str().unwrap().to_owned())
        };
        packages.map(|package| name(package).join(" ")).collect()
    }

    /// Everything that the suite names is there, byte for byte.
    fn check(&self) {
        self.read(&["verify", "--deep"]).expect(0);
    }

    /// How often the store was asked for this.
    fn asked(&self, operation: Operation, of_pool: bool) -> usize {
        let log = self.server.request_log().into_iter();
        let asked = log.filter(|logged| {
            let request = &logged.request;
            request.operation == operation && (!of_pool || request.key.contains("/pool/"))
        });
        asked.count()
    }
}

/// What the pool has already needs no copy, so it does not matter that the source has lost it, in a dry run as in a run.
#[test]
fn a_package_that_is_there_already_is_not_needed_from_the_source() {
    for damage in [None, Some(&b"other"[..])] {
        let store = Store::with_other_bucket();
        let signing = store.signing();
        let signing = signing.each_ref().map(String::as_str);
        store.add_to(REPO, "lab", "tool", "1.0", &signing);
        store.add_other("tool", "1.0");
        let key = format!("robots/{TOOL}");
        store.server.delete(OTHER_BUCKET, &key).unwrap();
        if let Some(bytes) = damage {
            store.server.put(OTHER_BUCKET, &key, bytes).unwrap();
        }
        for more in [&["--all", "--dry-run"][..], &["--all"]] {
            store.promote_from(OTHER, more).expect(0);
        }
        assert_eq!(store.stable(), ["tool 1.0"]);
        store.check();
    }
}

#[test]
fn packages_of_another_bucket_are_copied_by_the_store() {
    let store = Store::with_other_bucket();
    for version in ["1.0", "2.0"] {
        store.add_other("tool", version);
    }
    store.server.clear_request_log();
    let planned = store
        .promote_from(OTHER, &["tool=1.0", "--dry-run"])
        .expect(0);
    assert!(
        planned.contains("  add  tool  1.0  all  main  ")
            && planned.contains("dry run: nothing was written (1 to copy, "),
        "{planned}"
    );
    assert!(store.server.keys(BUCKET).is_empty());
    let promoted = store
        .promote_from(OTHER, &["tool=1.0", "--output", "json"])
        .json();
    assert_eq!(promoted["repo"], REPO);
    assert_eq!(promoted["changes"][0]["filename"], TOOL);
    assert!(
        promoted["changes"][0]["size"].as_u64() > Some(100),
        "{promoted}"
    );
    assert_eq!(store.asked(Operation::UploadPartCopy, true), 1);
    assert_eq!(store.asked(Operation::GetObject, true), 0);
    assert_eq!(store.asked(Operation::PutObject, true), 0);
    assert_eq!(store.stable(), ["tool 1.0"]);
    store.check();
    let again = store.promote_from(OTHER, &["tool=1.0"]).expect(0);
    assert!(again.starts_with("nothing to do"), "{again}");

    store.add_other("other", "1");
    let all = store
        .promote_from(OTHER, &["--all", "--component", "main"])
        .expect(0);
    assert!(
        all.starts_with("added  other  1    all  main\nadded  tool   2.0  all  main\nsuite"),
        "{all}"
    );
    let remove = ["remove", "tool=1.0", "--suite", "testing", "--repo", OTHER];
    run(store.debucket(&remove).args(store.signing())).expect(0);
    store.promote_from(OTHER, &["--all", "--mirror"]).expect(0);
    assert_eq!(store.stable(), ["other 1", "tool 2.0"]);
    store.check();
    // A file that is lost is copied again.
    let lost = "robots/pool/main/t/tool/tool_2.0_all.deb";
    store.server.delete(BUCKET, lost).unwrap();
    store.promote_from(OTHER, &["--all"]).expect(0);
    store.check();

    for (arguments, code) in [
        (&["tool=3"][..], 4),
        (&["--all", "--component", "none"], 4),
        (&["--all", "--from-keyring", "none", "--from-unsigned"], 2),
    ] {
        store.promote_from(OTHER, arguments).expect(code);
    }
    let missing = store.promote_from("s3://acme-staging/none", &["--all"]);
    assert_eq!(missing.code, 4, "{missing:#?}");
    assert!(
        missing.stderr.contains("check --from and --from-repo"),
        "{missing:#?}"
    );
    let missing = store.promote_from("s3://acme-none", &["--all"]);
    assert_eq!(missing.code, 1, "{missing:#?}");
    assert!(
        missing.stderr.contains("next: check --from-repo"),
        "{missing:#?}"
    );
}

#[test]
fn the_same_repository_or_a_folder_beside_it_may_be_named() {
    let store = Store::start();
    let signing = store.signing();
    let signing = signing.each_ref().map(String::as_str);
    store.add_to(REPO, "testing", "tool", "1.0", &signing);
    store.add_to("s3://acme-apt/beside", "testing", "other", "1", &signing);
    store.server.clear_request_log();
    store.promote_from(REPO, &["tool"]).expect(0);
    assert_eq!(store.asked(Operation::UploadPartCopy, false), 0);
    store
        .promote_from("s3://acme-apt/beside", &["other"])
        .expect(0);
    assert_eq!(store.asked(Operation::UploadPartCopy, true), 1);
    assert_eq!(store.stable(), ["other 1", "tool 1.0"]);
    store.check();
}

#[test]
fn what_the_store_may_not_copy_is_read_with_the_sources_credentials_and_sent() {
    let store = Store::with_other_bucket();
    store.add_other("tool", "1.0");
    let grants = |bucket: &str, action: &str| {
        let policy = format!(
            r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Action": ["{action}", "s3:ListBucket"],
                "Resource": ["arn:aws:s3:::{bucket}", "arn:aws:s3:::{bucket}/*"]}}]}}"#
        );
        Grants::Policy(Policy::parse(&policy).unwrap())
    };
    store.server.set_access_keys(vec![
        AccessKey::new(
            DevS3::DEFAULT_KEY_ID,
            DevS3::DEFAULT_SECRET,
            grants(BUCKET, "s3:*"),
        ),
        AccessKey::new("staging", "secret", grants(OTHER_BUCKET, "s3:GetObject")),
    ]);
    let denied = store.promote_from(OTHER, &["tool"]);
    assert_eq!(denied.code, 1, "{denied:#?}");
    assert!(
        denied
            .stderr
            .contains("packages cannot be taken from s3://acme-staging/robots")
            && denied
                .stderr
                .contains("--policy reader --repo s3://acme-staging/robots"),
        "{denied:#?}"
    );
    let credentials = "[staging]\naws_access_key_id = staging\naws_secret_access_key = secret\n";
    std::fs::write(store.path("credentials"), credentials).unwrap();
    store.server.clear_request_log();
    let promote = ["promote", "tool", "--from", "testing", "--to", "stable"];
    let promoted = run(store
        .debucket(&promote)
        .args(["--from-repo", OTHER, "--from-profile", "staging"])
        .args(store.signing())
        .env("AWS_SHARED_CREDENTIALS_FILE", store.path("credentials")));
    promoted.expect(0);
    assert_eq!(store.asked(Operation::GetObject, true), 1);
    assert_eq!(store.asked(Operation::PutObject, true), 1);
    store.check();
}

#[test]
fn a_damaged_source_is_refused_with_the_file_named() {
    let store = Store::with_other_bucket();
    store.add_other("tool", "1.0");
    let key = format!("robots/{TOOL}");
    let bytes = store.server.get(OTHER_BUCKET, &key).unwrap().unwrap();
    let mut wrong = bytes.clone();
    wrong[100] ^= 1;
    for bytes in [Some(&wrong[..]), Some(&wrong[1..]), None] {
        match bytes {
            Some(bytes) => drop(store.server.put(OTHER_BUCKET, &key, bytes).unwrap()),
            None => store.server.delete(OTHER_BUCKET, &key).unwrap(),
        }
        let refused = store.promote_from(OTHER, &["tool"]);
        assert_eq!(refused.code, 1, "{refused:#?}");
        assert!(
            refused.stderr.contains(TOOL)
                && refused
                    .stderr
                    .contains("debucket verify testing --repo s3://acme-staging/robots"),
            "{refused:#?}"
        );
        let keys = store.server.keys(BUCKET);
        assert!(
            !keys
                .iter()
                .any(|key| key.contains("/pool/") || key.ends_with("Release")),
            "{keys:?}"
        );
        assert!(store.server.uploads(BUCKET).is_empty());
    }
    store.server.put(OTHER_BUCKET, &key, &bytes).unwrap();
    let promoted = store.promote_from(OTHER, &["tool"]);
    assert!(promoted.stderr.contains("copied tool_"), "{promoted:#?}");
    promoted.expect(0);
    store.check();
}

#[test]
fn a_source_has_its_own_way_of_being_verified() {
    let store = Store::with_other_bucket();
    store.add_to(OTHER, "testing", "tool", "1.0", &["--unsigned"]);
    let refused = store.promote_from(OTHER, &["tool"]);
    assert_eq!(refused.code, 1, "{refused:#?}");
    assert!(
        refused.stderr.contains("pass --from-unsigned"),
        "{refused:#?}"
    );
    store
        .promote_from(OTHER, &["tool", "--from-unsigned"])
        .expect(0);

    // The same within one repository.
    store.add_to(REPO, "open", "other", "1", &["--unsigned"]);
    let promote = ["promote", "other", "--from", "open", "--to", "stable"];
    let refused = run(store.debucket(&promote).args(store.signing()));
    assert_eq!(refused.code, 1, "{refused:#?}");
    assert!(
        refused.stderr.contains("pass --from-unsigned"),
        "{refused:#?}"
    );
    run(store
        .debucket(&promote)
        .args(store.signing())
        .arg("--from-unsigned"))
    .expect(0);
    assert_eq!(store.stable(), ["other 1", "tool 1.0"]);

    // And the other way.
    let promote = [
        "promote",
        "tool",
        "--from",
        "stable",
        "--to",
        "open",
        "--unsigned",
    ];
    let refused = run(&mut store.debucket(&promote));
    assert_eq!(refused.code, 1, "{refused:#?}");
    assert!(refused.stderr.contains("--from-keyring"), "{refused:#?}");
    let refused = run(store.debucket(&promote).arg("--from-unsigned"));
    assert!(refused.stderr.contains("--from-keyring"), "{refused:#?}");
    let keyring = store.text("public.asc");
    run(store.debucket(&promote).args(["--from-keyring", &keyring])).expect(0);
    let again = run(store.debucket(&promote).args(["--keyring", &keyring]));
    assert!(again.expect(0).starts_with("nothing to do"));

    // A key that is not the destination's.
    run(store
        .debucket(&["key", "generate", "--out", &store.text("next.asc")])
        .args(["--public-out", &store.text("next-public.asc")]))
    .expect(0);
    store.add_to(
        OTHER,
        "next",
        "tool",
        "2.0",
        &["--sign-key", &store.text("next.asc")],
    );
    let promote = [
        "promote",
        "--all",
        "--from-repo",
        OTHER,
        "--from",
        "next",
        "--to",
        "stable",
    ];
    let refused = run(store.debucket(&promote).args(store.signing()));
    assert_eq!(refused.code, 1, "{refused:#?}");
    assert!(refused.stderr.contains("--from-keyring"), "{refused:#?}");
    let next = store.text("next-public.asc");
    run(store
        .debucket(&promote)
        .args(store.signing())
        .args(["--from-keyring", &next]))
    .expect(0);
    store.check();
}

#[test]
fn the_printed_policies_are_enough() {
    let store = Store::with_other_bucket();
    store.add_other("tool", "1.0");
    let policy = |repo: &str, role: &str| {
        let print = ["client-config", "--repo", repo, "--policy", role];
        run(&mut store.debucket(&print)).expect(0)
    };
    let publisher = Policy::parse(&policy(REPO, "publisher")).unwrap();
    let key = AccessKey::new(
        DevS3::DEFAULT_KEY_ID,
        DevS3::DEFAULT_SECRET,
        Grants::Policy(publisher),
    );
    store.server.set_access_keys(vec![key]);
    // The other bucket lets this publisher read.
    let mut reader: Value = serde_json::from_str(&policy(OTHER, "reader")).unwrap();
    reader["Statement"][0]["Principal"] = serde_json::json!({"AWS": DevS3::DEFAULT_KEY_ID});
    let reader = reader.to_string();
    store
        .server
        .set_policy(OTHER_BUCKET, Some(&reader))
        .unwrap();
    store.server.clear_request_log();
    let promoted = store.promote_from(OTHER, &["tool"]);
    assert!(!promoted.stderr.contains("warning"), "{promoted:#?}");
    promoted.expect(0);
    assert_eq!(store.asked(Operation::UploadPartCopy, true), 1);
    assert_eq!(store.asked(Operation::GetObject, true), 0);
    store.check();
}
