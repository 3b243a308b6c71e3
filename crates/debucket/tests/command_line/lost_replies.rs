//! Replies that are lost on their way from the store.

use dev_s3::{Fault, FaultProxy, Operation, Rule};

use crate::{
    package,
    run::{Run, Store, run},
};

/// Answers to the second attempt of a write whose first was carried out.
const ANSWERS: [(u16, &str); 7] = [
    (503, "SlowDown"),
    (500, "InternalError"),
    (429, "TooManyRequests"),
    (412, "PreconditionFailed"),
    (409, "ConditionalRequestConflict"),
    (403, "AccessDenied"),
    (501, "NotImplemented"),
];

fn publish_through(store: &Store, proxy: &FaultProxy, version: &str) -> Run {
    let file = package::write(store.folder.path(), "hello", version, "all", version);
    run(store
        .debucket(&["publish"])
        .arg(file)
        .arg("--sign-key")
        .arg(store.path("key.asc"))
        .env("AWS_ENDPOINT_URL", proxy.endpoint()))
}

fn rule(fault: Fault, operation: Operation) -> Rule {
    Rule::new(fault)
        .operation(operation)
        .key_contains("InRelease")
}

fn lose(proxy: &FaultProxy, (status, code): (u16, &'static str)) {
    proxy.clear_rules();
    proxy.push(rule(Fault::LoseReply, Operation::PutObject).nth(1));
    proxy.push(rule(Fault::answer(status, code), Operation::PutObject).nth(2));
}

#[test]
fn a_head_whose_reply_was_lost_is_found_whatever_the_next_attempt_was_answered() {
    let store = Store::start();
    let proxy = store.block_on(FaultProxy::start(&store.server.endpoint()));
    let proxy = proxy.unwrap();
    for (number, answer) in (1..).zip(ANSWERS) {
        lose(&proxy, answer);
        let version = format!("{number}.0");
        let done = publish_through(&store, &proxy, &version);
        let told = done.expect(0);
        assert!(
            told.contains(&format!("added  hello  {version}  all  main\n")),
            "{told}"
        );
        let log = store.read(&["log", "--oneline"]).expect(0);
        assert_eq!(log.lines().count(), number, "{answer:?}");
    }
}

#[test]
fn who_may_not_read_afterwards_says_that_it_is_not_known() {
    let store = Store::start();
    let proxy = store.block_on(FaultProxy::start(&store.server.endpoint()));
    let proxy = proxy.unwrap();
    publish_through(&store, &proxy, "1.0").expect(0);
    lose(&proxy, ANSWERS[5]);
    let denied = Fault::answer(403, "AccessDenied");
    for nth in 2..5 {
        proxy.push(rule(denied.clone(), Operation::GetObject).nth(nth));
    }
    let unknown = publish_through(&store, &proxy, "2.0");
    assert_eq!(unknown.code, 1, "{unknown:#?}");
    for told in [
        "it is not known whether the change of suite stable took effect",
        "next: run the same command again",
    ] {
        assert!(unknown.stderr.contains(told), "{unknown:#?}");
    }
    proxy.clear_rules();
    let again = publish_through(&store, &proxy, "2.0").expect(0);
    assert!(again.contains("nothing to do"), "{again}");
}
