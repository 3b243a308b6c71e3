//! The archives around the control file: their formats, their lies, their sizes.

use std::io::{Read, Write as _};

use deb_index::deb::{DebError, describe};

use crate::pack::{CONTROL, ar, deb_of, deb_with, entry, gz, refused_for, tar, xz, zst};

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
        "version “3.0”",
    );
    refused_for(
        &ar(&[("debian-binary", b"2.\n"), control, data]),
        "version “2.”",
    );
    refused_for(
        &ar(&[("debian-binary", b"2.0"), control, data]),
        "version “2.0”",
    );
    refused_for(&ar(&[format]), "there is no control.tar");
    refused_for(&ar(&[format, control]), "there is no data.tar");
    refused_for(&ar(&[format, data, control]), "where control.tar");
    refused_for(&ar(&[format, control, control, data]), "where data.tar");
    refused_for(&ar(&[format, ("new", b""), control, data]), "“new”");
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
    refused_for(&deb_of(&[entry(b'0', "x/../control", b"")]), "“..”");
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
        "type “S”",
    );
    refused_for(
        &deb_of(&[entry(b'M', "a", b""), control.clone()]),
        "type “M”",
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
