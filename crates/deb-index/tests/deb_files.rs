//! Reading `.deb` files: against `dpkg-deb` on packages that it built, and on files that are cut
//! off, damaged or made to mislead.

#![allow(
    clippy::unwrap_used,
    reason = "clippy sees tests only in functions marked so"
)]

use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;

use deb_index::deb::{Deb, DebError, describe};
use deb_index::digest::{Algorithm, Digests};
use proptest::prelude::*;

const CONTROL: &str = "Package: hello\nVersion: 1:2.0-3\nArchitecture: all\n\
    Maintainer: M. <m@example.org>\nDescription: a greeting\n long text\n .\n\tand a tab\n";

/// An ar archive as dpkg-deb writes it.
fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = b"!<arch>\n".to_vec();
    for (name, content) in members {
        let size = content.len();
        writeln!(
            archive,
            "{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`",
            0, 0, 0, 100644
        )
        .unwrap();
        archive.extend_from_slice(content);
        if size % 2 == 1 {
            archive.push(b'\n');
        }
    }
    archive
}

/// A tar entry of any type, with any name that fits its header.
fn entry(kind: u8, name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(tar::EntryType::new(kind));
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(content.len() as u64);
    header.set_cksum();
    let mut entry = header.as_bytes().to_vec();
    entry.extend_from_slice(content);
    entry.resize(entry.len().next_multiple_of(512), 0);
    entry
}

fn tar(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut archive = entries.concat();
    archive.resize(archive.len() + 1024, 0);
    archive
}

fn gz(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn xz(plain: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 6);
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn zst(plain: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// A package with these entries in its control.tar.
fn deb_of(entries: &[Vec<u8>]) -> Vec<u8> {
    ar(&[
        ("debian-binary", b"2.0\n"),
        ("control.tar.gz", &gz(&tar(entries))),
        ("data.tar.gz", &gz(&tar(&[]))),
    ])
}

fn deb_with(control: &[u8]) -> Vec<u8> {
    deb_of(&[entry(b'5', "./", b""), entry(b'0', "./control", control)])
}

/// What a refusal says.
fn refusal(file: &[u8]) -> String {
    describe(file).unwrap_err().to_string()
}

fn refused_for(file: &[u8], part: &str) {
    let refusal = refusal(file);
    assert!(
        refusal.contains(part),
        "{refusal:?} does not speak of {part:?}"
    );
}

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

#[test]
fn all_compressions_of_control_tar() {
    let plain = tar(&[entry(b'0', "control", CONTROL.as_bytes())]);
    let members = [
        ("control.tar", plain.clone()),
        ("control.tar.gz", gz(&plain)),
        ("control.tar.xz", xz(&plain)),
        ("control.tar.zst", zst(&plain)),
        // Several pieces, as parallel compressors make them, cut inside the header and the content.
        (
            "control.tar.gz",
            [gz(&plain[..300]), gz(&plain[300..])].concat(),
        ),
        (
            "control.tar.zst",
            [zst(&plain[..600]), zst(&plain[600..])].concat(),
        ),
        // GNU ar ends names with a slash.
        ("control.tar.gz/", gz(&plain)),
    ];
    for (name, control) in members {
        let file = ar(&[
            ("debian-binary", b"2.0\n"),
            (name, &control),
            ("data.tar.lzma", b"x"),
        ]);
        assert_eq!(
            describe(&file[..]).unwrap().control,
            CONTROL.as_bytes(),
            "{name}"
        );
    }
}

#[test]
fn members_that_are_skipped() {
    let control = gz(&tar(&[entry(b'0', "./control", CONTROL.as_bytes())]));
    let file = ar(&[
        ("debian-binary", b"2.1\nmore\n"),
        ("_early", b"123"),
        ("control.tar.gz", &control),
        ("_between", b""),
        ("data.tar", &tar(&[])),
        ("_gpgorigin", b"signature"),
        ("later", b"ignored, says deb(5)"),
    ]);
    let deb = describe(&file[..]).unwrap();
    assert_eq!(deb.size(), file.len() as u64);
}

#[test]
fn files_that_are_no_packages() {
    let control = gz(&tar(&[entry(b'0', "./control", CONTROL.as_bytes())]));
    let format: (&str, &[u8]) = ("debian-binary", b"2.0\n");
    let data: (&str, &[u8]) = ("data.tar", b"");
    let control: (&str, &[u8]) = ("control.tar.gz", &control);

    refused_for(b"", "not a .deb: the file is empty");
    refused_for(b"hello", "not a .deb: the first bytes");
    refused_for(&gz(b"x"), "a gzip file");
    refused_for(b"\xed\xab\xee\xdb\x03\x00\x00\x00\x00", "an RPM package");
    refused_for(b"version https://git-lfs.github.com/spec/v1\n", "Git LFS");
    refused_for(b"!<arch>\n", "an empty archive");
    refused_for(&ar(&[control, format, data]), "not debian-binary");
    refused_for(
        &ar(&[("debian-binary", b"3.0\n"), control, data]),
        "version \"3.0\"",
    );
    refused_for(
        &ar(&[("debian-binary", b"2.\n"), control, data]),
        "version \"2.\"",
    );
    refused_for(
        &ar(&[("debian-binary", b"2.0"), control, data]),
        "version \"2.0\"",
    );
    refused_for(&ar(&[format]), "there is no control.tar");
    refused_for(&ar(&[format, control]), "there is no data.tar");
    refused_for(&ar(&[format, data, control]), "where control.tar");
    refused_for(&ar(&[format, control, control, data]), "where data.tar");
    refused_for(&ar(&[format, ("new", b""), control, data]), "\"new\"");
    refused_for(
        &ar(&[format, control, data, control]),
        "a second control.tar.gz",
    );
    refused_for(&ar(&[format, control, data, data]), "a second data.tar");
    refused_for(
        &ar(&[format, ("control.tar.bz2", b""), data]),
        "control.tar.bz2",
    );
    refused_for(
        &ar(&[format, control, ("data.tar.rar", b"")]),
        "data.tar.rar",
    );
    refused_for(
        &[ar(&[format, control, data]), b"garbage\n\0".to_vec()].concat(),
        "the bytes after data.tar are not an ar member",
    );
    refused_for(
        &[ar(&[format, control, data]), vec![0; 4096]].concat(),
        "the bytes after data.tar are not an ar member",
    );
}

#[test]
fn a_control_tar_that_misleads() {
    let control = entry(b'0', "./control", CONTROL.as_bytes());
    let other = CONTROL.replace("hello", "other");
    let pax = |record: &str| {
        let size = record.len() + 5;
        entry(b'x', "pax", format!("{size:03} {record}\n").as_bytes())
    };
    refused_for(&deb_of(&[]), "no control file");
    for name in [
        "control",
        "./control",
        ".//control",
        "/control",
        "././control",
    ] {
        refused_for(
            &deb_of(&[control.clone(), entry(b'0', name, other.as_bytes())]),
            "two control files",
        );
    }
    refused_for(
        &deb_of(&[
            entry(b'2', "x", b""),
            entry(b'0', "x/control", b""),
            control.clone(),
        ]),
        "in a folder",
    );
    refused_for(&deb_of(&[entry(b'0', "x/../control", b"")]), "'..'");
    for kind in *b"1256" {
        let file = deb_of(&[entry(kind, "./control", b"")]);
        assert!(matches!(
            describe(&file[..]),
            Err(DebError::ControlArchive(_))
        ));
    }
    refused_for(
        &deb_of(&[entry(b'2', "./control", b"")]),
        "not a regular file",
    );
    refused_for(
        &deb_of(&[entry(b'0', "./control/", b"")]),
        "not a regular file",
    );
    refused_for(
        &deb_of(&[entry(b'5', "a", b"xx"), control.clone()]),
        "has content",
    );
    refused_for(
        &deb_of(&[entry(b'S', "a", b""), control.clone()]),
        "type 'S'",
    );
    refused_for(
        &deb_of(&[entry(b'M', "a", b""), control.clone()]),
        "type 'M'",
    );

    // A long name that makes another file the control file, in both dialects.
    let long = entry(b'L', "././@LongLink", b"./control\0");
    let renamed = deb_of(&[long.clone(), entry(b'0', "x", CONTROL.as_bytes())]);
    assert_eq!(describe(&renamed[..]).unwrap().control, CONTROL.as_bytes());
    let twice = deb_of(&[
        long.clone(),
        entry(b'0', "x", other.as_bytes()),
        control.clone(),
    ]);
    refused_for(&twice, "two control files");
    let twice = deb_of(&[
        pax("path=./control"),
        entry(b'0', "x", other.as_bytes()),
        control.clone(),
    ]);
    refused_for(&twice, "two control files");
    let away = deb_of(&[pax("path=elsewhere"), control.clone()]);
    refused_for(&away, "no control file");
    refused_for(
        &deb_of(&[long, pax("path=a"), control.clone()]),
        "more than one name",
    );
    refused_for(&deb_of(&[pax("size=3"), control.clone()]), "sets the size");
    refused_for(
        &deb_of(&[pax("GNU.sparse.major=1"), control.clone()]),
        "sparse",
    );
    let times = deb_of(&[pax("mtime=1.5"), control.clone()]);
    assert_eq!(describe(&times[..]).unwrap().package.as_str(), "hello");
}

/// Sizes that a header claims and the file does not have.
#[test]
fn claims_of_size() {
    let mut big = tar::Header::new_gnu();
    big.set_path("control").unwrap();
    big.set_entry_type(tar::EntryType::Regular);
    for size in [1 << 20, (1 << 20) + 1, 1 << 40, u64::MAX, u64::MAX - 511] {
        big.set_size(size);
        big.set_cksum();
        for kind in *b"0Lxg5" {
            let mut header = big.clone();
            header.set_entry_type(tar::EntryType::new(kind));
            header.set_cksum();
            let file = deb_of(&[header.as_bytes().to_vec()]);
            assert!(describe(&file[..]).is_err(), "{size} {kind}");
        }
    }
    let mut file = deb_with(CONTROL.as_bytes());
    let size_of_control = 8 + 60 + 4 + 48;
    file[size_of_control..size_of_control + 10].copy_from_slice(b"9999999999");
    // The control.tar.gz runs into what follows it.
    assert!(describe(&file[..]).is_err());
    file[size_of_control..size_of_control + 10].copy_from_slice(b"-1        ");
    refused_for(&file, "not an ar member");
    file[size_of_control..size_of_control + 10].copy_from_slice(b"          ");
    refused_for(&file, "not an ar member");
}

/// Archives that are small as files and large when read.
#[test]
fn bombs() {
    let huge = 200 << 20;
    for kind in *b"0L" {
        let mut header = tar::Header::new_gnu();
        header.set_path("bomb").unwrap();
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_size(huge);
        header.set_cksum();
        let plain =
            std::io::Cursor::new(header.as_bytes().to_vec()).chain(std::io::repeat(0).take(huge));
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        std::io::copy(&mut { plain }, &mut encoder).unwrap();
        let bomb = encoder.finish().unwrap();
        assert!(bomb.len() < 100_000);
        let file = ar(&[("debian-binary", b"2.0\n"), ("control.tar.zst", &bomb)]);
        assert!(matches!(
            describe(&file[..]),
            Err(DebError::ControlArchive(_))
        ));
    }
    // After the end of the archive, where no reader of the archive would look.
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    let control = tar(&[entry(b'0', "control", CONTROL.as_bytes())]);
    encoder.write_all(&control).unwrap();
    std::io::copy(&mut std::io::repeat(0).take(huge), &mut encoder).unwrap();
    let bomb = encoder.finish().unwrap();
    let file = ar(&[("debian-binary", b"2.0\n"), ("control.tar.zst", &bomb)]);
    refused_for(&file, "when decompressed");
}

#[test]
fn an_error_of_reading_is_told_apart() {
    struct Failing<'a>(&'a [u8]);
    impl Read for Failing<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(std::io::Error::other("the disk is on fire")),
                size => Ok(size),
            }
        }
    }
    let file = deb_with(CONTROL.as_bytes());
    for end in 0..file.len() {
        match describe(Failing(&file[..end])) {
            Err(DebError::Read(error)) => assert_eq!(error.to_string(), "the disk is on fire"),
            other => panic!("{end}: {other:?}"),
        }
    }
}

#[test]
fn a_reader_that_gives_one_byte_at_a_time() {
    struct Slow<'a>(&'a [u8], bool);
    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(std::io::ErrorKind::Interrupted.into());
            }
            let most = buffer.len().min(1);
            self.0.read(&mut buffer[..most])
        }
    }
    let file = deb_with(CONTROL.as_bytes());
    assert_eq!(
        describe(Slow(&file, false)).unwrap(),
        describe(&file[..]).unwrap()
    );
}

/// Small packages of every compression.
fn samples() -> Vec<Vec<u8>> {
    let plain = tar(&[
        entry(b'5', "./", b""),
        entry(b'0', "./control", CONTROL.as_bytes()),
        entry(b'0', "./md5sums", b"0123  usr/bin/x\n"),
    ]);
    [
        ("control.tar.gz", gz(&plain)),
        ("control.tar.xz", xz(&plain)),
        ("control.tar.zst", zst(&plain)),
        ("control.tar", plain),
    ]
    .into_iter()
    .map(|(name, control)| {
        ar(&[
            ("debian-binary", b"2.0\n"),
            (name, &control),
            // Of odd size, so that the file ends in padding.
            ("data.tar.gz", b"12345"),
        ])
    })
    .collect()
}

#[test]
fn a_file_cut_off_anywhere_is_refused() {
    for file in samples() {
        describe(&file[..]).unwrap();
        for end in 0..file.len() {
            let error = describe(&file[..end]).unwrap_err();
            // Between two members the file is not cut inside anything.
            let between =
                error.to_string().contains("there is no") || error.to_string().contains("an empty");
            assert!(
                end == 0 || between || matches!(error, DebError::Truncated(_)),
                "{end}: {error}"
            );
        }
    }
}

proptest! {
    #[test]
    fn damage_never_panics(
        sample in 0usize..4,
        flips in proptest::collection::vec((any::<proptest::sample::Index>(), 0u8..8), 1..4),
        end in any::<proptest::sample::Index>(),
    ) {
        let mut file = samples().swap_remove(sample);
        for (at, bit) in flips {
            let at = at.index(file.len());
            file[at] ^= 1 << bit;
        }
        check(&file);
        check(&file[..end.index(file.len())]);
    }

    #[test]
    fn damage_inside_the_control_archive_never_panics(
        flips in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
    ) {
        // Without a compression that would notice.
        let mut file = samples().pop().unwrap();
        for (at, byte) in flips {
            let at = at.index(file.len());
            file[at] = byte;
        }
        check(&file);
    }

    #[test]
    fn garbage_never_panics(garbage in proptest::collection::vec(any::<u8>(), 0..400)) {
        check(&garbage);
        check(&[b"!<arch>\n", garbage.as_slice()].concat());
        check(&deb_with(&garbage));
        check(&ar(&[("debian-binary", b"2.0\n"), ("control.tar", &garbage), ("data.tar", b"")]));
    }
}

/// Whatever is accepted must hold together.
fn check(file: &[u8]) {
    if let Ok(deb) = describe(file) {
        assert_eq!(deb.size(), file.len() as u64);
        assert!(deb.control.ends_with(b"\n") && !deb.control.ends_with(b"\n\n"));
        assert_eq!(deb_index::paragraph::stanzas(&deb.control).count(), 1);
    }
}

/// Builds a package with dpkg-deb, or says why not.
fn build(folder: &Path, compression: &str) -> Option<std::path::PathBuf> {
    let file = folder.join(format!("{compression}.deb"));
    let built = Command::new("dpkg-deb")
        .args([
            "--root-owner-group",
            "--uniform-compression",
            "-Z",
            compression,
            "--build",
        ])
        .arg(folder.join("package"))
        .arg(&file)
        .output();
    match built {
        Ok(output) if output.status.success() => Some(file),
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                compression == "zstd",
                "dpkg-deb does not build a package: {why}"
            );
            eprintln!("SKIPPED: this dpkg-deb has no {compression}: {why}");
            None
        }
        Err(error) => {
            eprintln!("SKIPPED {compression}: no dpkg-deb on this machine: {error}");
            None
        }
    }
}

#[test]
fn the_same_as_dpkg_deb() {
    let folder = tempfile::tempdir().unwrap();
    let package = folder.path().join("package");
    std::fs::create_dir_all(package.join("DEBIAN")).unwrap();
    std::fs::create_dir_all(package.join("usr/share/doc/hello")).unwrap();
    let control = format!("Source: greetings (1.9)\n{CONTROL}X-Sp\u{e9}cial: no\n")
        .replace("X-Sp\u{e9}cial", "X-Special");
    std::fs::write(package.join("DEBIAN/control"), &control).unwrap();
    std::fs::write(package.join("DEBIAN/conffiles"), "").unwrap();
    std::fs::write(package.join("usr/share/doc/hello/text"), vec![7; 300_000]).unwrap();
    for compression in ["gzip", "xz", "zstd", "none"] {
        let Some(file) = build(folder.path(), compression) else {
            continue;
        };
        let deb = describe(std::fs::File::open(&file).unwrap()).unwrap();
        assert_eq!(deb.control, field(&file, &[]));
        for (name, ours) in [
            ("Package", deb.package.as_str()),
            ("Version", deb.version.as_str()),
            ("Architecture", deb.architecture.as_str()),
            ("Source", "greetings (1.9)"),
        ] {
            assert_eq!(field(&file, &[name]), format!("{ours}\n").as_bytes());
        }
        assert_eq!(deb.source.name.as_str(), "greetings");
        assert_eq!(deb.source.version.as_str(), "1.9");
        let bytes = std::fs::read(&file).unwrap();
        let Deb { digests, .. } = deb;
        assert_eq!(
            digests.sha256(),
            Digests::of(&[Algorithm::Sha256], &bytes).sha256()
        );
        assert_eq!(digests.size, bytes.len() as u64);
    }
}

/// Output of `dpkg-deb --field`.
fn field(file: &Path, names: &[&str]) -> Vec<u8> {
    let output = Command::new("dpkg-deb")
        .arg("--field")
        .arg(file)
        .args(names)
        .output()
        .unwrap();
    assert!(output.status.success());
    output.stdout
}

/// Where we refuse a control file for its syntax, so does dpkg, and the other way round.
#[test]
fn as_strict_as_dpkg() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.deb");
    for (control, taken) in [
        (CONTROL.to_owned(), true),
        (format!("\n\n{CONTROL}"), true),
        (format!("{CONTROL}\n"), true),
        (format!("Empty:\n{CONTROL}"), true),
        (format!("{CONTROL}Empty:\n\n"), true),
        (format!("{CONTROL}Empty:\n"), false),
        (format!("{CONTROL}Empty: \n"), false),
        (format!("{CONTROL}Space : x\n"), true),
        (format!("{CONTROL}Line: x\r\n"), true),
        (CONTROL.trim_end().to_owned(), false),
        (format!("{CONTROL} \n"), false),
        (format!("{CONTROL}\nMore: x\n"), false),
        (format!("{CONTROL}package: x\n"), false),
        (format!("{CONTROL}X: 1\nx: 2\n"), false),
        (format!("{CONTROL}-X: 1\n"), false),
        (format!("{CONTROL}no colon\n"), false),
        (format!("{CONTROL}\r\n"), false),
        (format!(" {CONTROL}"), false),
        (CONTROL.replace("1:2.0-3", "1:2.0-"), false),
        (CONTROL.replace("1:2.0-3", "x1"), false),
        (CONTROL.replace("1:2.0-3", "1_0"), false),
        (CONTROL.replace("1:2.0-3", "2147483648:1"), false),
        (CONTROL.replace("hello", "+hello"), false),
        (CONTROL.replace("hello", "hel lo"), false),
    ] {
        let bytes = deb_with(control.as_bytes());
        let ours = describe(&bytes[..]);
        assert_eq!(ours.is_ok(), taken, "{control:?}: {ours:?}");
        std::fs::write(&file, &bytes).unwrap();
        // Asking for a field makes dpkg-deb parse; asking for none only copies.
        let dpkg = Command::new("dpkg-deb")
            .arg("--field")
            .arg(&file)
            .arg("Version")
            .output();
        match dpkg {
            Ok(output) => assert_eq!(output.status.success(), taken, "{control:?}: {output:?}"),
            Err(error) => eprintln!("SKIPPED: no dpkg-deb on this machine: {error}"),
        }
    }
}
