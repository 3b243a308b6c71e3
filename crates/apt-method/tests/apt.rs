//! The real apt over the real program: an unsigned repository in the embedded store, in a private
//! root that leaves the machine's apt alone.

#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use deb_index::digest::{Algorithm, Digests};
use dev_s3::{AccessKey, DevS3, Grants};

const PACKAGES: usize = 12;

/// apt's own folder, with our method among the system's.
struct AptRoot {
    folder: tempfile::TempDir,
}

impl AptRoot {
    fn new(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // As root, apt fetches as the user _apt, who must reach it.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let root = Self { folder };
        for name in [
            "methods",
            "etc/apt/apt.conf.d",
            "etc/apt/preferences.d",
            "etc/apt/sources.list.d",
            "lists/partial",
            "cache/archives/partial",
            "state",
        ] {
            fs::create_dir_all(root.path(name)).unwrap();
        }
        for entry in
            fs::read_dir("/usr/lib/apt/methods").expect("apt is needed: is this Debian or Ubuntu?")
        {
            let entry = entry.unwrap();
            if entry.file_name() != "s3" {
                symlink(entry.path(), root.path("methods").join(entry.file_name())).unwrap();
            }
        }
        symlink(env!("CARGO_BIN_EXE_apt-method-s3"), root.path("methods/s3")).unwrap();
        fs::write(root.path("state/status"), "").unwrap();
        let base = folder_text(&root.path(""));
        let config = format!(
            "Dir::Bin::methods \"{base}methods\";\nDir::Etc \"{base}etc/apt\";\nDir::State \"{base}state\";\nDir::State::status \"{base}state/status\";\nDir::State::lists \"{base}lists\";\nDir::Cache \"{base}cache\";\nAPT::Architecture \"amd64\";\nAPT::Architectures:: \"amd64\";\nAcquire::Languages \"none\";\nAcquire::s3::AuthConf \"{base}etc/apt/s3auth.conf\";\n{settings}\n"
        );
        fs::write(root.path("apt.conf"), config).unwrap();
        root
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path("etc/apt").join(name), text).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let mut command = Command::new("apt-get");
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("LC_ALL", "C")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("APT_CONFIG", self.path("apt.conf"))
            .current_dir(self.folder.path())
            .args(arguments);
        Run::from(
            command
                .output()
                .expect("apt-get is needed: is this Debian or Ubuntu?"),
        )
    }
}

fn folder_text(path: &Path) -> String {
    path.display().to_string()
}

/// What apt said, and how it ended.
struct Run {
    success: bool,
    text: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        Self {
            success: output.status.success(),
            text,
        }
    }
}

impl Run {
    #[track_caller]
    fn clean(self) -> Self {
        let complaint = self.text.lines().any(|line| {
            line.starts_with("W: ") && !line.contains("unsandboxed") || line.starts_with("E: ")
        });
        assert!(self.success && !complaint, "{}", self.text);
        self
    }

    #[track_caller]
    fn says(self, words: &str) -> Self {
        assert!(self.text.contains(words), "{words} in\n{}", self.text);
        self
    }
}

fn sha256(bytes: &[u8]) -> String {
    Digests::of(&[Algorithm::Sha256], bytes)
        .get(Algorithm::Sha256)
        .unwrap()
}

/// Builds a package with `dpkg-deb`.
fn package(folder: &Path, name: &str) -> Vec<u8> {
    let tree = folder.join(name);
    fs::create_dir_all(tree.join("DEBIAN")).unwrap();
    let control = format!(
        "Package: {name}\nVersion: 1.0+1~x\nArchitecture: all\nMaintainer: T <t@example.com>\nDescription: test\n"
    );
    fs::write(tree.join("DEBIAN/control"), control).unwrap();
    let path = folder.join(format!("{name}.deb"));
    let status = Command::new("dpkg-deb")
        .args(["--root-owner-group", "--build"])
        .args([&tree, &path])
        .output()
        .unwrap()
        .status;
    assert!(status.success());
    fs::read(path).unwrap()
}

/// Puts an unsigned repository below `prefix`: `Release` without `InRelease` and `Release.gpg`.
fn publish(store: &DevS3, prefix: &str, version: u32) {
    let folder = tempfile::tempdir().unwrap();
    let mut packages = String::new();
    for number in 0..PACKAGES {
        let name = format!("package{number}");
        let deb = package(folder.path(), &name);
        let path = format!("pool/main/p/{name}_1.0+1~x_all.deb");
        store
            .put("bucket", &format!("{prefix}{path}"), &deb)
            .unwrap();
        packages += &format!(
            "Package: {name}\nVersion: 1.0+1~x\nArchitecture: all\nMaintainer: T <t@example.com>\nDescription: test {version}\nFilename: {path}\nSize: {}\nSHA256: {}\n\n",
            deb.len(),
            sha256(&deb)
        );
    }
    let index = "main/binary-amd64/Packages";
    store
        .put(
            "bucket",
            &format!("{prefix}dists/stable/{index}"),
            packages.as_bytes(),
        )
        .unwrap();
    store
        .put(
            "bucket",
            &format!(
                "{prefix}dists/stable/main/binary-amd64/by-hash/SHA256/{}",
                sha256(packages.as_bytes())
            ),
            packages.as_bytes(),
        )
        .unwrap();
    let release = format!(
        "Suite: stable\nCodename: stable\nDate: Mon, 0{version} Jan 2024 00:00:00 UTC\nArchitectures: amd64\nComponents: main\nAcquire-By-Hash: yes\nSHA256:\n {} {} {index}\n",
        sha256(packages.as_bytes()),
        packages.len()
    );
    store
        .put(
            "bucket",
            &format!("{prefix}dists/stable/Release"),
            release.as_bytes(),
        )
        .unwrap();
}

fn auth(store: &DevS3, id: &str, secret: &str) -> String {
    format!(
        "# for the test\nAccessKeyId = '{id}'\nSecretAccessKey = \"{secret}\"\nRegion = 'us-east-1'\nEndpoint = {}\n",
        store.endpoint()
    )
}

fn download(root: &AptRoot) {
    let names: Vec<String> = (0..PACKAGES)
        .map(|number| format!("package{number}"))
        .collect();
    let mut arguments = vec!["install", "--yes", "--download-only"];
    arguments.extend(names.iter().map(String::as_str));
    root.run(&arguments).clean();
    let debs = fs::read_dir(root.path("cache/archives"))
        .unwrap()
        .filter(|entry| {
            entry
                .as_ref()
                .unwrap()
                .path()
                .extension()
                .is_some_and(|end| end == "deb")
        });
    assert_eq!(debs.count(), PACKAGES);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsigned_suite_is_installed_with_a_key_that_may_only_read() {
    let reader = AccessKey::new("reader", "reader-secret", Grants::GetObjectOnly);
    let store = DevS3::builder()
        .bucket("bucket")
        .access_key(reader)
        .start()
        .await
        .unwrap();
    publish(&store, "", 1);
    // Old enough that a second change within the same second is ruled out.
    store.clock().advance(Duration::from_secs(10));
    let root = AptRoot::new("");
    root.write("s3auth.conf", &auth(&store, "reader", "reader-secret"));
    root.write(
        "sources.list",
        "deb [trusted=yes] s3://bucket/ stable main\n",
    );
    root.run(&["update"]).clean();
    download(&root);
    // Nothing new: the date of the copy is asked with.
    store.clear_request_log();
    root.run(&["update"]).clean().says("Hit:");
    assert!(
        store
            .request_log()
            .iter()
            .all(|logged| logged.status != 200),
        "{:?}",
        store.request_log()
    );
    publish(&store, "", 2);
    root.run(&["update"]).clean().says("Get:");
    root.run(&["update", "-o", "Acquire::s3::bucket::Rolle=x"])
        .says("W: s3: Acquire::s3::bucket::Rolle has no effect");
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_are_spelled_in_many_ways() {
    let store = DevS3::builder()
        .bucket("bucket")
        .access_key(AccessKey::new("id", "se/cret+1", Grants::All))
        .start()
        .await
        .unwrap();
    publish(&store, "pre+fix~1/", 1);
    let (address, endpoint) = (store.address(), store.endpoint());
    let cases = [
        ("sources.list", "deb [trusted=yes] s3://bucket/pre+fix~1 stable main\n".to_owned(), true),
        ("sources.list", "deb [trusted=yes] s3://bucket.s3.us-east-1.amazonaws.com/pre+fix~1 stable main\n".to_owned(), true),
        ("sources.list.d/a.sources", "Types: deb\nURIs: s3://bucket/pre+fix~1/\nSuites: stable\nComponents: main\nTrusted: yes\n".to_owned(), true),
        ("sources.list.d/a.sources", "Types: deb\nURIs: s3://id:se%2fcret+1@s3.amazonaws.com/bucket/pre%2bfix%7e1/\nSuites: stable\nComponents: main\nTrusted: yes\n".to_owned(), false),
        ("sources.list.d/a.sources", format!("Types: deb\nURIs: s3://id:se%2Fcret+1@{address}/bucket/pre+fix~1/\nSuites: stable\nComponents: main\nTrusted: yes\n"), false),
    ];
    for encoded in ["true", "false"] {
        for (file, text, with_file) in &cases {
            let root = AptRoot::new(&format!(
                "Acquire::s3::Endpoint \"{endpoint}\";\nAcquire::Send-URI-Encoded \"{encoded}\";"
            ));
            if *with_file {
                root.write("s3auth.conf", "AccessKeyId=id\nSecretAccessKey=se/cret+1\n");
            }
            root.write(file, text);
            let run = root.run(&["update"]).clean();
            assert!(
                !run.text.contains("se/cret") && !run.text.to_lowercase().contains("se%2fcret"),
                "{}",
                run.text
            );
            download(&root);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_fail_the_update_and_harm_no_other_source() {
    let store = DevS3::builder()
        .bucket("bucket")
        .bucket("other")
        .start()
        .await
        .unwrap();
    publish(&store, "", 1);
    let root = AptRoot::new(&format!(
        "Acquire::s3::bucket::AccessKeyId \"{}\";\nAcquire::s3::bucket::SecretAccessKey \"{}\";",
        DevS3::DEFAULT_KEY_ID,
        DevS3::DEFAULT_SECRET
    ));
    root.write("s3auth.conf", &auth(&store, "nobody", "hunter2"));
    root.write(
        "sources.list",
        "deb s3://other/ stable main\ndeb [trusted=yes] s3://bucket/ stable main\n",
    );
    let run = root
        .run(&["update"])
        .says("InvalidAccessKeyId")
        .says("Get:");
    assert!(
        !run.success && !run.text.contains("hunter2"),
        "{}",
        run.text
    );
    download(&root);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flat_repository_works() {
    let store = DevS3::builder().bucket("bucket").start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let deb = package(folder.path(), "flat");
    store.put("bucket", "flat/flat.deb", &deb).unwrap();
    let packages = format!(
        "Package: flat\nVersion: 1.0+1~x\nArchitecture: all\nMaintainer: T <t@example.com>\nDescription: test\nFilename: ./flat.deb\nSize: {}\nSHA256: {}\n\n",
        deb.len(),
        sha256(&deb)
    );
    store
        .put("bucket", "flat/Packages", packages.as_bytes())
        .unwrap();
    let root = AptRoot::new("");
    root.write(
        "s3auth.conf",
        &auth(&store, DevS3::DEFAULT_KEY_ID, DevS3::DEFAULT_SECRET),
    );
    root.write("sources.list", "deb [trusted=yes] s3://bucket/flat ./\n");
    root.run(&["update"]).clean();
    root.run(&["install", "--yes", "--download-only", "flat"])
        .clean();
}
