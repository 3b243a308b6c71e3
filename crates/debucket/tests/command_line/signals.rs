//! What an interruption leaves, and what is said of it.

use std::{
    fs,
    path::PathBuf,
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
    run::{BUCKET, Run, Store},
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

fn start(store: &Store, proxy: &FaultProxy, file: &PathBuf, prelude: &str) -> Child {
    let mut publish = store.debucket(&["publish", "--sign-key"]);
    publish.arg(store.path("key.asc")).arg(file);
    publish.env("AWS_ENDPOINT_URL", proxy.endpoint());
    let mut shell = Command::new("/bin/sh");
    shell
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
