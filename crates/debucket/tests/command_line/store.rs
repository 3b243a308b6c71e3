//! A repository from its first publication on, in an embedded store.

use std::fs;

use repo_signing::{Certificate, Keyring};

use crate::{
    package,
    run::{BUCKET, Store, run},
};

#[test]
fn a_package_is_published_listed_shown_and_logged() {
    let store = Store::start();
    let file = package::write(store.folder.path(), "hello", "1.0", "all", "first");
    let published = store.publish(&file, &["--message", "First light"]);
    assert_eq!(published.stderr, "sent hello_1.0_all (4.3 kB)\n");
    let published = published.expect(0);
    assert!(
        published.starts_with(
            "added  hello  1.0  all  main\ncreated suite stable in s3://acme-apt/robots: commit "
        ),
        "{published}"
    );

    assert_eq!(store.read(&["list"]).expect(0), "hello  1.0  all  main\n");
    assert_eq!(store.read(&["list", "--suites"]).expect(0), "stable\n");
    assert_eq!(
        store.read(&["list", "h*", "--arch", "arm64"]).expect(0),
        "hello  1.0  all  main\n"
    );
    assert_eq!(store.read(&["list", "other*"]).expect(0), "");
    let long = store.read(&["list", "--long"]).expect(0);
    assert!(
        long.ends_with("pool/main/h/hello/hello_1.0_all.deb\n"),
        "{long}"
    );

    let shown = store.read(&["show", "hello"]).expect(0);
    assert!(
        shown.starts_with("Package: hello\nVersion: 1.0\nArchitecture: all\n"),
        "{shown}"
    );
    assert!(shown.contains("\nDescription: first\n Said at length.\nFilename: pool/main/h/hello/hello_1.0_all.deb\nSize: "), "{shown}");

    let log = store.read(&["log"]).expect(0);
    assert!(
        log.contains("\nAuthor: ada@build\n") && log.contains("\n    First light\n"),
        "{log}"
    );
    assert!(log.ends_with("    +  hello  1.0  all  main\n"), "{log}");

    let key = format!("robots/{}", "pool/main/h/hello/hello_1.0_all.deb");
    assert_eq!(
        store.server.get(BUCKET, &key).unwrap().unwrap(),
        fs::read(&file).unwrap()
    );
    let head = store
        .server
        .get(BUCKET, "robots/dists/stable/InRelease")
        .unwrap()
        .unwrap();
    let public = Certificate::from_bytes(&fs::read(store.path("public.asc")).unwrap()).unwrap();
    Keyring::from(public).verify_inrelease(&head).unwrap();
}

#[test]
fn publishing_again_does_nothing_and_says_so() {
    let store = Store::start();
    let file = package::write(store.folder.path(), "hello", "1.0", "all", "first");
    store.publish(&file, &[]).expect(0);
    let before = store.server.keys(BUCKET);
    let again = store.publish(&file, &[]).expect(0);
    assert!(
        again.contains("already there  hello  1.0  all  main\n") && again.contains("nothing to do"),
        "{again}"
    );
    assert_eq!(store.server.keys(BUCKET), before);
    assert_eq!(
        store.read(&["log", "--oneline"]).expect(0).lines().count(),
        1
    );
    assert_eq!(store.publish(&file, &["--quiet"]).expect(0), "");
}

#[test]
fn another_build_of_a_version_is_a_conflict_unless_it_shall_replace() {
    let store = Store::start();
    let file = package::write(store.folder.path(), "hello", "1.0", "all", "first");
    store.publish(&file, &[]).expect(0);
    let rebuilt = package::write(store.folder.path(), "hello", "1.0", "all", "second");
    let refused = store.publish(&rebuilt, &[]);
    assert_eq!(refused.code, 3, "{refused:#?}");
    assert!(
        refused.stderr.contains("hello_1.0_all") && refused.stderr.contains("--replace"),
        "{}",
        refused.stderr
    );
    let replaced = store.publish(&rebuilt, &["--replace"]);
    // Although the first key was tried in vain.
    assert_eq!(replaced.stderr.matches("sent ").count(), 1, "{replaced:#?}");
    let replaced = replaced.expect(0);
    assert!(
        replaced.contains("replaced  hello  1.0  all  main\n"),
        "{replaced}"
    );
    assert!(
        store
            .read(&["show", "hello"])
            .expect(0)
            .contains("Description: second\n")
    );
    let log = store.read(&["log", "--oneline"]).expect(0);
    let subjects: Vec<_> = log
        .lines()
        .map(|line| line.splitn(3, ' ').last().unwrap())
        .collect();
    assert_eq!(subjects, ["replace hello_1.0_all", "add hello_1.0_all"]);
}

#[test]
fn files_that_clash_are_refused_before_anything_is_sent() {
    let store = Store::start();
    let (one, two) = (store.path("one"), store.path("two"));
    for folder in [&one, &two] {
        fs::create_dir(folder).unwrap();
        package::write(
            folder,
            "hello",
            "1.0",
            "all",
            folder.file_name().unwrap().to_str().unwrap(),
        );
    }
    let refused = store.publish(&one, &[two.to_str().unwrap()]);
    assert_eq!(refused.code, 3, "{refused:#?}");
    assert!(store.server.keys(BUCKET).is_empty());
}

#[test]
fn what_is_not_there_ends_with_4() {
    let store = Store::start();
    for command in [&["list"][..], &["show", "hello"], &["log"]] {
        let missing = store.read(command);
        assert_eq!(missing.code, 4, "{missing:#?}");
        assert!(
            missing
                .stderr
                .contains("there is no suite stable in s3://acme-apt/robots"),
            "{}",
            missing.stderr
        );
    }
    let file = package::write(store.folder.path(), "hello", "1.0", "amd64", "first");
    store.publish(&file, &[]).expect(0);
    for (command, words) in [
        (
            &["show", "nobody"][..],
            "suite stable has no package nobody",
        ),
        (
            &["show", "hello", "2.0"],
            "suite stable has no package hello=2.0; it has 1.0",
        ),
        (
            &["show", "hello", "--arch", "arm64"],
            "suite stable has no package hello",
        ),
        (
            &["list", "--component", "contrib"],
            "suite stable has no component contrib; it has main",
        ),
        (
            &["list", "--arch", "riscv64"],
            "suite stable has no architecture riscv64; it has amd64, arm64",
        ),
        (&["log", "--suite", "testing"], "there is no suite testing"),
    ] {
        let missing = store.read(command);
        assert_eq!(missing.code, 4, "{missing:#?}");
        assert!(missing.stderr.contains(words), "{}", missing.stderr);
    }
}

#[test]
fn a_script_can_ask_whether_a_package_exists() {
    let store = Store::start();
    let file = package::write(store.folder.path(), "hello", "1.0-1", "amd64", "first");
    store.publish(&file, &[]).expect(0);
    for (arguments, code) in [
        (&["hello"][..], 0),
        (&["hello=1.0-1"], 0),
        (&["hello=0:1.0-1"], 0),
        (&["hello=1.0"], 4),
        (&["hello=1.0-1", "fan"], 4),
        (&["hello", "--arch", "arm64"], 4),
        (&["hello", "--suite", "testing"], 4),
        (&["hello=not a version"], 2),
        (&["Hello"], 2),
        (&[], 2),
    ] {
        let run = store.read(&[&["exists"], arguments].concat());
        assert_eq!((run.code, run.stdout.as_str()), (code, ""), "{arguments:?}");
    }
    let missing = store.read(&["exists", "hello", "fan=2", "--output", "json"]);
    assert!(
        missing
            .stderr
            .contains("suite stable has no package fan=2\n")
    );
    let document: serde_json::Value = serde_json::from_str(&missing.stdout).unwrap();
    assert_eq!(document["found"], serde_json::json!(["hello"]));
    assert_eq!(document["missing"], serde_json::json!(["fan=2"]));
}

#[test]
fn the_newest_version_is_shown_unless_another_is_asked_for() {
    let store = Store::start();
    for version in ["1.9", "1.10", "1.10~rc1"] {
        store
            .publish(
                &package::write(store.folder.path(), "hello", version, "all", version),
                &[],
            )
            .expect(0);
    }
    let versions = |arguments: &[&str]| {
        let shown = store.read(arguments).expect(0);
        shown
            .lines()
            .filter_map(|line| line.strip_prefix("Version: ").map(ToOwned::to_owned))
            .collect::<Vec<_>>()
    };
    assert_eq!(versions(&["show", "hello"]), ["1.10"]);
    assert_eq!(versions(&["show", "hello", "1.9"]), ["1.9"]);
    assert_eq!(
        versions(&["show", "hello", "--all-versions"]),
        ["1.9", "1.10~rc1", "1.10"]
    );
}

#[test]
fn a_dry_run_shows_and_writes_nothing() {
    let store = Store::start();
    let file = package::write(store.folder.path(), "hello", "1.0", "all", "first");
    let planned = store.publish(&file, &["--dry-run"]).expect(0);
    assert!(
        planned.starts_with("would create suite stable in s3://acme-apt/robots\n"),
        "{planned}"
    );
    assert!(
        planned.contains("pool/main/h/hello/hello_1.0_all.deb")
            && planned.contains("nothing was written"),
        "{planned}"
    );
    assert!(planned.contains(&store.fingerprint()), "{planned}");
    assert!(store.server.keys(BUCKET).is_empty());
}

#[test]
fn a_suite_that_the_key_does_not_vouch_for_is_not_shown() {
    let store = Store::start();
    let file = package::write(store.folder.path(), "hello", "1.0", "all", "first");
    store.publish(&file, &[]).expect(0);
    let other = store.path("other.asc");
    run(crate::run::debucket()
        .args(["key", "generate", "--out"])
        .arg(store.path("other-key.asc"))
        .arg("--public-out")
        .arg(&other))
    .expect(0);
    let refused = run(store.debucket(&["list", "--keyring"]).arg(&other));
    assert_eq!(refused.code, 1, "{refused:#?}");
    let unchecked = run(&mut store.debucket(&["list"]));
    assert!(
        unchecked.stderr.contains("signatures are not checked"),
        "{}",
        unchecked.stderr
    );
    assert_eq!(unchecked.expect(0), "hello  1.0  all  main\n");
    assert_eq!(run(&mut store.debucket(&["list", "--quiet"])).stderr, "");
}

#[test]
fn a_device_is_told_what_it_needs() {
    let store = Store::start();
    let config = |more: &[&str]| {
        run(store
            .debucket(&["client-config", "--key"])
            .arg(store.path("public.asc"))
            .args(more))
    };
    let early = config(&["--sources"]);
    assert!(
        early
            .stderr
            .contains("there is no suite stable in s3://acme-apt/robots yet"),
        "{}",
        early.stderr
    );
    let file = package::write(store.folder.path(), "hello", "1.0", "all", "first");
    store.publish(&file, &["--component", "extra"]).expect(0);
    let sources = config(&["--sources"]).expect(0);
    assert!(sources.starts_with("Types: deb\nURIs: s3://acme-apt/robots/\nSuites: stable\nComponents: extra\nSigned-By:\n"), "{sources}");
    let endpoint = store.server.endpoint();
    assert!(config(&["--apt-conf"]).expect(0).starts_with(&format!(
        "Acquire::s3::acme-apt::Endpoint \"{endpoint}\";\n"
    )));
    let all = config(&[]).expect(0);
    assert!(
        all.contains("# /etc/apt/sources.list.d/acme-apt-robots.sources\n")
            && all.contains("\"s3:PutObject\""),
        "{all}"
    );
    // The public half of a secret key, never the key itself.
    let secret = run(store
        .debucket(&["client-config", "--key-only", "--key"])
        .arg(store.path("key.asc")))
    .expect(0);
    assert_eq!(
        secret,
        fs::read_to_string(store.path("public.asc")).unwrap()
    );
}

#[test]
fn a_suite_stays_signed_or_unsigned_as_it_is() {
    let store = Store::start();
    let file = package::write(store.folder.path(), "hello", "1.0", "all", "first");
    let next = package::write(store.folder.path(), "hello", "1.1", "all", "next");
    let unsigned = |file: &std::path::Path, suite: &str| {
        run(store
            .debucket(&["publish", "--unsigned", "--suite", suite])
            .arg(file))
    };
    unsigned(&file, "lab").expect(0);
    let signed = store.publish(&next, &["--suite", "lab"]);
    assert_eq!(signed.code, 1, "{signed:#?}");
    assert!(
        signed.stderr.contains("suite lab is unsigned"),
        "{}",
        signed.stderr
    );

    store.publish(&file, &[]).expect(0);
    let refused = unsigned(&next, "stable");
    assert_eq!(refused.code, 1, "{refused:#?}");
    for (suite, key) in [("lab", "Release"), ("stable", "InRelease")] {
        let key = format!("robots/dists/{suite}/{key}");
        assert!(store.server.get(BUCKET, &key).unwrap().is_some());
        let list = run(&mut store.debucket(&["list", "--suite", suite]));
        assert_eq!(list.expect(0), "hello  1.0  all  main\n");
    }
    // A key that is given for checking does not vouch for what it did not sign.
    for command in [
        &["list"][..],
        &["show", "hello"],
        &["log"],
        &["exists", "hello"],
    ] {
        let refused = store.read(&[command, &["--suite", "lab"]].concat());
        assert_eq!(refused.code, 1, "{refused:#?}");
        let told = "suite lab is not signed, so no key vouches for it";
        assert!(refused.stderr.contains(told), "{refused:#?}");
    }
    let mut config = store.debucket(&["client-config", "--sources", "--suite", "lab"]);
    let config = config.arg("--key").arg(store.path("public.asc"));
    assert_eq!(run(config).code, 1);
}
