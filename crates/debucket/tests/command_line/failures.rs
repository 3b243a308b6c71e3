//! An error with `--output json`: one document on standard output, and the text for people on standard error as ever.

use serde_json::Value;

use crate::{
    package,
    run::{Run, Store, debucket, run},
};

/// The document of a failed run, which has all that people are told.
#[track_caller]
fn failure(run: Run) -> Value {
    let document: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{run:#?}"));
    assert_eq!(document["exit_code"], run.code, "{run:#?}");
    let error = document["error"].as_str().unwrap();
    assert!(!error.is_empty() && !error.contains('\n'), "{run:#?}");
    document
}

#[test]
fn an_error_is_the_document() {
    let store = Store::start();
    let file = package::write(store.folder.path(), "hello", "1.0", "all", "first");
    store.publish(&file, &[]).expect(0);
    let other = package::write(store.folder.path(), "hello", "1.0", "all", "second");
    let json = ["--output", "json"];
    for (name, failed) in [
        (
            "missing-suite",
            store.read(&[&["list", "--suite", "none"], &json[..]].concat()),
        ),
        ("conflict", store.publish(&other, &json)),
        (
            "unreachable",
            store.publish(
                &other,
                &["--output=json", "--endpoint-url", "http://127.0.0.1:9"],
            ),
        ),
        (
            "no-key",
            run(store.debucket(&["publish"]).arg(&other).args(json)),
        ),
    ] {
        let told = failed.stderr.clone();
        let document = failure(failed);
        let mut people = format!("error: {}\n", document["error"].as_str().unwrap());
        for cause in document["causes"].as_array().unwrap() {
            people.push_str(&format!("  caused by: {}\n", cause.as_str().unwrap()));
        }
        people.push_str(&format!("  next: {}\n", document["next"].as_str().unwrap()));
        assert!(told.ends_with(&people), "{told}");
        let text = serde_json::to_string_pretty(&document).unwrap();
        let text = text.replace(&store.fingerprint(), "[fingerprint]");
        let folder = store.folder.path().display().to_string();
        let text = text
            .replace(&folder, "[folder]")
            .replace(&store.server.endpoint(), "[store]");
        insta::assert_snapshot!(format!("error-{name}"), text);
    }
}

#[test]
fn a_wrong_call_is_one_too() {
    for (name, arguments) in [
        ("usage-missing", &["publish", "--output", "json"][..]),
        ("usage-unknown", &["list", "--siute", "x", "--output=json"]),
        ("usage-value", &["--output", "json", "log", "-n", "many"]),
        ("usage-no-command", &["--output", "json"]),
        ("usage-no-action", &["key", "--output", "json"]),
        ("usage-no-repository", &["list", "--output", "json"]),
        (
            "usage-key",
            &[
                "--output=json",
                "list",
                "--keyring",
                "-----BEGIN PGP PRIVATE KEY BLOCK-----",
            ],
        ),
    ] {
        let wrong = run(debucket().args(arguments));
        assert!(!wrong.stderr.is_empty(), "{wrong:#?}");
        let document = failure(wrong);
        insta::assert_snapshot!(name, serde_json::to_string_pretty(&document).unwrap());
    }
    // What only looks like the option is none.
    for arguments in [
        &["publish"][..],
        &["exists", "--", "--output", "json"],
        &["list", "--suite", "--output=json/", "--output", "human"],
    ] {
        assert_eq!(run(debucket().args(arguments)).expect(2), "");
    }
}

/// The result says what is wrong, and is followed by no second document.
#[test]
fn a_result_stays_the_only_document() {
    let store = Store::start();
    let file = package::write(store.folder.path(), "hello", "1.0", "all", "first");
    store.publish(&file, &[]).expect(0);
    let key = "robots/pool/main/h/hello/hello_1.0_all.deb";
    store.server.delete(crate::run::BUCKET, key).unwrap();
    for (arguments, code) in [
        (&["verify"][..], 1),
        (&["doctor"], 1),
        (&["exists", "other"], 4),
    ] {
        let failed = store.read(&[arguments, &["--output", "json"]].concat());
        let document: Value = serde_json::from_str(&failed.stdout).unwrap();
        assert!(document["error"].is_null(), "{failed:#?}");
        assert!(failed.stderr.contains("error: "), "{failed:#?}");
        failed.expect(code);
    }
}
