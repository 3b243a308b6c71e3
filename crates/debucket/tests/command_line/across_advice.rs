//! What is advised about the repository that packages come from names that one, and how it is reached.

use dev_s3::{AccessKey, Fault, Grants, Rule};
use hyper::StatusCode;

use crate::{
    across::{OTHER, TOOL},
    package,
    run::{BUCKET, REPO, Run, Store, run},
};

/// What is advised about the source is run as it stands, by someone whose own store is another one.
#[test]
fn advice_about_the_source_says_how_it_is_reached() {
    let (store, source) = (Store::start(), Store::start());
    let key = AccessKey::new("staging", "secret", Grants::All);
    source.server.set_access_keys(vec![key]);
    let credentials = "[staging]\naws_access_key_id = staging\naws_secret_access_key = secret\n";
    std::fs::write(store.path("credentials"), credentials).unwrap();
    let endpoint = source.server.endpoint();
    let of_source = ["--endpoint-url", &endpoint, "--profile", "staging"];
    let with = |arguments: &[&str]| {
        let mut command = store.debucket(arguments);
        command.env("AWS_SHARED_CREDENTIALS_FILE", store.path("credentials"));
        command
    };
    let add = |version: &str| {
        let file = package::write(store.folder.path(), "tool", version, "all", version);
        let publish = [
            &["publish", file.to_str().unwrap(), "--suite", "testing"],
            &of_source[..],
        ]
        .concat();
        run(with(&publish).args(store.signing())).expect(0);
    };
    let promote = |package: &str, from: &str| {
        let promote = [
            "promote",
            package,
            "--from",
            from,
            "--to",
            "stable",
            "--from-repo",
            REPO,
        ];
        let reach = [
            "--from-endpoint-url",
            &endpoint,
            "--from-profile",
            "staging",
        ];
        run(with(&[&promote[..], &reach].concat()).args(store.signing()))
    };
    // The commands among the advice, each run by a shell.
    let followed = |told: &Run| {
        let next = told
            .stderr
            .lines()
            .filter(|line| line.starts_with("  next: "));
        let commands = next.flat_map(|line| line.split('`').skip(1).step_by(2));
        let program = assert_cmd::cargo::cargo_bin!("debucket")
            .display()
            .to_string();
        let runs = commands.map(|command| {
            let rest = command
                .strip_prefix("debucket ")
                .unwrap_or_else(|| panic!("{told:#?}"));
            let mut shell = assert_cmd::Command::new("sh");
            let is_variable = |(name, value): (&std::ffi::OsStr, Option<&std::ffi::OsStr>)| {
                Some((name.to_owned(), value?.to_owned()))
            };
            shell
                .env_clear()
                .envs(with(&[]).get_envs().filter_map(is_variable));
            shell
                .env("DEBUCKET_SIGN_KEY", store.path("key.asc"))
                .env("DEBUCKET_REPO", "s3://nowhere");
            run(shell.args(["-c", &format!("{program} {rest}")]))
        });
        runs.collect::<Vec<_>>()
    };
    let head = "robots/dists/testing/InRelease";
    add("1.0");
    let old = source.server.get(BUCKET, head).unwrap().unwrap();
    add("2.0");
    let missing = promote("tool", "nowhere");
    let [listed] = &followed(&missing)[..] else {
        panic!("{missing:#?}")
    };
    assert_eq!(listed.stdout, "testing\n", "{missing:#?} {listed:#?}");

    let lost = format!("robots/{TOOL}");
    let bytes = source.server.get(BUCKET, &lost).unwrap().unwrap();
    source.server.delete(BUCKET, &lost).unwrap();
    let damaged = promote("tool=1.0", "testing");
    let [verified] = &followed(&damaged)[..] else {
        panic!("{damaged:#?}")
    };
    assert!(verified.stdout.contains(TOOL), "{damaged:#?} {verified:#?}");
    source.server.put(BUCKET, &lost, &bytes).unwrap();

    source.server.put(BUCKET, head, &old).unwrap();
    let warned = promote("tool=1.0", "testing");
    assert!(warned.stderr.contains("was put back"), "{warned:#?}");
    let repaired = followed(&warned).remove(0);
    assert!(
        repaired.stdout.contains("repaired: "),
        "{warned:#?} {repaired:#?}"
    );
}

#[test]
fn what_the_other_repository_lacks_is_said_of_that_repository() {
    let store = Store::with_other_bucket();
    store.add_other("tool", "1.0");
    for arguments in [&["other"][..], &["tool", "--component", "extra"]] {
        let missing = store.promote_from(OTHER, arguments);
        assert_eq!(missing.code, 4, "{missing:#?}");
        let told = format!("suite testing of {OTHER} has no ");
        let advice = format!("`debucket list --suite testing --repo {OTHER}");
        assert!(
            missing.stderr.contains(&told) && missing.stderr.contains(&advice),
            "{missing:#?}"
        );
    }
}

/// The options of the source are named where the source's store fails, and those of the destination are not.
#[test]
fn advice_about_the_sources_store_names_the_sources_options() {
    let store = Store::with_other_bucket();
    store.add_other("tool", "1.0");
    let proxy = store.proxy();
    let endpoint = proxy.endpoint();
    let refused = "http://127.0.0.1:9";
    let config = "[profile empty]\nregion = eu-west-1\n";
    std::fs::write(store.path("config"), config).unwrap();
    let promote = |more: &[&str]| {
        let mut command = store.debucket(&["promote", "tool", "--from", "testing"]);
        command.args(["--to", "stable", "--from-repo", OTHER]);
        command.args(store.signing()).args(more);
        run(command.env("AWS_CONFIG_FILE", store.path("config")))
    };
    for (status, code, expected) in [
        (301, "PermanentRedirect", "--from-endpoint-url"),
        (404, "NoSuchBucket", "--from-endpoint-url"),
        (403, "AccessDenied", "--from-profile"),
        (405, "MethodNotAllowed", "--from-endpoint-url"),
    ] {
        proxy.clear_rules();
        let answer = Fault::Answer(StatusCode::from_u16(status).unwrap(), code);
        proxy.push(Rule::new(answer));
        check(&promote(&["--from-endpoint-url", &endpoint]), expected);
    }
    check(
        &promote(&["--from-endpoint-url", refused]),
        "--from-endpoint-url",
    );
    check(&promote(&["--from-profile", "empty"]), "--from-profile");
    // Where the destination's fails, its own are.
    proxy.clear_rules();
    let own = promote(&["--endpoint-url", refused, "--from-endpoint-url", &endpoint]);
    let next = "next: check the host and port in --endpoint-url";
    assert!(own.stderr.contains(next), "{own:#?}");
}

#[track_caller]
fn check(failed: &Run, expected: &str) {
    assert_eq!(failed.code, 1, "{failed:#?}");
    assert!(
        failed.stderr.contains("cannot be taken from"),
        "{failed:#?}"
    );
    let (_, next) = failed
        .stderr
        .split_once("  next: ")
        .unwrap_or_else(|| panic!("{failed:#?}"));
    // Commands have the options of any command.
    let words: String = next.split('`').step_by(2).collect();
    let is_own = |option: &&str| words.contains(option);
    let own = ["--endpoint-url", "--profile", "--repo "]
        .into_iter()
        .find(is_own);
    assert!(words.contains(expected) && own.is_none(), "{failed:#?}");
}
