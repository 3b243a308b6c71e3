//! Two publishers and a collector as processes, one of which is killed at a random moment of each round. After each, what is read is
//! what the operations that took effect make of the suite.

use std::{
    collections::BTreeSet,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use crate::{
    package,
    run::{Run, Store, run},
};

const ROUNDS: usize = 7;
/// Each publisher has packages of its own, so that their order does not matter.
const NAMES: [&str; 2] = ["alpha", "beta"];
const VERSIONS: [&str; 3] = ["1.0", "1.1", "2.0"];

type Packages = BTreeSet<(String, String)>;

/// What a publisher does.
#[derive(Debug)]
enum Change {
    Publish(&'static str, &'static str),
    Remove(&'static str, &'static str),
}

impl Change {
    fn apply(&self, packages: &Packages) -> Packages {
        let mut packages = packages.clone();
        match *self {
            Self::Publish(name, version) => packages.insert((name.into(), version.into())),
            Self::Remove(name, version) => packages.remove(&(name.into(), version.into())),
        };
        packages
    }

    fn start(&self, store: &Store) -> Child {
        let mut command = match *self {
            Self::Publish(name, version) => {
                let folder = store.folder.path();
                let file = package::write(folder, name, version, "all", version);
                let mut command = store.debucket(&["publish"]);
                command.arg(file);
                command
            }
            Self::Remove(name, version) => {
                let package = format!("{name}={version}");
                store.debucket(&["remove", &package, "--allow-missing"])
            }
        };
        command.arg("--sign-key").arg(store.path("key.asc"));
        spawn(&command)
    }
}

fn spawn(command: &assert_cmd::Command) -> Child {
    let environment = command.get_envs();
    let environment = environment.filter_map(|(name, value)| Some((name, value?)));
    let mut process = Command::new(command.get_program());
    process
        .args(command.get_args())
        .env_clear()
        .envs(environment);
    process
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    process.spawn().unwrap()
}

fn collect(store: &Store) -> Child {
    let mut command = store.debucket(&["gc", "--grace", "1h", "--keep-history", "1h"]);
    command.arg("--keyring").arg(store.path("public.asc"));
    spawn(&command)
}

fn packages(store: &Store) -> Packages {
    let document = store.read(&["list", "--output", "json"]).json();
    let packages = document["packages"].as_array().unwrap().iter();
    let text = |package: &serde_json::Value, field| package[field].as_str().unwrap().to_owned();
    packages
        .map(|it| (text(it, "package"), text(it, "version")))
        .collect()
}

/// The parts about which `verify` has something to say.
fn problems(store: &Store) -> BTreeSet<String> {
    let Run { stdout, .. } = store.read(&["verify", "--deep", "--output", "json"]);
    let document: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let problems = document["suites"][0]["problems"].as_array().unwrap().iter();
    problems
        .map(|problem| problem["part"].as_str().unwrap().to_owned())
        .collect()
}

fn walk(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let store = Store::start();
    let first = Change::Publish(NAMES[0], VERSIONS[0]);
    let mut model = first.apply(&Packages::new());
    assert!(first.start(&store).wait().unwrap().success());
    let mut is_stale = false;
    for round in 0..ROUNDS {
        // Who waits for a collector that was killed in the middle waits for an hour of the store's clock.
        let with_collector = random.bool();
        let victim = random.choice([None, Some(0), Some(1)]).unwrap();
        let changes = NAMES.map(|name| {
            let version = random.choice(VERSIONS).unwrap();
            if random.u8(..3) > 0 {
                Change::Publish(name, version)
            } else {
                Change::Remove(name, version)
            }
        });
        let mut children: Vec<_> = changes.iter().map(|change| change.start(&store)).collect();
        children.extend(with_collector.then(|| collect(&store)));
        if let Some(victim) = victim {
            thread::sleep(Duration::from_millis(random.u64(..150)));
            children[victim].kill().unwrap();
        }
        let ends = children
            .into_iter()
            .map(|child| child.wait_with_output().unwrap());
        let killed: Vec<_> = ends.map(|end| (end.status.code().is_none(), end)).collect();
        let what = format!("seed {seed}, round {round}, {changes:?}, {victim:?}: {killed:#?}");
        let found = packages(&store);
        let mut possible = vec![model];
        for (change, (is_killed, end)) in changes.iter().zip(&killed) {
            let after: Vec<_> = possible.iter().map(|before| change.apply(before)).collect();
            if *is_killed {
                possible.extend(after);
            } else {
                assert!(end.status.success(), "{what}");
                possible = after;
            }
        }
        assert!(
            killed[2..].iter().all(|(_, end)| end.status.success()),
            "{what}"
        );
        assert!(possible.contains(&found), "{found:?}, {what}");
        model = found;
        is_stale |= victim.is_some();
        let mut problems = problems(&store);
        if is_stale {
            problems.remove("follower");
        }
        assert!(problems.is_empty(), "{problems:?}, {what}");
        store.server.clock().advance(Duration::from_secs(2 * 3600));
    }
    let mut collector = collect(&store);
    thread::sleep(Duration::from_millis(random.u64(..150)));
    collector.kill().unwrap();
    collector.wait().unwrap();
    store.server.clock().advance(Duration::from_secs(2 * 3600));
    let mut repair = store.debucket(&["verify", "--repair", "--sign-key"]);
    run(repair.arg(store.path("key.asc"))).expect(0);
    assert!(collect(&store).wait().unwrap().success());
    store.read(&["verify", "--deep"]).expect(0);
    assert_eq!(packages(&store), model);
}

#[test]
fn processes_that_are_killed_at_random_leave_what_the_model_says() {
    for seed in [1, 2] {
        walk(seed);
    }
}
