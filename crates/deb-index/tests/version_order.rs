//! The order of versions is dpkg's: compared with `dpkg --compare-versions` on generated pairs, and
//! with a table where there is no dpkg.

#![allow(
    clippy::unwrap_used,
    reason = "clippy sees tests only in functions marked so"
)]

use std::cmp::Ordering;
use std::io::Write;
use std::process::{Command, Stdio};

use deb_index::version::Version;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// Pairs whose order dpkg 1.21 gave. They are enough to go through every branch.
const TABLE: &[(&str, &str, Ordering)] = &[
    ("1.0", "1.0", Ordering::Equal),
    ("1.0", "1.00", Ordering::Equal),
    ("0:1.0", "1.0", Ordering::Equal),
    ("1.0", "1.0-0", Ordering::Equal),
    ("1.0", "1.0-0~", Ordering::Greater),
    ("9.9", "1:0.1", Ordering::Less),
    ("2:1", "10:1", Ordering::Less),
    ("1.2", "1.10", Ordering::Less),
    ("1.0~rc1", "1.0", Ordering::Less),
    ("1.0~~", "1.0~", Ordering::Less),
    ("1.0~~a", "1.0~", Ordering::Less),
    ("1.0~", "1.0~a", Ordering::Less),
    ("1.0a", "1.0", Ordering::Greater),
    ("1.0a", "1.0+", Ordering::Less),
    ("1.0a", "1.0.", Ordering::Less),
    ("1.0+", "1.0-1", Ordering::Greater),
    ("1.0Z", "1.0a", Ordering::Less),
    ("1.0-1", "1.0-1+b1", Ordering::Less),
    ("1.0-1", "1.0-1.1", Ordering::Less),
    ("1-2-3", "1-3", Ordering::Greater),
    ("1:1:1", "1:1", Ordering::Greater),
    ("1.0-1~bpo12+1", "1.0-1", Ordering::Less),
    (
        "12345678901234567890",
        "12345678901234567891",
        Ordering::Less,
    ),
    (
        "99999999999999999999",
        "100000000000000000000",
        Ordering::Less,
    ),
    ("00000000000000000000001", "1", Ordering::Equal),
    ("0a", "0", Ordering::Greater),
    ("1a1b", "1a01b", Ordering::Equal),
];

/// Versions that are alike enough for the rare branches: runs of zeros, tildes, long numbers.
fn version() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => "[0-9]{1,2}",
        2 => "[.+~]",
        1 => "[a-cZ]{1,2}",
        1 => "0{1,3}",
        1 => "~~",
        1 => "[0-9]{20}",
        1 => "-",
    ];
    let upstream = proptest::collection::vec(part, 0..5).prop_map(|parts| parts.concat());
    let epoch = prop_oneof![6 => Just(""), 1 => Just("0:"), 1 => Just("1:"), 1 => Just("12:")];
    let revision = prop_oneof![2 => Just(String::new()), 3 => "-[0-9a+.~]{1,4}"];
    (epoch, "[0-2]", upstream, revision)
        .prop_map(|(epoch, first, rest, revision)| format!("{epoch}{first}{rest}{revision}"))
        .prop_filter("must be a version", |text| text.parse::<Version>().is_ok())
}

/// Half of the pairs differ in one place only.
fn pair() -> impl Strategy<Value = (String, String)> {
    let near = (version(), any::<prop::sample::Index>(), "[0-9.+~a-]{0,2}").prop_filter_map(
        "must be versions",
        |(text, at, with)| {
            let mut other = text.clone();
            let at = at.index(text.len());
            other.replace_range(at..=at, &with);
            other.parse::<Version>().is_ok().then_some((text, other))
        },
    );
    prop_oneof![(version(), version()), near]
}

fn compare(a: &str, b: &str) -> Ordering {
    a.parse::<Version>()
        .unwrap()
        .compare(&b.parse::<Version>().unwrap())
}

#[test]
fn as_in_the_table() {
    for &(a, b, expected) in TABLE {
        assert_eq!(compare(a, b), expected, "{a} {b}");
        assert_eq!(compare(b, a), expected.reverse(), "{b} {a}");
    }
}

#[test]
fn as_dpkg_compares() {
    if Command::new("dpkg").arg("--version").output().is_err() {
        eprintln!("SKIPPED: no dpkg on this machine; only the stored table was compared");
        return;
    }
    let mut runner = TestRunner::default();
    let mut pairs: Vec<(String, String)> = TABLE
        .iter()
        .map(|&(a, b, _)| (a.to_owned(), b.to_owned()))
        .collect();
    for _ in 0..1500 {
        pairs.push(pair().new_tree(&mut runner).unwrap().current());
    }
    let orders = ask_dpkg(&pairs);
    assert_eq!(orders.len(), pairs.len());
    for (&(a, b, stored), &given) in TABLE.iter().zip(&orders) {
        assert_eq!(stored, given, "the table is wrong about {a} {b}");
    }
    for ((a, b), expected) in pairs.iter().zip(orders) {
        assert_eq!(compare(a, b), expected, "{a} {b}");
    }
}

/// One shell for all comparisons. The versions hold no character that a shell reads otherwise,
/// except `~` at the beginning of a word, which a version never has.
fn ask_dpkg(pairs: &[(String, String)]) -> Vec<Ordering> {
    let mut shell = Command::new("sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut script = String::new();
    for (a, b) in pairs {
        script.push_str(&format!(
            "if dpkg --compare-versions {a} lt {b}; then echo lt; \
             elif dpkg --compare-versions {a} eq {b}; then echo eq; else echo gt; fi\n"
        ));
    }
    let mut stdin = shell.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(script.as_bytes()));
    let output = shell.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| match line {
            "lt" => Ordering::Less,
            "eq" => Ordering::Equal,
            "gt" => Ordering::Greater,
            other => panic!("{other}"),
        })
        .collect()
}
