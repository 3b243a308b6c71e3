//! What arguments and variables mean, and which of them wins.

use std::{fs, process::Command};

use crate::{
    package,
    run::{BUCKET, REPO, Store, debucket, run},
};

#[test]
fn an_option_wins_over_a_variable() {
    let store = Store::start();
    let file = package::write(store.folder.path(), "hello", "1.0", "all", "first");
    store.publish(&file, &[]).expect(0);
    let of = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = store.debucket(arguments);
        command.envs(variables.iter().copied());
        run(&mut command)
    };
    let elsewhere = ("DEBUCKET_REPO", "s3://other-apt/elsewhere");
    for (arguments, variables) in [
        (
            &["list", "--bucket", BUCKET, "--prefix", "robots"][..],
            &[elsewhere][..],
        ),
        (&["list", "--repo", REPO], &[elsewhere]),
        (
            &["list", "--suite", "stable"],
            &[("DEBUCKET_SUITE", "testing")],
        ),
        (
            &["list"],
            &[
                ("DEBUCKET_SUITE", "stable\n"),
                ("DEBUCKET_REPO", "s3://acme-apt/robots/\n"),
            ],
        ),
        // CI systems set what has no value to nothing.
        (
            &["list"],
            &[
                ("DEBUCKET_SUITE", ""),
                ("DEBUCKET_KEYRING", ""),
                ("DEBUCKET_SIGN_KEY", ""),
                ("AWS_PROFILE", ""),
            ],
        ),
        (&["list", "--repo", REPO], &[("DEBUCKET_REPO", "")]),
    ] {
        let run = of(arguments, variables);
        assert!(
            run.stdout.starts_with("hello"),
            "{arguments:?} {variables:?}: {run:#?}"
        );
    }
    for (arguments, variables, words) in [
        (
            &["list"][..],
            &[("DEBUCKET_SUITE", "../up")][..],
            "DEBUCKET_SUITE: ",
        ),
        (&["list"], &[("DEBUCKET_REPO", "acme")], "DEBUCKET_REPO: "),
        (&["list"], &[("DEBUCKET_REPO", "")], "which repository?"),
        (
            &["list", "--repo", REPO, "--bucket", BUCKET],
            &[],
            "cannot be used with",
        ),
        (&["list", "--prefix", "x"], &[elsewhere], "--bucket"),
        (&["frobnicate"], &[], "unrecognized subcommand"),
    ] {
        let run = of(arguments, variables);
        assert_eq!(run.code, 2, "{arguments:?} {variables:?}: {run:#?}");
        assert!(run.stderr.contains(words), "{run:#?}");
    }
    // The key of the variable is this identity's; the profile's is another.
    let credentials = store.path("credentials");
    fs::write(
        &credentials,
        "[other]\naws_access_key_id = OTHER\naws_secret_access_key = s\n",
    )
    .unwrap();
    let files = ("AWS_SHARED_CREDENTIALS_FILE", credentials.to_str().unwrap());
    let other = of(&["list", "--profile", "other"], &[files]);
    assert!(
        other.code == 1 && other.stderr.contains("InvalidAccessKeyId"),
        "{other:#?}"
    );
    let missing = of(&["list", "--profile", "missing"], &[files]);
    assert!(
        missing.code == 1 && missing.stderr.contains("\"missing\""),
        "{missing:#?}"
    );
}

#[test]
fn help_is_a_command() {
    for (arguments, words) in [
        (&["help"][..], "Commands:"),
        (&["help", "publish"], "Add packages to a suite"),
        (&["help", "key", "generate"], "Make a key pair"),
    ] {
        let help = run(debucket().args(arguments)).expect(0);
        assert!(help.contains(words), "{help}");
    }
}

#[test]
fn folders_and_globs_take_packages_or_say_what_they_lack() {
    let store = Store::start();
    let folder = store.path("build");
    fs::create_dir_all(folder.join("logs")).unwrap();
    let path = folder.to_str().unwrap().to_owned();
    let publish = |path: &str| store.publish(path.as_ref(), &["--dry-run"]);
    let empty = publish(&path);
    assert_eq!(empty.code, 4, "{empty:#?}");
    assert!(
        empty.stderr.contains("no .deb in this folder"),
        "{empty:#?}"
    );
    package::write(&folder, "hello", "1.0", "all", "first");
    fs::write(folder.join("hello_1.0.buildinfo"), "Format: 1.8\n").unwrap();
    assert!(publish(&path).expect(0).contains("hello"));
    assert!(
        publish(&format!("{path}/*.deb"))
            .expect(0)
            .contains("hello")
    );
    for (glob, code, words) in [
        ("/h*", 1, "hello_1.0.buildinfo: not a .deb"),
        ("/*", 4, "logs: no .deb in this folder"),
        ("/lo*", 4, "logs: no .deb in this folder"),
        ("/x*", 4, "x*: no such file"),
    ] {
        let run = publish(&format!("{path}{glob}"));
        assert_eq!(run.code, code, "{run:#?}");
        let errors = run
            .stderr
            .lines()
            .filter(|line| line.starts_with("error: "));
        assert_eq!(errors.count(), 1, "{run:#?}");
        assert!(
            run.stderr.contains(words) && run.stderr.contains("next: give .deb files"),
            "{run:#?}"
        );
    }
}

#[test]
fn a_version_is_named_as_apt_has_it() {
    let store = Store::start();
    for version in ["1.0", "2.0"] {
        let file = package::write(store.folder.path(), "hello", version, "all", version);
        store.publish(&file, &[]).expect(0);
    }
    for arguments in [
        &["show", "hello=1.0"][..],
        &["show", "hello", "1.0"],
        &["show", "hello=0:1.0-0"],
        &["show", "h*:all (<< 2.0)"],
    ] {
        let shown = store.read(arguments).expect(0);
        assert!(shown.contains("\nVersion: 1.0\n"), "{shown}");
    }
    for (arguments, code) in [
        (&["show", "hello=3.0"][..], 4),
        (&["show", "hello=1.0", "1.0"], 2),
        (&["show", "hello=1.0", "--all-versions"], 2),
        (&["show", "hello="], 2),
    ] {
        assert_eq!(store.read(arguments).code, code, "{arguments:?}");
    }
}

#[test]
fn what_contradicts_itself_is_a_wrong_call() {
    let store = Store::start();
    let file = package::write(store.folder.path(), "hello", "1.0", "all", "first");
    let file = file.to_str().unwrap();
    store.publish(file.as_ref(), &[]).expect(0);
    let before = store.server.keys(BUCKET);
    let (create, set) = (
        &["suite", "create", "new"][..],
        &["suite", "set", "stable"][..],
    );
    let publish = &["publish", file][..];
    for (command, options) in [
        (set, &["--alias", "x", "--no-alias", "x"][..]),
        (set, &["--alias", "stable"]),
        (set, &["--components", "c,d", "--remove-component", "d"]),
        (set, &["--architectures", "amd64,arm64,source"]),
        (set, &["--architectures", "any"]),
        (set, &["--origin", "a", "--field", "ORIGIN=b"]),
        (create, &["--architectures", "source"]),
        (create, &["--architectures", "amd64,linux-any"]),
        (create, &["--architectures", "all"]),
        (create, &["--no-alias", "x"]),
        (create, &["--remove-component", "main"]),
        (create, &["--alias", "new"]),
        (publish, &["--architectures", "amd64,arm64,any"]),
        (publish, &["--suite", "new", "--architectures", "source"]),
        (&["phase", "hello"], &["50", "--halt"]),
        (&["phase", "50"], &["--halt"]),
        (
            &["promote", "hello", "--all"],
            &["--from", "a", "--to", "b"],
        ),
        (
            &["promote", "hello"],
            &["--from", "stable", "--to", "stable"],
        ),
        (
            &["promote", "hello", "--mirror"],
            &["--from", "stable", "--to", "b"],
        ),
        (&["refresh", "--force"], &["--within", "1d"]),
    ] {
        for more in [&["--dry-run"][..], &[]] {
            let mut command = store.debucket(&[command, options, more].concat());
            let refused = run(command.arg("--sign-key").arg(store.path("key.asc")));
            assert_eq!(refused.code, 2, "{options:?}: {refused:#?}");
        }
    }
    assert_eq!(store.server.keys(BUCKET), before);
    let mut twice = store.debucket(&["suite", "set", "stable", "--formats", "gz,zst,gz"]);
    let twice = run(twice.arg("--sign-key").arg(store.path("key.asc"))).expect(0);
    assert!(twice.starts_with("nothing to do"), "{twice}");
}

/// What real apt makes of a prefix that is allowed.
#[test]
fn apt_reads_the_sources_of_every_prefix() {
    if Command::new("apt-get").arg("--version").output().is_err() {
        return;
    }
    let store = Store::start();
    let root = store.path("apt");
    for folder in [
        "etc/sources.list.d",
        "etc/apt.conf.d",
        "lists/partial",
        "cache/archives/partial",
    ] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::write(root.join("status"), "").unwrap();
    let path = |name: &str| root.join(name).display().to_string();
    for prefix in [
        "",
        "robots",
        "a@b",
        "a,b=c",
        "~ada/x",
        "-x",
        "a..b",
        "_.-~+@=,/z",
    ] {
        let config = run(store
            .debucket(&["client-config", "--bucket", BUCKET])
            .arg(format!("--prefix={prefix}"))
            .arg("--key")
            .arg(store.path("public.asc")));
        let config = config.expect(0);
        // Under the names that it gives, since apt passes over others.
        let name = |folder: &str| {
            let line = config
                .lines()
                .find_map(|line| line.strip_prefix(&format!("# /etc/apt/{folder}/")));
            line.unwrap().to_owned()
        };
        let sources: Vec<_> = config
            .lines()
            .skip_while(|line| !line.starts_with("Types:"))
            .take_while(|line| !line.is_empty())
            .collect();
        // The acquire method is not installed; another that reads URIs in the same way is.
        let sources = sources.join("\n").replace("s3://", "http://");
        let file = root.join("etc/sources.list.d").join(name("sources.list.d"));
        fs::write(&file, format!("{sources}\n")).unwrap();
        let settings: Vec<_> = config
            .lines()
            .filter(|line| line.starts_with("Acquire::"))
            .collect();
        let settings_file = root.join("etc/apt.conf.d").join(name("apt.conf.d"));
        fs::write(&settings_file, settings.join("\n")).unwrap();
        let apt = |program: &str, arguments: &[&str]| {
            let output = Command::new(program)
                .args(["-o", &format!("Dir::Etc={}", path("etc"))])
                .args(["-o", &format!("Dir::State={}", path(""))])
                .args(["-o", &format!("Dir::State::status={}", path("status"))])
                .args(["-o", &format!("Dir::Cache={}", path("cache"))])
                .args(arguments)
                .env("APT_CONFIG", &settings_file)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success(), "{prefix}: {output:#?}");
            said
        };
        let uris = apt("apt-get", &["update", "--print-uris"]);
        let slash = if prefix.is_empty() { "" } else { "/" };
        let expected = format!("'http://{BUCKET}{slash}{prefix}/dists/stable/InRelease'");
        assert!(uris.contains(&expected), "{prefix}: {uris}");
        let dump = apt("apt-config", &["dump"]);
        let endpoint = format!(
            "Acquire::s3::{BUCKET}::Endpoint \"{}\";",
            store.server.endpoint()
        );
        assert!(dump.contains(&endpoint), "{dump}");
        fs::remove_file(file).unwrap();
        fs::remove_file(settings_file).unwrap();
    }
    for arguments in [
        &["--signed-by", "acme.asc"][..],
        &["--signed-by", "/etc/my keys/acme.asc"],
        &["--signed-by", "/etc/a,b.asc"],
        &["--endpoint-url", "http://x\"; Dir::Etc \"/tmp"],
        &["--region", "a\nb"],
        &["--prefix", "a b", "--bucket", BUCKET],
    ] {
        let run = run(store.debucket(&["client-config"]).args(arguments));
        assert_eq!(
            (run.code, run.stdout.as_str()),
            (2, ""),
            "{arguments:?}: {run:#?}"
        );
    }
}
