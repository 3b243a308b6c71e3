//! What may enter an index is what dpkg accepts as a package and apt in an index, on control files with
//! fields of all kinds.

use deb_index::deb::{Deb, DebError, Warning, describe};

use crate::{
    corpus::{Case, cases},
    pack::{CONTROL, ar, entry, gz, tar, xz, zst},
    readers::{Readers, Verdict},
};

/// Why we refuse a case that both readers accept.
fn stricter(label: &str) -> Option<&'static str> {
    let (field, value) = label.split_once(": ").unwrap_or((label, ""));
    match (field, value) {
        ("Depends" | "Conflicts" | "Provides", "a (= +1:1)") | ("Version", "+1:1") => {
            Some("a sign before the epoch is an accident of C's strtol")
        }
        ("Provides", value) if value.contains(['<', '>']) => {
            Some("dpkg 1.22 refuses the package, and apt ignores what it provides")
        }
        ("Package", "Y" | "yY" | "y_z") => {
            Some("dpkg-deb builds no such package, and apt does not see it as installed")
        }
        ("Architecture", "any" | "linux-any" | "any-amd64" | "source") => {
            Some("no package can be of it")
        }
        (
            "Architecture",
            "" | "-x" | "a b" | "amd64 i386" | "all amd64" | "x86_64" | "a/b" | "é" | "AMD64",
        ) => Some("not a name of an architecture; it becomes a part of keys and of index names"),
        ("Filename" | "MSDOS-Filename", _)
        | ("size" | "MD5Sum" | "SHA1" | "SHA256" | "SHA512" | "Checksum-FileSize", _) => {
            Some("would forge the entry in the index")
        }
        ("é" | "#X" | "X\u{1}", _) => Some("deb822(5) has no such names"),
        _ if label.contains('\0') => Some("C programs end the text there"),
        _ if label.contains("\n\u{b}") => {
            Some("deb822(5) continues a line with a space or tab only")
        }
        _ if label.starts_with("Package: x\n") && !label.contains("Architecture") => {
            Some("an index is of an architecture")
        }
        _ => None,
    }
}

/// Both readers judge what we refuse and what we accept; and where apt warns, so do we.
#[test]
fn as_strict_as_apt_and_dpkg() {
    let cases = cases();
    assert!(cases.len() > 500, "{}", cases.len());
    let threads = 4;
    let failures: Vec<String> = std::thread::scope(|scope| {
        let parts = cases.chunks(cases.len().div_ceil(threads));
        let running: Vec<_> = parts
            .map(|part| {
                scope.spawn(move || {
                    let Some(readers) = Readers::new() else {
                        return Vec::new();
                    };
                    part.iter()
                        .filter_map(|case| judge(case, &readers).err())
                        .collect()
                })
            })
            .collect();
        running
            .into_iter()
            .flat_map(|part| part.join().unwrap())
            .collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn judge(case: &Case, readers: &Readers) -> Result<(), String> {
    let package = package(&case.control);
    let ours = describe(&package[..]);
    let dpkg = readers.dpkg(&package);
    // No need to ask apt about what dpkg refuses.
    let apt = if dpkg.accepted {
        readers.apt(&stanza(case, &ours))
    } else {
        Verdict::default()
    };
    let label: String = case.label.chars().take(100).collect();
    let refusal = ours.as_ref().err();
    let said = format!("{label:?}: ours {refusal:?}, dpkg {dpkg:?}, apt {apt:?}");
    let exception = stricter(&case.label);
    match (&ours, dpkg.accepted && apt.accepted) {
        (Ok(_), false) => Err(format!("accepted: {said}")),
        (Err(_), true) if exception.is_none() => Err(format!("refused: {said}")),
        (Ok(_), true) if exception.is_some() => Err(format!("not stricter: {said}")),
        (Ok(deb), true) if !apt.warnings.is_empty() && !ignored_by_apt(deb) => {
            Err(format!("no warning: {said}"))
        }
        _ => Ok(()),
    }
}

fn ignored_by_apt(deb: &Deb) -> bool {
    let mut warnings = deb.warnings.iter();
    warnings.any(|warning| matches!(warning, Warning::IgnoredByApt { .. }))
}

/// A package with this control file, not compressed, so that it is read quickly.
fn package(control: &[u8]) -> Vec<u8> {
    let entries = tar(&[entry(b'5', "./", b""), entry(b'0', "./control", control)]);
    ar(&[
        ("debian-binary", b"2.0\n"),
        ("control.tar", &entries),
        ("data.tar", &tar(&[])),
    ])
}

/// An index with the package.
fn stanza(case: &Case, deb: &Result<Deb, DebError>) -> Vec<u8> {
    let control = deb.as_ref().map_or(&case.control, |deb| &deb.control);
    let mut stanza = control.clone();
    stanza.extend_from_slice(b"Filename: pool/x.deb\nSize: 1\nSHA256: 00\n\n");
    stanza
}

type Members<'a> = Vec<(&'a str, &'a [u8])>;

/// The archive around the control file, as dpkg reads it.
#[test]
fn containers_as_dpkg_reads_them() {
    let Some(readers) = Readers::new() else {
        return;
    };
    let plain = tar(&[
        entry(b'5', "./", b""),
        entry(b'0', "./control", CONTROL.as_bytes()),
    ]);
    let (packed, xz, zst) = (gz(&plain), xz(&plain), zst(&plain));
    let (format, control): (_, (&str, &[u8])) = (
        ("debian-binary", &b"2.0\n"[..]),
        ("control.tar.gz", &packed),
    );
    let data: (&str, &[u8]) = ("data.tar", b"");
    // Whether it is accepted, or why by dpkg alone.
    let mut containers: Vec<(Members<'_>, Result<bool, &str>)> = vec![
        (vec![format, control, data], Ok(true)),
        (vec![format, ("control.tar", &plain), data], Ok(true)),
        (vec![format, ("control.tar.xz", &xz), data], Ok(true)),
        (vec![format, ("control.tar/", &plain), data], Ok(true)),
        (vec![("debian-binary/", b"2.0\n"), control, data], Ok(true)),
        (vec![format, ("control.tar.bz2", &plain), data], Ok(false)),
        (vec![format, ("control.tar.lzma", &plain), data], Ok(false)),
        (vec![format, ("control.tar.br", &plain), data], Ok(false)),
        (vec![format, ("control.tar.GZ", &packed), data], Ok(false)),
        (vec![format, ("control.tgz", &packed), data], Ok(false)),
        (vec![format, ("control", &plain), data], Ok(false)),
        (
            vec![format, ("control.tar.gz", &plain), data],
            Err("zlib takes what is not compressed as it is"),
        ),
        (vec![format, ("control.tar.xz", &packed), data], Ok(false)),
        (
            vec![format, ("_gpgorigin", b"123"), control, data],
            Ok(true),
        ),
        (
            vec![format, control, ("_gpgorigin", b"123"), data],
            Ok(true),
        ),
        (
            vec![format, control, data, ("_gpgorigin", b"123")],
            Ok(true),
        ),
        (vec![format, control, data, ("later", b"123")], Ok(true)),
        (vec![format, ("later", b"123"), control, data], Ok(false)),
        (
            vec![("_gpgorigin", b"123"), format, control, data],
            Ok(false),
        ),
        (vec![control, format, data], Ok(false)),
        (vec![format, data, control], Ok(false)),
        (vec![format], Ok(false)),
        (
            vec![format, control],
            Err("dpkg-deb looks for the files when it unpacks"),
        ),
        (
            vec![format, control, control, data],
            Err("a reader may take the second"),
        ),
        (
            vec![format, control, data, data],
            Err("a reader may take the second"),
        ),
        (
            vec![format, control, data, control],
            Err("a reader may take the second"),
        ),
        (
            vec![format, control, ("data.tar.rar", b"")],
            Err("dpkg-deb looks for the files when it unpacks"),
        ),
    ];
    if dpkg_reads_zstd(&readers, &ar(&[format, ("control.tar.zst", &zst), data])) {
        containers.push((vec![format, ("control.tar.zst", &zst), data], Ok(true)));
    }
    for (version, verdict) in [
        ("2.1\n", Ok(true)),
        ("2.0\nmore\n", Ok(true)),
        ("2.0\n\n", Ok(true)),
        ("2.10\n", Ok(true)),
        ("02.0\n", Err("no program writes it so")),
        ("", Ok(false)),
        ("\n", Ok(false)),
        ("2\n", Ok(false)),
        ("2.\n", Ok(false)),
        ("2.0", Ok(false)),
        ("2.0 \n", Ok(false)),
        ("2.0\r\n", Ok(false)),
        (" 2.0\n", Ok(false)),
        ("2.x\n", Ok(false)),
        ("3.0\n", Ok(false)),
        ("1.0\n", Ok(false)),
        ("0.939000\n", Ok(false)),
    ] {
        let format = ("debian-binary", version.as_bytes());
        containers.push((vec![format, control, data], verdict));
    }
    for (members, verdict) in containers {
        let file = ar(&members);
        let names: Vec<_> = members
            .iter()
            .map(|(name, content)| {
                (
                    name,
                    String::from_utf8_lossy(&content[..content.len().min(9)]),
                )
            })
            .collect();
        let ours = describe(&file[..]).map(|_| ());
        assert_eq!(ours.is_ok(), verdict == Ok(true), "{names:?}: {ours:?}");
        let dpkg = readers.dpkg(&file);
        assert_eq!(
            dpkg.accepted,
            verdict.unwrap_or(true),
            "{names:?}: {dpkg:?}"
        );
    }
}

/// dpkg before 1.21.18 (Debian 11) does not.
fn dpkg_reads_zstd(readers: &Readers, file: &[u8]) -> bool {
    let reads = readers.dpkg(file).accepted;
    if !reads {
        eprintln!("SKIPPED: this dpkg-deb has no zstd");
    }
    reads
}
