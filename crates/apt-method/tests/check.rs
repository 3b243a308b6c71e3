//! `--check`, as a person runs it, with the machine's own `apt-config` and `apt-get`.

#![allow(clippy::unwrap_used, reason = "a test fails where it panics")]

use std::process::{Command, Output};

use dev_s3::DevS3;

const PROGRAM: &str = env!("CARGO_BIN_EXE_apt-method-s3");

async fn store() -> DevS3 {
    let store = DevS3::builder().bucket("acme-apt").start().await.unwrap();
    store
        .put("acme-apt", "apt/dists/stable/InRelease", b"signed")
        .unwrap();
    store
        .put("acme-apt", "apt/dists/old/Release", b"not")
        .unwrap();
    store
}

/// The program with the machine's sources replaced by `sources`, and keys in a file.
fn check(store: &DevS3, sources: &str, secret: &str, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::create_dir(path("lists")).unwrap();
    std::fs::write(path("sources.list"), sources).unwrap();
    let auth = format!(
        "Endpoint = {}\nAccessKeyId = {}\nSecretAccessKey = {secret}\n",
        store.endpoint(),
        DevS3::DEFAULT_KEY_ID
    );
    std::fs::write(path("s3auth.conf"), auth).unwrap();
    let options = [
        format!("Dir::Etc::sourcelist={}", path("sources.list")),
        "Dir::Etc::sourceparts=/dev/null".to_owned(),
        format!("Dir::State::lists={}", path("lists")),
        format!("Acquire::s3::AuthConf={}", path("s3auth.conf")),
        // It exists everywhere.
        "APT::Sandbox::User=nobody".to_owned(),
    ];
    Command::new(PROGRAM)
        .arg("--check")
        .args(options.iter().flat_map(|option| ["-o", option]))
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_source_of_the_machine_is_tried_as_apt_would() {
    let store = store().await;
    let sources = "deb [trusted=yes] s3://acme-apt/apt stable main\n\
        deb [trusted=yes] s3://acme-apt/apt old main\n\
        deb [trusted=yes] http://127.0.0.1:1/ stable main\n";
    let output = check(&store, sources, DevS3::DEFAULT_SECRET, &[]);
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    for line in [
        "s3://acme-apt/apt/dists/stable/\n",
        "s3://acme-apt/apt/dists/old/\n",
        &format!("endpoint     {} (", store.endpoint()),
        "from settings (",
        "proxy        none\n",
        "clock        within a minute",
        "apt          ok: InRelease can be read (6 bytes)\n",
        "apt          ok: Release can be read (3 bytes)\n",
    ] {
        assert!(said.contains(line), "{line} is not in\n{said}");
    }
    assert!(
        !said.contains(DevS3::DEFAULT_SECRET) && !said.contains(":1/"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_as_apt_would_say_it() {
    let store = store().await;
    let output = check(&store, "", "wrong", &["s3://acme-apt/apt", "stable"]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("apt          403 Forbidden: s3://acme-apt/apt/dists/stable/InRelease: SignatureDoesNotMatch"), "{said}");
    let output = check(&store, "", DevS3::DEFAULT_SECRET, &["s3://acme-apt/else"]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("404 Not Found: s3://acme-apt/else/dists/stable/InRelease"),
        "{said}"
    );
    let output = check(&store, "", DevS3::DEFAULT_SECRET, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("no source whose address begins with s3://"));
    assert_eq!(check(&store, "", "", &["nonsense"]).status.code(), Some(2));
}
