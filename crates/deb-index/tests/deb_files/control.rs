//! The control file: what an index needs of it, and what it must not say.

use deb_index::{
    deb::{DebError, Warning, describe},
    digest::{Algorithm, Digests},
};

use crate::pack::{CONTROL, deb_with, refusal, refused_for};

#[test]
fn everything_an_index_needs() {
    let file = deb_with(CONTROL.as_bytes());
    let deb = describe(&file[..]).unwrap();
    assert_eq!(deb.control, CONTROL.as_bytes());
    assert_eq!(deb.package.as_str(), "hello");
    assert_eq!(deb.version.as_str(), "1:2.0-3");
    assert!(deb.architecture.is_all());
    assert_eq!(deb.source(), &deb.package);
    assert_eq!(deb.warnings, []);
    assert_eq!(
        deb.digests,
        Digests::of(&[Algorithm::Md5, Algorithm::Sha1, Algorithm::Sha256], &file)
    );
    assert_eq!(deb.size(), file.len() as u64);
}

#[test]
fn a_source_is_free_text_and_names_a_folder_only_where_it_is_a_name() {
    for (field, folder) in [
        ("glibc", "glibc"),
        ("glibc (2.36-9)", "glibc"),
        ("glibc(2.36)", "glibc"),
        ("a b", "a"),
        ("a (x", "a"),
        ("", "hello"),
        ("hello", "hello"),
        ("../a", "hello"),
        ("a/../..", "hello"),
        ("A", "hello"),
        ("https://git.example.org/a b.git", "hello"),
        ("\n glibc", "hello"),
        ("(1.0)", "hello"),
    ] {
        let deb = describe(&deb_with(format!("Source: {field}\n{CONTROL}").as_bytes())[..]);
        assert_eq!(deb.unwrap().source().as_str(), folder, "{field:?}");
    }
    let control = [b"Source: J\xf6rg\n", CONTROL.as_bytes()].concat();
    let deb = describe(&deb_with(&control)[..]).unwrap();
    assert_eq!(deb.source().as_str(), "hello");
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
    let control = CONTROL.as_bytes().to_vec();
    let control = [b"Depends: J\xf6rg\n", &control[..]].concat();
    refused_for(&deb_with(&control), "“Depends”: “J\u{fffd}rg”: a relation");
}

#[test]
fn control_files_that_dpkg_refuses() {
    let with = |from: &str, to: &str| deb_with(CONTROL.replace(from, to).as_bytes());
    refused_for(&deb_with(b""), "no fields");
    refused_for(&deb_with(b"\n\n"), "no fields");
    refused_for(&deb_with(CONTROL.trim_end().as_bytes()), "no newline");
    refused_for(&with("Package: hello\n", ""), "no “Package” field");
    refused_for(&with("Version: 1:2.0-3\n", ""), "no “Version” field");
    refused_for(&with("Architecture: all\n", ""), "no “Architecture” field");
    refused_for(&with("hello", ""), "no “Package” field");
    refused_for(&with("hello", "Hello"), "“Package”: “Hello”: may have only");
    refused_for(&with("hello", "../../x"), "“Package”");
    refused_for(&with("hello", "hello\n world"), "“Package”");
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
        "Checksum-FileSize: 1",
    ] {
        let file = deb_with(format!("{CONTROL}{field}\n").as_bytes());
        assert!(
            matches!(describe(&file[..]), Err(DebError::Field(error)) if error.rule.contains("in an index")),
            "{field}"
        );
    }
    // Lookalikes that no reader takes for one of them.
    for field in ["Installed-Size: 1", "X-Filename: a"] {
        describe(&deb_with(format!("{CONTROL}{field}\n").as_bytes())[..]).unwrap();
    }
}

#[test]
fn a_refusal_names_the_field_the_value_and_the_rule() {
    let refusal = |field: &str| refusal(&deb_with(format!("{field}\n{CONTROL}").as_bytes()));
    assert_eq!(
        refusal("depends: b, a (= ) | c"),
        "malformed control file: “depends”: “a (= )”: no version after the operator"
    );
    assert_eq!(
        refusal("Multi-Arch: none"),
        "malformed control file: “Multi-Arch”: “none”: dpkg accepts only “no”, “same”, “foreign” and “allowed”"
    );
    let long = refusal(&format!("Essential: \u{1b}[2J{}", "x".repeat(10_000)));
    assert!(long.len() < 300 && !long.contains('\u{1b}'), "{long}");
}

#[test]
fn what_readers_ignore_or_misread_is_warned_of() {
    let warnings = |from: &str, to: &str| {
        let deb = describe(&deb_with(CONTROL.replace(from, to).as_bytes())[..]).unwrap();
        let texts = deb.warnings.iter().map(ToString::to_string);
        texts.collect::<Vec<_>>().join("; ")
    };
    let with = |field: &str| warnings("Version:", &format!("{field}\nVersion:"));
    for architecture in ["noarch", "aarch64", "386", "x86-64", "armv7", "linux-amd64"] {
        assert_eq!(
            warnings("all", architecture),
            format!(
                "“Architecture”: “{architecture}”: not known to dpkg, so no device sees the package"
            )
        );
    }
    for architecture in [
        "amd64",
        "armhf",
        "loong64",
        "kfreebsd-amd64",
        "musl-linux-armhf",
        "x32",
    ] {
        assert_eq!(warnings("all", architecture), "");
    }
    let udeb = Warning::Udeb.to_string();
    for fields in [
        "Package-Type: udeb",
        "Section: debian-installer",
        "Section: non-free/debian-installer\nInstaller-Menu-Item: 1000",
    ] {
        assert_eq!(with(fields), udeb);
    }
    assert_eq!(with("Section: debian-installer-utils"), "");
    assert_eq!(with("Package-Type: deb"), "");
    assert_eq!(
        with("Important: perhaps"),
        "“Important”: “perhaps”: not known to apt, which ignores the field"
    );
    assert!(with("Revision: 2").starts_with("“Revision”: obsolete"));
    assert_eq!(with("Revision:"), "");
    for (character, code) in [
        ('\r', "000D"),
        ('\x0b', "000B"),
        ('\x0c', "000C"),
        ('\x1e', "001E"),
        ('\u{85}', "0085"),
        ('\u{2028}', "2028"),
        ('\u{2029}', "2029"),
    ] {
        let field = format!("X-Note: a{character}Depends: b");
        let expected =
            format!("“X-Note” holds U+{code}, where readers other than dpkg and apt end the line");
        assert_eq!(with(&field), expected);
        assert_eq!(with(&format!("X-Note: a\n b{character}c")), expected);
    }
    assert_eq!(with("X-Note: a\r\n b\r"), "");
    assert_eq!(Warning::of_file_name("x_1_amd64.udeb"), Some(Warning::Udeb));
    assert_eq!(Warning::of_file_name("udeb.deb"), None);
}

/// A publisher keeps one `Deb` for each package, tens of thousands at a time.
#[test]
fn little_memory_for_a_package() {
    let control = format!(
        "\n\n{}\n\n",
        CONTROL.replace("long text", &"long text ".repeat(100))
    );
    let deb = describe(&deb_with(control.as_bytes())[..]).unwrap();
    assert_eq!(deb.control.capacity(), deb.control.len());
    assert_eq!(deb.warnings.capacity(), 0);
    assert!(size_of_val(&deb) <= 320, "{}", size_of_val(&deb));
}
