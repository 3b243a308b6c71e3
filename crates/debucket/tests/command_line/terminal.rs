//! What others wrote does not act on the terminal, or in the log, of whoever reads it.

use std::fs;

use crate::{
    package,
    run::{BUCKET, Run, Store, debucket, run},
};

/// Everything that a terminal obeys, as one line.
const ORDERS: &str = "a\u{1b}[2Jb\u{9b}31mc\u{7}\u{8}\r\u{b}\u{c}\u{7f}\u{85}\u{202e}d\u{2066}e\u{200f}\u{61c}\u{2028}z";

#[track_caller]
fn expect_plain(run: &Run, call: &str) {
    for text in [&run.stdout, &run.stderr] {
        let bad = text.chars().find(|c| {
            let is_bidi = matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            c.is_control() && *c != '\n' && *c != '\t' || is_bidi
        });
        assert_eq!(bad, None, "{call}: {run:#?}");
    }
}

#[test]
fn no_text_of_others_is_obeyed() {
    let store = Store::start();
    let message = format!("First {ORDERS}\nsecond {ORDERS}");
    let summary = ORDERS.replace('\0', "");
    let odd = store.path(&format!("odd {}", ORDERS.replace('/', "")));
    fs::create_dir(&odd).unwrap();
    let file = package::write(&odd, "hello", "1.0", "all", &summary);
    let published = store.publish(&file, &["--message", &message, "-vv", "--label", "Acme"]);
    assert_eq!(published.code, 0, "{published:#?}");
    // Its field would be several lines for some readers.
    assert!(
        published.stderr.contains("warning: ") && published.stderr.contains("U+000D"),
        "{published:#?}"
    );
    expect_plain(&published, "publish");
    for command in [
        &["log"][..],
        &["log", "--oneline"],
        &["log", "--output", "json"],
        &["list", "--long"],
        &["list", "--output", "json"],
        &["show", "hello", "--output", "json"],
        &["show", ORDERS],
        &["list", "--suite", ORDERS],
        &["list", "--component", ORDERS],
        &["list", "--repo", &format!("s3://{ORDERS}")],
        &["list", "--profile", ORDERS],
        &[ORDERS],
        &["exists", ORDERS],
    ] {
        expect_plain(&store.read(command), &format!("{command:?}"));
    }
    let json: serde_json::Value = store.read(&["log", "--output", "json"]).json();
    assert_eq!(json[0]["message"], message.as_str());
    let missing = store.path(&format!("missing {}.deb", ORDERS.replace('[', "")));
    for more in [&["--dry-run"][..], &["--output", "json"]] {
        let run = store.publish(&missing, more);
        assert_eq!(run.code, 4);
        expect_plain(&run, "missing");
        assert_eq!(run.stderr.lines().count(), 2, "{run:#?}");
    }
    // A head whose words are not ours.
    let head = "robots/dists/stable/InRelease";
    store
        .server
        .put(BUCKET, head, format!("Suite: {ORDERS}\n").as_bytes())
        .unwrap();
    expect_plain(&store.read(&["list"]), "foreign head");
}

#[test]
fn there_are_no_colours() {
    for (name, value) in [
        ("CI", "true"),
        ("NO_COLOR", "1"),
        ("TERM", "dumb"),
        ("TERM", "xterm-256color"),
        ("CLICOLOR_FORCE", "1"),
        ("GITHUB_ACTIONS", "true"),
    ] {
        for arguments in [
            &["--help"][..],
            &["publish", "--help"],
            &["frobnicate"],
            &["list", "-vv"],
            &["list", "--repo", "s3://x"],
        ] {
            let run = run(debucket().args(arguments).env(name, value));
            expect_plain(&run, &format!("{name}={value} {arguments:?}"));
        }
    }
}
