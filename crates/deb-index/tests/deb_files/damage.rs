//! Files that are cut off, damaged, or no packages at all.

use deb_index::deb::{DebError, describe};
use proptest::prelude::*;

use crate::pack::{CONTROL, ar, deb_with, entry, gz, tar, xz, zst};

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
    fn odd_fields_never_panic(
        field in "Depends|Provides|Conffiles|Multi-Arch|Essential|Priority|Source|Section|Version|Description-md5",
        value in "(/|\\./|x|no|yes|same|optional|obsolete|remove-on-upgrade|[ -~\u{e9}]|\n ){0,9}",
    ) {
        let control = CONTROL.replace("Version: 1:2.0-3\n", "");
        check(&deb_with(format!("{field}: {value}\n{control}").as_bytes()));
        check(&deb_with(format!("{field}: {value}\n{CONTROL}").as_bytes()));
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
