//! Results and messages that nobody takes: what happened is said where it still can be, and the exit code is right.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead as _, BufReader},
    process::{Command, Output, Stdio},
};

use crate::{
    package,
    run::{BUCKET, Run, Store, debucket},
};

/// Takes no byte.
fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

/// The command of a test, with its output elsewhere.
fn plain(command: &assert_cmd::Command) -> Command {
    let mut plain = Command::new(command.get_program());
    plain.args(command.get_args()).env_clear();
    for (name, value) in command.get_envs() {
        plain.env(name, value.unwrap());
    }
    plain
}

fn end(mut command: Command) -> Run {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    Run {
        code: status.code().unwrap(),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

#[test]
fn what_was_done_is_said_although_the_result_cannot_be_written() {
    let store = Store::start();
    for (version, more) in [
        ("1.0", &[][..]),
        ("2.0", &["--output", "json"]),
        ("3.0", &["-vv"]),
    ] {
        let file = package::write(store.folder.path(), "hello", version, "all", version);
        let mut publish = store.debucket(&["publish", "--sign-key"]);
        publish.arg(store.path("key.asc")).arg(&file).args(more);
        let mut publish = plain(&publish);
        publish.stdout(full()).stderr(Stdio::piped());
        let run = end(publish);
        assert_eq!(run.code, 1, "{run:#?}");
        let done = format!("suite stable in {}", crate::run::REPO);
        assert!(run.stderr.contains(&done), "{run:#?}");
        assert!(
            run.stderr
                .contains("could not be written to standard output"),
            "{run:#?}"
        );
        assert!(!run.stderr.contains("panicked"), "{run:#?}");
        let list = store.read(&["list"]).expect(0);
        assert!(list.contains(version), "{list}");
    }
    let mut list = plain(&store.debucket(&["list"]));
    list.stdout(full());
    let run = end(list);
    assert_eq!(run.code, 1);
    assert!(
        run.stderr
            .contains("could not be written to standard output"),
        "{run:#?}"
    );
}

#[test]
fn a_key_that_was_made_is_named_although_the_result_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut generate = plain(debucket().args(["key", "generate"]));
    generate.current_dir(&folder).stdout(full());
    let run = end(generate);
    assert_eq!(run.code, 1, "{run:#?}");
    assert!(
        run.stderr.contains("was made and is in signing-key.asc"),
        "{run:#?}"
    );
    assert!(folder.path().join("signing-key.asc").exists());
    for arguments in [&["--help"][..], &["--version"], &["help", "key"]] {
        let mut help = plain(debucket().args(arguments));
        help.stdout(full());
        assert_eq!(end(help).code, 1, "{arguments:?}");
    }
}

#[test]
fn messages_that_cannot_be_written_change_nothing() {
    let store = Store::start();
    for (version, more) in [("1.0", &[][..]), ("2.0", &["-vv"])] {
        let file = package::write(store.folder.path(), "hello", version, "all", version);
        let mut publish = store.debucket(&["publish", "--sign-key"]);
        publish.arg(store.path("key.asc")).arg(&file).args(more);
        publish.env("RUST_LOG", "trace");
        let mut publish = plain(&publish);
        publish.stderr(full());
        assert_eq!(end(publish).code, 0);
        assert!(store.read(&["list"]).expect(0).contains(version));
    }
    // An error that nobody sees still has its exit code.
    for (arguments, code) in [(&["frobnicate"][..], 2), (&["show", "nobody"], 4)] {
        let mut failing = plain(&store.debucket(arguments));
        failing.stdout(full()).stderr(full());
        assert_eq!(end(failing).code, code, "{arguments:?}");
    }
    // Closed from the start: whoever closes them wants to see nothing.
    let file = package::write(store.folder.path(), "hello", "3.0", "all", "third");
    let publish = store.debucket(&["publish", "--unsigned", "--suite", "lab"]);
    let mut shell = plain(&publish);
    let program = shell.get_program().to_owned();
    let arguments: Vec<_> = shell.get_args().map(ToOwned::to_owned).collect();
    let mut closed = Command::new("/bin/sh");
    closed
        .args(["-c", "exec \"$@\" >&- 2>&- <&-", "sh"])
        .arg(program)
        .args(arguments)
        .arg(&file);
    closed.env_clear().envs(
        shell
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    shell.stdout(Stdio::null());
    assert_eq!(end(closed).code, 0);
    let head = "robots/dists/lab/Release";
    assert!(store.server.get(BUCKET, head).unwrap().is_some());
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let store = Store::start();
    let file = package::write(store.folder.path(), "hello", "1.0", "all", "first");
    store.publish(&file, &[]).expect(0);
    for arguments in [
        &["list"][..],
        &["log"],
        &["show", "hello"],
        &["--help"],
        &["list", "--output", "json"],
    ] {
        let mut command = plain(&store.debucket(arguments));
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Closed before anything is written.
        drop(child.stdout.take());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let errors: Vec<_> = stderr
            .lines()
            .map_while(Result::ok)
            .filter(|line| !line.starts_with("note: "))
            .collect();
        let status = child.wait().unwrap();
        assert!(
            status.success() && errors.is_empty(),
            "{arguments:?}: {status} {errors:?}"
        );
    }
}
