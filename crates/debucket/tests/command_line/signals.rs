//! What an interruption leaves, and what is said of it.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use dev_s3::{Fault, FaultProxy, Next, Operation, Rule};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    package,
    run::{BUCKET, Run, Store, run},
};

/// Longer than anything takes on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Lets the test know of the first request that a rule matches, and keeps it waiting for ever.
fn stop_at(proxy: &FaultProxy, narrow: impl Fn(Rule) -> Rule) -> mpsc::Receiver<()> {
    let (sender, receiver) = mpsc::channel();
    let sender = Mutex::new(sender);
    let arrived = Fault::Before(Arc::new(move |_| {
        let _ = sender.lock().unwrap().send(());
        Box::pin(std::future::pending())
    }));
    proxy.push(narrow(Rule::new(arrived)));
    receiver
}

fn start(store: &Store, proxy: &FaultProxy, file: &Path, prelude: &str) -> Child {
    let arguments = ["publish", file.to_str().unwrap()];
    start_command(store, proxy, &arguments, prelude)
}

fn start_command(store: &Store, proxy: &FaultProxy, arguments: &[&str], prelude: &str) -> Child {
    let mut publish = store.debucket(arguments);
    publish.env("DEBUCKET_SIGN_KEY", store.path("key.asc"));
    publish.env("AWS_ENDPOINT_URL", proxy.endpoint());
    // The process that started the tests may ignore some, as nohup does, and a shell cannot stop that.
    let mut shell = Command::new("/usr/bin/env");
    shell
        .args(["--default-signal=HUP,INT,TERM", "/bin/sh"])
        .args(["-c", &format!("{prelude} exec \"$@\""), "sh"])
        .arg(publish.get_program())
        .args(publish.get_args())
        .env_clear()
        .envs(
            publish
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    shell.spawn().unwrap()
}

fn send(child: &Child, signal: Signal) {
    let id = i32::try_from(child.id()).unwrap();
    kill(Pid::from_raw(id), signal).unwrap();
}

fn end(child: Child) -> Run {
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn each_stage_is_told_from_the_others() {
    type Narrow = fn(Rule) -> Rule;
    let stages: [(Narrow, &str, &str); 4] = [
        (
            |rule| rule.operation(Operation::GetObject),
            "nothing was changed",
            "",
        ),
        (
            |rule| rule.writes().key_contains("pool/"),
            "nothing was changed",
            "",
        ),
        (
            |rule| rule.writes().key_contains("dists/stable/InRelease"),
            "it is not known whether it did",
            "run the same command again",
        ),
        (
            |rule| rule.writes().key_contains("dists/stable/Release"),
            "after the change took effect as commit ",
            "",
        ),
    ];
    for (signal, code) in [
        (Signal::SIGINT, 130),
        (Signal::SIGTERM, 143),
        (Signal::SIGHUP, 129),
    ] {
        for (narrow, words, next) in stages {
            let store = Store::start();
            let file = package::write(store.folder.path(), "hello", "1.0", "all", "first");
            let proxy = store.proxy();
            let arrived = stop_at(&proxy, narrow);
            let child = start(&store, &proxy, &file, "");
            arrived.recv_timeout(PATIENCE).unwrap();
            send(&child, signal);
            let run = end(child);
            assert_eq!(run.code, code, "{words}: {run:#?}");
            assert!(
                run.stderr.contains(words) && run.stderr.contains(next),
                "{run:#?}"
            );
            assert_eq!(run.stdout, "");
            let head = store
                .server
                .get(BUCKET, "robots/dists/stable/InRelease")
                .unwrap();
            assert_eq!(head.is_some(), words.starts_with("after"), "{words}");
        }
    }
}

#[test]
fn work_that_can_be_gone_on_with_is_said_to() {
    for (arguments, part) in [
        (
            &["suite", "delete", "testing", "--yes"][..],
            "testing/suite.json",
        ),
        (&["gc"], "gc/condemned.json"),
        (&["verify", "--repair"], "stable/InRelease"),
        (
            &["publish", "again.deb", "--suite", "stable,testing"],
            "testing/InRelease",
        ),
    ] {
        let store = Store::start();
        let file = package::write(store.folder.path(), "hello", "1.0", "all", "first");
        store
            .publish(&file, &["--suite", "stable,testing"])
            .expect(0);
        let again = package::write(store.folder.path(), "hello", "2.0", "all", "again");
        fs::rename(again, store.path("again.deb")).unwrap();
        match arguments[0] {
            "verify" => {
                let head = "robots/dists/stable/InRelease";
                store.server.delete(BUCKET, head).unwrap();
            }
            "gc" => {
                let garbage = "robots/pool/main/g/garbage/garbage_1_all.deb";
                store.server.put(BUCKET, garbage, b"garbage").unwrap();
                store.server.clock().advance(Duration::from_secs(36 * 3600));
            }
            _ => {}
        }
        let arguments = arguments.iter().map(|argument| match *argument {
            "again.deb" => store.path("again.deb").display().to_string(),
            argument => argument.to_owned(),
        });
        let arguments: Vec<_> = arguments.collect();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let proxy = store.proxy();
        let arrived = stop_at(&proxy, |rule| rule.writes().key_contains(part));
        let child = start_command(&store, &proxy, &arguments, "");
        arrived.recv_timeout(PATIENCE).unwrap();
        send(&child, Signal::SIGTERM);
        let stopped = end(child);
        assert_eq!(stopped.code, 143, "{stopped:#?}");
        assert!(
            stopped.stderr.contains("interrupted before all was done")
                && stopped.stderr.contains("next: run the same command again"),
            "{arguments:?}: {stopped:#?}"
        );
        let mut again = store.debucket(&arguments);
        run(again.env("DEBUCKET_SIGN_KEY", store.path("key.asc"))).expect(0);
    }
}

#[test]
fn an_upload_in_parts_is_aborted() {
    let store = Store::start();
    let file = package::write(store.folder.path(), "hello", "1.0", "all", "first");
    let mut bytes = fs::read(&file).unwrap();
    // Another member of the archive, which dpkg ignores by its name.
    let size = 24 << 20;
    bytes.extend_from_slice(
        format!(
            "{:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n",
            "_padding", 0, 0, 0, 100_644
        )
        .as_bytes(),
    );
    bytes.resize(bytes.len() + size, 0);
    fs::write(&file, bytes).unwrap();
    let proxy = store.proxy();
    let arrived = stop_at(&proxy, |rule| rule.operation(Operation::UploadPart));
    let child = start(&store, &proxy, &file, "");
    arrived.recv_timeout(PATIENCE).unwrap();
    assert_eq!(store.server.uploads(BUCKET).len(), 1);
    send(&child, Signal::SIGTERM);
    let run = end(child);
    assert_eq!(run.code, 143, "{run:#?}");
    assert!(store.server.uploads(BUCKET).is_empty(), "{run:#?}");
}

#[test]
fn a_signal_that_is_ignored_stays_ignored() {
    for (signal, name) in [(Signal::SIGHUP, "HUP"), (Signal::SIGINT, "INT")] {
        let store = Store::start();
        let file = package::write(store.folder.path(), "hello", "1.0", "all", "first");
        let proxy = store.proxy();
        let (sender, arrived) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let gates = Arc::new(Mutex::new((sender, gate)));
        let wait = Fault::before(move |_| {
            let gates = gates.lock().unwrap();
            let _ = gates.0.send(());
            let _ = gates.1.recv_timeout(PATIENCE);
            Next::Continue
        });
        proxy.push(Rule::new(wait).writes().key_contains("pool/").first(1));
        let child = start(&store, &proxy, &file, &format!("trap '' {name};"));
        arrived.recv_timeout(PATIENCE).unwrap();
        send(&child, signal);
        go.send(()).unwrap();
        let run = end(child);
        assert_eq!(run.code, 0, "{run:#?}");
    }
}
