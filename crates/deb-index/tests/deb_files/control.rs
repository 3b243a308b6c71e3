//! The control file: what an index needs of it, and what it must not say.

use deb_index::{
    deb::{DebError, describe},
    digest::{Algorithm, Digests},
};

use crate::pack::{CONTROL, deb_with, refused_for};

#[test]
fn everything_an_index_needs() {
    let file = deb_with(CONTROL.as_bytes());
    let deb = describe(&file[..]).unwrap();
    assert_eq!(deb.control, CONTROL.as_bytes());
    assert_eq!(deb.package.as_str(), "hello");
    assert_eq!(deb.version.as_str(), "1:2.0-3");
    assert!(deb.architecture.is_all());
    assert_eq!(deb.source.name, deb.package);
    assert_eq!(deb.source.version, deb.version);
    assert_eq!(
        deb.digests,
        Digests::of(&[Algorithm::Md5, Algorithm::Sha1, Algorithm::Sha256], &file)
    );
    assert_eq!(deb.size(), file.len() as u64);
}

#[test]
fn a_source_with_and_without_its_version() {
    for (field, name, version) in [
        ("glibc", "glibc", "1:2.0-3"),
        ("glibc (2.36-9)", "glibc", "2.36-9"),
        ("glibc(2.36)", "glibc", "2.36"),
    ] {
        let deb = describe(&deb_with(format!("Source: {field}\n{CONTROL}").as_bytes())[..]);
        let source = deb.unwrap().source;
        assert_eq!(
            (source.name.as_str(), source.version.as_str()),
            (name, version)
        );
    }
    for field in ["", "a b", "a (1", "a (x)", "../a", "A", "a (1) b"] {
        refused_for(
            &deb_with(format!("Source: {field}\n{CONTROL}").as_bytes()),
            "Source",
        );
    }
}

#[test]
fn empty_lines_around_the_control_file_are_dropped() {
    let deb = describe(&deb_with(format!("\n\n{CONTROL}\n\n").as_bytes())[..]).unwrap();
    assert_eq!(deb.control, CONTROL.as_bytes());
}

#[test]
fn bytes_in_other_fields_are_carried_over() {
    let control = [CONTROL.as_bytes(), b"X-Latin: J\xf6rg\n"].concat();
    assert_eq!(describe(&deb_with(&control)[..]).unwrap().control, control);
    let control = [b"Source: J\xf6rg\n", CONTROL.as_bytes()].concat();
    refused_for(&deb_with(&control), "Source: is not UTF-8");
}

#[test]
fn control_files_that_dpkg_refuses() {
    let with = |from: &str, to: &str| deb_with(CONTROL.replace(from, to).as_bytes());
    refused_for(&deb_with(b""), "no fields");
    refused_for(&deb_with(b"\n\n"), "no fields");
    refused_for(&deb_with(CONTROL.trim_end().as_bytes()), "no newline");
    refused_for(&with("Package: hello\n", ""), "no Package field");
    refused_for(&with("Version: 1:2.0-3\n", ""), "no Version field");
    refused_for(&with("Architecture: all\n", ""), "no Architecture field");
    refused_for(&with("hello", ""), "no Package field");
    refused_for(&with("hello", "Hello"), "package name \"Hello\"");
    refused_for(&with("hello", "../../x"), "package name");
    refused_for(&with("hello", "hello\n world"), "package name");
    refused_for(&with("1:2.0-3", "v1"), "does not begin with a digit");
    refused_for(&with("1:2.0-3", "1/../2"), "Version");
    refused_for(
        &with("Architecture: all", "Architecture: any"),
        "Architecture",
    );
    refused_for(
        &with("Architecture: all", "Architecture: i386 amd64"),
        "Architecture",
    );
    refused_for(
        &with("\nDescription", "\n\nDescription"),
        "line 5: empty line",
    );
    refused_for(
        &with("\nDescription", "\n \nDescription"),
        "line 5: blank line",
    );
    refused_for(
        &with("\nDescription", "\nversion: 2\nDescription"),
        "was there before",
    );
    refused_for(&with("long", "lo\0ng"), "0x00");
}

#[test]
fn fields_that_would_forge_the_index() {
    for field in [
        "Filename: pool/x",
        "filename : pool/x",
        "Size: 1",
        "MD5sum: 0",
        "md5SUM: 0",
        "SHA1: 0",
        "SHA256: 0",
        "SHA512: 0",
        "MSDOS-Filename: x",
    ] {
        let file = deb_with(format!("{CONTROL}{field}\n").as_bytes());
        assert!(
            matches!(describe(&file[..]), Err(DebError::IndexField(_))),
            "{field}"
        );
    }
    // Lookalikes that no reader takes for one of them.
    for field in ["Installed-Size: 1", "X-Filename: a"] {
        describe(&deb_with(format!("{CONTROL}{field}\n").as_bytes())[..]).unwrap();
    }
}
