//! A suite that another program made is taken over with one command.

use std::fmt::Write as _;

use deb_index::{
    digest::Sha256,
    index::compression::{Format, decompress},
};
use dev_s3::{AccessKey, DevS3, Grants, Policy};

use crate::{
    package,
    run::{BUCKET, Run, Store, debucket, run},
};

mod odd;

impl Store {
    fn put(&self, key: &str, bytes: &[u8]) {
        let key = format!("robots/{key}");
        self.server.put(BUCKET, &key, bytes).unwrap();
    }

    /// A suite as a script makes it: plain indexes, no signature. `gone` is in the index and not in the pool.
    pub(crate) fn make_foreign_suite(&self) {
        let index = self.put_package("tool", "files/tool.deb", "files/tool.deb")
            + &stanza("gone", "files/gone.deb");
        self.put_release(
            "amd64",
            "main",
            &[
                ("main/binary-amd64/Packages", index.as_str()),
                ("main/Contents-amd64", "usr/bin/tool tool\n"),
                ("main/source/Release", "Archive: lab\n"),
            ],
        );
    }

    /// Puts a package at a key. Returns its stanza.
    fn put_package(&self, name: &str, key: &str, filename: &str) -> String {
        self.put(key, content(name).as_bytes());
        stanza(name, filename)
    }

    /// Writes `dists/lab/` with these files.
    fn put_release(&self, architectures: &str, components: &str, files: &[(&str, &str)]) {
        let mut release = format!(
            "Origin: Acme\nSuite: lab\nCodename: lab\nDate: Mon, 24 Nov 2025 15:00:00 +0000\n\
             Architectures: {architectures}\nComponents: {components}\nSHA256:\n"
        );
        for (path, text) in files {
            self.put(&format!("dists/lab/{path}"), text.as_bytes());
            let sha256 = Sha256::of(text.as_bytes());
            writeln!(release, " {sha256} {} {path}", text.len()).unwrap();
        }
        self.put("dists/lab/Release", release.as_bytes());
    }

    /// A command without keys.
    fn plain(&self, arguments: &[&str]) -> Run {
        run(&mut self.debucket(arguments))
    }

    pub(crate) fn adopt(&self, more: &[&str]) -> Run {
        run(self.debucket(&["adopt", "lab", "--unsigned"]).args(more))
    }
}

fn content(name: &str) -> String {
    format!("the package {name}")
}

fn stanza(name: &str, filename: &str) -> String {
    let content = content(name);
    format!(
        "Package: {name}\nVersion: 1.0\nArchitecture: amd64\nFilename: {filename}\nSize: {}\nSHA256: {}\n\n",
        content.len(),
        Sha256::of(content.as_bytes())
    )
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
        (publish(&[]), "`debucket adopt lab --unsigned`"),
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

/// Keys of files, and what other programs write into `Filename` for them.
const SPELLINGS: [(&str, &str); 8] = [
    ("pool/t/a_1%3a1.0_amd64.deb", "./pool/t/a_1%3a1.0_amd64.deb"),
    ("pool/t/b_1%3a1.0_amd64.deb", "pool/t/b_1%3a1.0_amd64.deb"),
    ("pool/t/c+x~1.deb", "pool//t/./c+x~1.deb"),
    ("pool/t/d x.deb", "./pool/t/d x.deb"),
    ("pool/t/e+x y~1.deb", "./pool/t/e%2Bx%20y%7e1.deb"),
    ("pool//t/f%.deb", "pool//t/f%.deb"),
    ("pool/t/g.deb", "/pool/s/../t/g.deb"),
    ("files/h%7e.deb", "./files//h%7e.deb"),
];

#[test]
fn a_file_is_found_and_kept_however_its_name_is_spelled() {
    let store = Store::start();
    let mut index = String::new();
    for (number, (key, filename)) in SPELLINGS.into_iter().enumerate() {
        index += &store.put_package(&format!("tool{number}"), key, filename);
    }
    store.put_release("amd64", "main", &[("main/binary-amd64/Packages", &index)]);
    store.adopt(&["--unverified"]).expect(0);
    let verify = || {
        for suite in ["lab", "other"] {
            store.plain(&["verify", suite, "--deep"]).expect(0);
        }
    };
    let unsigned = |arguments: &[&str]| {
        let arguments = [arguments, &["--unsigned"]].concat();
        store.plain(&arguments).expect(0)
    };
    unsigned(&["promote", "--all", "--from", "lab", "--to", "other"]);
    verify();
    // As one more state goes, all that nothing names goes with it.
    let file = package::write(store.folder.path(), "new", "1.0", "amd64", "new");
    let file = file.to_str().unwrap();
    unsigned(&["publish", "--suite", "lab", file]);
    store.put("pool/t/unnamed.deb", b"unnamed");
    for _ in 0..2 {
        store.wait(11);
        store
            .plain(&["gc", "--grace", "10h", "--keep-history", "1h"])
            .expect(0);
    }
    let keys = store.server.keys(BUCKET);
    for (key, _) in SPELLINGS {
        assert!(keys.contains(&format!("robots/{key}")), "{key}: {keys:#?}");
    }
    assert!(!keys.contains(&"robots/pool/t/unnamed.deb".to_owned()));
    verify();
    let list = store
        .plain(&["list", "--suite", "lab", "--quiet"])
        .expect(0);
    assert_eq!(list.lines().count(), SPELLINGS.len() + 1, "{list}");
}

#[test]
fn a_component_may_be_in_a_folder() {
    let store = Store::start();
    let tool = store.put_package("tool", "files/tool.deb", "files/tool.deb");
    let disk = store.put_package("disk", "files/disk.udeb", "files/disk.udeb");
    let installer = "updates/main/debian-installer/binary-amd64/Packages";
    let files = [
        ("updates/main/binary-amd64/Packages", tool.as_str()),
        ("updates/main/Contents-amd64", "usr/bin/tool tool\n"),
        (installer, &disk),
    ];
    store.put_release("amd64", "updates/main contrib", &files);
    let told = store.adopt(&["--unverified"]).expect(0);
    assert!(
        told.contains(&format!("carried over: {installer}\n")),
        "{told}"
    );
    let lab = |arguments: &[&str]| {
        let arguments = [arguments, &["--suite", "lab", "--unsigned"]].concat();
        store.plain(&arguments)
    };
    let list = || {
        store
            .plain(&["list", "--suite", "lab", "--quiet"])
            .expect(0)
    };
    let file = package::write(store.folder.path(), "new", "1.0", "amd64", "new");
    let file = file.to_str().unwrap();
    let nested = ["--component", "updates/main"];
    lab(&[&["publish", file][..], &nested].concat()).expect(0);
    let both = "new   1.0  amd64  updates/main\ntool  1.0  amd64  updates/main\n";
    assert_eq!(list(), both);
    let keys = store.server.keys(BUCKET);
    let new = "robots/pool/updates/main/n/new/new_1.0_amd64.deb".to_owned();
    assert!(keys.contains(&new), "{keys:#?}");
    lab(&["publish", file, "--component", "updates"]).expect(0);
    lab(&[&["remove", "new"][..], &nested].concat()).expect(0);
    lab(&["rollback", "--to", "@~2"]).expect(0);
    assert_eq!(list(), both);
    let promote = [
        "promote",
        "--all",
        "--from",
        "lab",
        "--to",
        "other",
        "--unsigned",
    ];
    store.plain(&promote).expect(0);
    let shown = store.plain(&["client-config", "--suite", "lab", "--sources"]);
    let sources = shown.expect(0);
    assert!(
        sources.contains("Components: updates/main contrib updates\n"),
        "{sources}"
    );

    // An index of which no file is left comes back from the pool.
    let fresh = ["publish", file, "--suite", "fresh", "--unsigned"];
    store.plain(&[&fresh[..], &nested].concat()).expect(0);
    for key in store.server.keys(BUCKET) {
        if key.contains("dists/fresh/updates/main/binary-amd64/") {
            store.server.delete(BUCKET, &key).unwrap();
        }
    }
    store.plain(&["verify", "fresh"]).expect(1);
    store.plain(&["verify", "fresh", "--repair"]).expect(0);
    let found = store
        .plain(&["list", "--suite", "fresh", "--quiet"])
        .expect(0);
    assert_eq!(found, "new  1.0  amd64  updates/main\n");
    store.wait(11);
    for _ in 0..2 {
        store
            .plain(&["gc", "--grace", "10h", "--keep-history", "1h"])
            .expect(0);
        store.wait(11);
    }
    store.plain(&["verify", "--deep"]).expect(0);
    // Its other indexes go with it.
    let remove = ["suite", "set", "lab", "--remove-component", "updates/main"];
    let remove = [&remove[..], &["--unsigned", "--allow-release-info-change"]].concat();
    store.plain(&remove).expect(0);
    let release = store.server.get(BUCKET, "robots/dists/lab/Release");
    let release = String::from_utf8(release.unwrap().unwrap()).unwrap();
    assert!(!release.contains("updates/main"), "{release}");
}

#[test]
fn an_index_for_all_is_kept_up_for_those_who_ask_for_it() {
    let store = Store::start();
    let tool = store.put_package("tool", "files/tool.deb", "files/tool.deb");
    let asked = store.put_package("asked", "pool/a/a%3a.deb", "./pool/a/a%3a.deb");
    let index = "main/binary-all/Packages";
    let asked = asked.replace("amd64", "all");
    let files = [
        ("main/binary-amd64/Packages", tool.as_str()),
        (index, &asked),
    ];
    store.put_release("amd64", "main", &files);
    let told = store.adopt(&["--unverified"]).expect(0);
    assert!(told.contains("packages: 2\n"), "{told}");
    assert!(!told.contains("devices notice"), "{told}");
    // Devices that do not ask for it by name see no more than before.
    let release = store.server.get(BUCKET, "robots/dists/lab/Release");
    let release = String::from_utf8(release.unwrap().unwrap()).unwrap();
    for line in [
        "Architectures: amd64 all",
        "No-Support-for-Architecture-all: Packages",
    ] {
        assert!(release.contains(&format!("\n{line}\n")), "{release}");
    }
    let plain = |index: &str| {
        let key = format!("robots/dists/lab/main/{index}/Packages.gz");
        let packed = store.server.get(BUCKET, &key).unwrap().unwrap();
        let plain = decompress(Format::Gz, &packed, 1 << 20).unwrap();
        String::from_utf8(plain).unwrap()
    };
    let has = |index: &str, name: &str| plain(index).contains(&format!("Package: {name}\n"));
    assert!(!has("binary-amd64", "asked") && has("binary-all", "asked"));
    let file = package::write(store.folder.path(), "new", "1.0", "all", "new");
    let file = file.to_str().unwrap();
    let lab = |arguments: &[&str]| {
        let arguments = [arguments, &["--suite", "lab", "--unsigned"]].concat();
        store.plain(&arguments).expect(0)
    };
    let list = || {
        let list = ["list", "--suite", "lab", "--quiet"];
        store.plain(&list).expect(0)
    };
    lab(&["publish", file]);
    assert!(
        !has("binary-amd64", "asked") && has("binary-amd64", "new") && has("binary-all", "new")
    );
    let all = "asked  1.0  all    main\nnew    1.0  all    main\ntool   1.0  amd64  main\n";
    assert_eq!(list(), all);
    let of_all = store.plain(&["list", "--suite", "lab", "--quiet", "--arch", "all"]);
    assert_eq!(of_all.expect(0).lines().count(), 2);
    let verified = store.plain(&["verify", "--deep"]).expect(0);
    assert!(verified.contains("3 packages"), "{verified}");
    lab(&["remove", "asked"]);
    assert!(!list().contains("asked") && !has("binary-all", "asked"));
    lab(&["rollback", "--to", "@~1"]);
    assert_eq!(list(), all);
    for _ in 0..2 {
        store.wait(11);
        store
            .plain(&["gc", "--grace", "10h", "--keep-history", "1h"])
            .expect(0);
    }
    store.plain(&["verify", "--deep"]).expect(0);
    // What it names is missed.
    store
        .server
        .delete(BUCKET, "robots/pool/a/a%3a.deb")
        .unwrap();
    store.plain(&["verify"]).expect(1);
}

#[test]
fn package_files_in_the_folder_of_a_suite_outlive_it() {
    let store = Store::start();
    let key = "dists/lab/main/binary-amd64/tool.deb";
    let index = store.put_package("tool", key, &format!("./{key}"));
    store.put_release("amd64", "main", &[("main/binary-amd64/Packages", &index)]);
    store.adopt(&["--unverified"]).expect(0);
    let promote = [
        "promote",
        "--all",
        "--from",
        "lab",
        "--to",
        "other",
        "--unsigned",
    ];
    store.plain(&promote).expect(0);
    let delete = ["suite", "delete", "lab", "--yes", "--unsigned"];
    store.plain(&delete).expect(0);
    store.plain(&["verify", "other", "--deep"]).expect(0);
}

#[test]
fn a_release_that_cannot_be_taken_over_says_what_to_do() {
    let store = Store::start();
    let index = store.put_package("tool", "files/tool.deb", "files/tool.deb");
    let files = [("main/binary-amd64/Packages", index.as_str())];
    for (architectures, components, files, told) in [
        ("amd64", "main", &[][..], "it lists no Packages index"),
        ("AMD64", "main", &files, "give it another name"),
        ("amd64", "main\nodd", &files, "its Release file is at fault"),
    ] {
        store.put_release(architectures, components, files);
        let before = store.server.keys(BUCKET);
        let refused = store.adopt(&["--unverified"]);
        assert_eq!(refused.code, 1, "{refused:#?}");
        let error = &refused.stderr;
        assert!(error.contains(told) && error.contains("next: "), "{error}");
        assert_eq!(store.server.keys(BUCKET), before);
    }
    // Empty lines are no fault.
    store.put_release("amd64", "main", &files);
    let release = store.server.get(BUCKET, "robots/dists/lab/Release");
    let release = [b"\n", &release.unwrap().unwrap()[..], b"\n\n"].concat();
    store.put("dists/lab/Release", &release);
    store.adopt(&["--unverified"]).expect(0);
}

#[test]
fn folders_of_suites_and_components_stay_apart() {
    let store = Store::start();
    let index = store.put_package("tool", "files/tool.deb", "files/tool.deb");
    let files = [("updates/main/binary-amd64/Packages", index.as_str())];
    store.put_release("amd64", "updates/main", &files);
    store.put("dists/lab/updates/Release", b"Suite: other\n");
    let before = store.server.keys(BUCKET);
    let refused = store.adopt(&["--unverified"]);
    assert_eq!(refused.code, 3, "{refused:#?}");
    assert!(
        refused.stderr.contains("would overlap with"),
        "{refused:#?}"
    );
    assert_eq!(store.server.keys(BUCKET), before);
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
