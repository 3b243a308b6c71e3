//! Every stanza of a real index survives reading, byte for byte, and all its versions, names and relations
//! are accepted.
//!
//! The indexes are those that APT has on this machine; a machine without any still tests the
//! fixture, which has a stanza for each shape of field that Debian and Ubuntu use.

#![allow(
    clippy::unwrap_used,
    reason = "clippy sees tests only in functions marked so"
)]

use std::process::Command;

use deb_index::name::{Architecture, PackageName};
use deb_index::paragraph::{Field, Paragraph, field, stanzas};
use deb_index::relation::{Kind, Relations};
use deb_index::version::Version;

const FIXTURE: &[u8] = include_bytes!("fixtures/Packages");

/// Checks an index and returns the number of its stanzas.
fn check(index: &[u8]) -> usize {
    let parts: Vec<&[u8]> = stanzas(index).collect();
    let mut joined = Vec::with_capacity(index.len());
    for stanza in &parts {
        joined.extend_from_slice(stanza);
        joined.push(b'\n');
    }
    // Not assert_eq!, which would print both.
    assert!(joined == index, "the stanzas do not make up the index");

    for stanza in &parts {
        let shown = String::from_utf8_lossy(stanza);
        let paragraph = Paragraph::parse(stanza).unwrap_or_else(|e| panic!("{e}:\n{shown}"));
        assert_eq!(paragraph.raw(), *stanza);
        let mut written = Vec::new();
        for field in paragraph.fields() {
            write_field(&mut written, field);
        }
        // A value is given without the white space around it; nothing else may be missing.
        assert!(
            trimmed(&written) == trimmed(stanza),
            "the fields do not make up\n{shown}"
        );

        for one in paragraph.fields() {
            let first_line = one
                .value
                .split(|&b| b == b'\n')
                .next()
                .map(<[u8]>::trim_ascii);
            assert_eq!(
                field(stanza, one.name),
                first_line,
                "{}:\n{shown}",
                one.name
            );
        }
        let value = |name| {
            paragraph
                .get_str(name)
                .unwrap_or_else(|| panic!("{name}:\n{shown}"))
        };
        let version: Version = value("Version").parse().unwrap();
        assert_eq!(version.to_string(), value("Version"));
        assert!(version.compare(&version).is_eq());
        value("Package").parse::<PackageName>().unwrap();
        let architecture: Architecture = value("Architecture").parse().unwrap();
        assert!(architecture.is_known_to_dpkg(), "{architecture}");
        for one in paragraph.fields() {
            if let Some(kind) = Kind::of_field(one.name) {
                let text = std::str::from_utf8(one.value).unwrap();
                Relations::parse(kind, text).unwrap_or_else(|e| panic!("{}: {e}", one.name));
            }
        }
    }
    parts.len()
}

/// The lines of a stanza, each without white space at its end.
fn trimmed(stanza: &[u8]) -> Vec<&[u8]> {
    stanza
        .split(|&b| b == b'\n')
        .map(<[u8]>::trim_ascii_end)
        .collect()
}

fn write_field(out: &mut Vec<u8>, field: &Field<'_>) {
    out.extend_from_slice(field.name.as_bytes());
    out.push(b':');
    if !field.value.is_empty() && !field.value.starts_with(b"\n") {
        out.push(b' ');
    }
    out.extend_from_slice(field.value);
    out.push(b'\n');
}

#[test]
fn the_fixture_survives() {
    assert_eq!(check(FIXTURE), 34);
}

#[test]
fn the_indexes_of_this_machine_survive() {
    let mut stanzas = 0;
    for file in index_files() {
        // Decompresses whatever APT stored the list in.
        let output = Command::new("/usr/lib/apt/apt-helper")
            .args(["cat-file", &file])
            .output()
            .expect("apt-get is here, so apt-helper is");
        if output.status.success() {
            stanzas += check(&output.stdout);
        } else {
            eprintln!(
                "SKIPPED {file}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
    if stanzas == 0 {
        eprintln!("SKIPPED: APT has no Packages index here (apt-get update fetches some)");
    } else {
        eprintln!("{stanzas} stanzas");
    }
}

/// Files of the `Packages` indexes that APT has fetched.
fn index_files() -> Vec<String> {
    let listed = Command::new("apt-get")
        .args([
            "indextargets",
            "--format",
            "$(FILENAME)",
            "Created-By: Packages",
        ])
        .output();
    match listed {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter(|file| std::fs::exists(file).is_ok_and(|exists| exists))
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}
