//! A suite that another program made is taken over with one command.

use std::fmt::Write as _;

use deb_index::digest::Sha256;
use dev_s3::{AccessKey, DevS3, Grants, Policy};

use crate::{
    package,
    run::{BUCKET, Run, Store, debucket, run},
};

impl Store {
    fn put(&self, key: &str, bytes: &[u8]) {
        let key = format!("robots/{key}");
        self.server.put(BUCKET, &key, bytes).unwrap();
    }

    /// A suite as a script makes it: plain indexes, no signature. `gone` is in the index and not in the pool.
    pub(crate) fn make_foreign_suite(&self) {
        let mut index = String::new();
        for name in ["tool", "gone"] {
            let content = format!("the package {name}");
            let key = format!("files/{name}.deb");
            write!(
                index,
                "Package: {name}\nVersion: 1.0\nArchitecture: amd64\nFilename: {key}\nSize: {}\nSHA256: {}\n\n",
                content.len(),
                Sha256::of(content.as_bytes())
            )
            .unwrap();
            if name == "tool" {
                self.put(&key, content.as_bytes());
            }
        }
        let mut release =
            "Origin: Acme\nSuite: lab\nCodename: lab\nDate: Mon, 24 Nov 2025 15:00:00 +0000\n\
                           Architectures: amd64\nComponents: main\nSHA256:\n"
                .to_owned();
        for (path, text) in [
            ("main/binary-amd64/Packages", index.as_str()),
            ("main/Contents-amd64", "usr/bin/tool tool\n"),
            ("main/source/Release", "Archive: lab\n"),
        ] {
            self.put(&format!("dists/lab/{path}"), text.as_bytes());
            let sha256 = Sha256::of(text.as_bytes());
            writeln!(release, " {sha256} {} {path}", text.len()).unwrap();
        }
        self.put("dists/lab/Release", release.as_bytes());
    }

    pub(crate) fn adopt(&self, more: &[&str]) -> Run {
        run(self.debucket(&["adopt", "lab", "--unsigned"]).args(more))
    }
}

#[test]
fn each_refusal_says_what_to_do() {
    let store = Store::start();
    let missing = store.adopt(&[]);
    assert_eq!(missing.code, 4, "{missing:#?}");
    store.make_foreign_suite();
    let before = store.server.keys(BUCKET);
    let file = package::write(store.folder.path(), "new", "1.0", "amd64", "new");
    let publish = |more: &[&str]| {
        let mut command = store.debucket(&["publish", "--suite", "lab", "--unsigned"]);
        run(command.arg(&file).args(more))
    };
    for (refused, advice) in [
        (publish(&[]), "`debucket adopt lab`"),
        (store.adopt(&[]), "--unverified"),
        (store.adopt(&["--unverified"]), "--accept-damage"),
        (
            store.adopt(&["--unverified", "--dry-run"]),
            "--accept-damage",
        ),
    ] {
        assert_eq!(refused.code, 1, "{refused:#?}");
        assert!(
            refused.stderr.contains("next: ") && refused.stderr.contains(advice),
            "{refused:#?}"
        );
    }
    let broken = store.adopt(&["--unverified"]);
    assert_eq!(
        broken.stdout,
        "packages: 1\nwritten anew: main/binary-amd64/Packages\ncarried over: main/Contents-amd64\n\
         carried over: main/source/Release\n\
         broken: main/binary-amd64/Packages: gone_1.0_amd64: files/gone.deb is missing\n\
         suite lab in s3://acme-apt/robots was not taken over\n"
    );
    assert_eq!(store.server.keys(BUCKET), before);
}

#[test]
fn a_suite_is_taken_over_published_into_and_logged() {
    let store = Store::start();
    store.make_foreign_suite();
    let told = [
        "--unverified",
        "--accept-damage",
        "--message",
        "From the old script",
    ];
    let planned = store.adopt(&[&told[..], &["--dry-run"]].concat()).expect(0);
    assert!(
        planned.starts_with("architectures: amd64\n")
            && planned.ends_with("dry run: nothing was written\n"),
        "{planned}"
    );
    let adopted = store.adopt(&told).expect(0);
    assert!(
        adopted.contains("took over suite lab in s3://acme-apt/robots: commit "),
        "{adopted}"
    );
    let again = store.adopt(&[]).expect(0);
    assert!(again.starts_with("nothing to do: "), "{again}");
    let file = package::write(store.folder.path(), "new", "1.0", "amd64", "new");
    let mut publish = store.debucket(&["publish", "--suite", "lab", "--unsigned"]);
    run(publish.arg(file)).expect(0);
    let list = run(&mut store.debucket(&["list", "--suite", "lab", "--quiet"])).expect(0);
    assert_eq!(list, "new   1.0  amd64  main\ntool  1.0  amd64  main\n");
    assert_eq!(store.read(&["list", "--suites"]).expect(0), "lab\n");
    run(&mut store.debucket(&["rollback", "--to", "@~1", "--suite", "lab", "--unsigned"]))
        .expect(0);
    let list = run(&mut store.debucket(&["list", "--suite", "lab", "--quiet"])).expect(0);
    assert_eq!(list, "tool  1.0  amd64  main\n");
    let log = run(&mut store.debucket(&["log", "--suite", "lab", "--quiet"])).expect(0);
    assert!(
        log.contains("    From the old script\n") && log.contains("    adopt\n"),
        "{log}"
    );
}

#[test]
fn a_publishers_rights_are_enough() {
    let store = Store::start();
    store.make_foreign_suite();
    let policy = run(debucket().args([
        "client-config",
        "--policy",
        "publisher",
        "--repo",
        "s3://acme-apt/robots",
    ]));
    let grants = Grants::Policy(Policy::parse(&policy.expect(0)).unwrap());
    let least = AccessKey::new(DevS3::DEFAULT_KEY_ID, DevS3::DEFAULT_SECRET, grants);
    store.server.set_access_keys(vec![least]);
    store.adopt(&["--unverified", "--accept-damage"]).expect(0);
}
