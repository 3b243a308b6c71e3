//! The JSON documents, which programs rely on: what differs from run to run is taken out,
//! everything else stays as it is.

use serde_json::Value;

use crate::{
    package,
    run::{Run, Store, run},
};

/// The document without digests, times and the key of this run.
fn document(store: &Store, run: Run) -> String {
    let mut document = run.json();
    redact(&mut document, &store.fingerprint());
    let mut text = serde_json::to_string_pretty(&document).unwrap();
    text.push('\n');
    text
}

fn redact(value: &mut Value, fingerprint: &str) {
    match value {
        Value::Object(fields) => {
            // Of all that is stored: signatures differ in length.
            if fields.contains_key("objects") && fields["bytes"] != 0 {
                fields["bytes"] = "[bytes]".into();
            }
            let values = fields.values_mut();
            values.for_each(|value| redact(value, fingerprint));
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|value| redact(value, fingerprint)),
        // A sentence, as in `doctor`.
        Value::String(text) if text.contains(' ') && !text.starts_with("-----") => {
            let words = text.split(' ').map(|word| {
                let bare = word.trim_matches(|c| "(),:".contains(c));
                let is_hex = bare.len() >= 12 && bare.chars().all(|c| c.is_ascii_hexdigit());
                let is_time = bare.parse::<jiff::Timestamp>().is_ok();
                if is_hex || is_time || bare.starts_with("http://127.0.0.1") {
                    word.replace(bare, "[…]")
                } else {
                    word.to_owned()
                }
            });
            *text = words.collect::<Vec<_>>().join(" ");
        }
        Value::String(text) => {
            let is_digest = text.len() >= 32
                && text
                    .chars()
                    .all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c));
            let time = text.parse::<jiff::Timestamp>();
            if text == fingerprint {
                *text = "[fingerprint]".to_owned();
            } else if text.starts_with("-----BEGIN PGP PUBLIC KEY BLOCK-----\n") {
                *text = "[certificate]".to_owned();
            } else if is_digest {
                *text = format!("[{} digits]", text.len());
            } else if let Ok(time) = time {
                assert_eq!(*text, time.to_string(), "RFC 3339 in UTC");
                *text = "[time]".to_owned();
            }
        }
        _ => {}
    }
}

#[test]
fn documents_keep_their_shape() {
    let store = Store::start();
    let hello = package::write(store.folder.path(), "hello", "1.0", "all", "first");
    let fan = package::write(store.folder.path(), "fan", "1:2.0-1", "arm64", "spins");
    let json = ["--output", "json"];
    let publish = |more: &[&str]| {
        let arguments: Vec<_> = [fan.to_str().unwrap()]
            .iter()
            .chain(&json)
            .chain(more)
            .copied()
            .collect();
        store.publish(&hello, &arguments)
    };
    insta::assert_snapshot!("publish-dry-run", document(&store, publish(&["--dry-run"])));
    insta::assert_snapshot!(
        "publish",
        document(
            &store,
            publish(&["--message", "First light", "--origin", "Acme"])
        )
    );
    insta::assert_snapshot!("publish-unchanged", document(&store, publish(&[])));
    for (name, arguments) in [
        ("list", &["list"][..]),
        ("list-all", &["list", "--arch", "all"]),
        ("show", &["show", "hello"]),
        ("log", &["log"]),
        ("verify", &["verify"]),
        ("gc", &["gc"]),
    ] {
        let arguments: Vec<_> = arguments.iter().chain(&json).copied().collect();
        insta::assert_snapshot!(name, document(&store, store.read(&arguments)));
    }
    let phase = store.phase(&["hello=1.0", "10", "--dry-run", "--output", "json"]);
    insta::assert_snapshot!("phase-dry-run", document(&store, phase));
    let sign_key = store.path("key.asc").display().to_string();
    for (name, arguments) in [
        ("doctor", &["doctor"][..]),
        (
            "suite-set",
            &["suite", "set", "stable", "--alias", "next"][..],
        ),
        (
            "suite-delete",
            &["suite", "delete", "stable", "--dry-run"][..],
        ),
    ] {
        let more = ["--sign-key", &sign_key];
        let arguments = [arguments, &json, &more].concat();
        let done = run(&mut store.debucket(&arguments));
        insta::assert_snapshot!(name, document(&store, done));
    }
    let list = run(&mut store.debucket(&[&["suite", "list"], &json[..]].concat()));
    insta::assert_snapshot!("suite-list", document(&store, list));
    store.make_foreign_suite();
    for (name, more) in [
        ("adopt-dry-run", &["--dry-run", "--accept-damage"][..]),
        ("adopt", &["--accept-damage"]),
        ("adopt-unchanged", &[]),
    ] {
        let adopt = store.adopt(&[&json[..], &["--unverified"], more].concat());
        insta::assert_snapshot!(name, document(&store, adopt));
    }
}
