//! Architectures and components leave a suite, if devices are to accept that.

use std::path::PathBuf;

use crate::{
    package,
    run::{Run, Store, run},
};

const ALLOW: &str = "--allow-release-info-change";

impl Store {
    fn set(&self, arguments: &[&str]) -> Run {
        let mut command = self.debucket(&["suite", "set", "stable"]);
        run(command
            .args(arguments)
            .arg("--sign-key")
            .arg(self.path("key.asc")))
    }
}

fn build(store: &Store, name: &str, architecture: &str) -> PathBuf {
    package::write(store.folder.path(), name, "1", architecture, name)
}

/// A suite with packages for all architectures and for two, and another component.
fn store() -> Store {
    let store = Store::start();
    for (name, architecture) in [("tool", "all"), ("one", "amd64"), ("two", "arm64")] {
        store
            .publish(&build(&store, name, architecture), &[])
            .expect(0);
    }
    let blob = build(&store, "blob", "all");
    store.publish(&blob, &["--component", "extra"]).expect(0);
    store
}

#[test]
fn an_architecture_is_dropped_only_if_that_is_allowed() {
    let store = store();
    let drop = ["--architectures", "amd64"];
    let refused = store.set(&drop);
    assert_eq!(refused.code, 1, "{refused:#?}");
    assert!(
        refused.stderr.contains("the architecture arm64 is removed")
            && refused.stderr.contains(ALLOW),
        "{}",
        refused.stderr
    );
    // A publish does not drop one in passing.
    let publish = [&drop[..], &[ALLOW]].concat();
    let passing = store.publish(&build(&store, "tool", "all"), &publish);
    assert_eq!(passing.code, 2, "{passing:#?}");
    assert!(passing.stderr.contains("suite set"), "{}", passing.stderr);
    let dry = store
        .set(&[&drop[..], &[ALLOW, "--dry-run"]].concat())
        .expect(0);
    for line in [
        "  architectures: amd64, arm64 -> amd64\n",
        "  remove  two  1  arm64  main",
        "    removed  two  1  arm64  main\n",
        "  devices notice: the architecture arm64 is removed (its devices get a notice and no packages)\n",
    ] {
        assert!(dry.contains(line), "{dry}");
    }
    let dropped = store.set(&[&drop[..], &[ALLOW]].concat()).expect(0);
    assert!(
        dropped.starts_with("removed  two  1  arm64  main\ndevices notice"),
        "{dropped}"
    );
    let release = store.release();
    assert!(
        release.contains("\nArchitectures: amd64\n") && !release.contains("binary-arm64"),
        "{release}"
    );
    assert_eq!(
        store.read(&["list"]).expect(0),
        "blob  1  all    extra\none   1  amd64  main\ntool  1  all    main\n"
    );
    assert!(store.set(&drop).expect(0).starts_with("nothing to do"));
    store.read(&["verify", "--deep"]).expect(0);
    let mut rollback = store.debucket(&["rollback", "--to", "@~1", "--sign-key"]);
    let rolled = run(rollback.arg(store.path("key.asc"))).expect(0);
    assert!(
        rolled.starts_with("added  two  1  arm64  main\n"),
        "{rolled}"
    );
    let list = store.read(&["list", "--arch", "arm64"]).expect(0);
    assert_eq!(
        list.lines().count(),
        3,
        "it is back, with all that is for all: {list}"
    );
    store.read(&["verify", "--deep"]).expect(0);
    store.set(&[&drop[..], &[ALLOW]].concat()).expect(0);
    store.publish(&build(&store, "two", "arm64"), &[]).expect(0);
    let list = store.read(&["list", "--arch", "arm64"]).expect(0);
    assert_eq!(list.lines().count(), 3, "so it is with a package: {list}");
}

#[test]
fn a_component_is_removed_only_if_that_is_allowed() {
    let store = store();
    let remove = ["--remove-component", "extra"];
    let refused = store.set(&remove);
    assert!(
        refused.code == 1 && refused.stderr.contains("the component extra is removed"),
        "{refused:#?}"
    );
    let removed = store.set(&[&remove[..], &[ALLOW]].concat()).expect(0);
    assert!(
        removed.starts_with("removed  blob  1  all  extra\n"),
        "{removed}"
    );
    let release = store.release();
    assert!(
        release.contains("\nComponents: main\n") && !release.contains("extra/"),
        "{release}"
    );
    assert!(store.set(&remove).expect(0).starts_with("nothing to do"));
    store.set(&["--remove-component", "main", ALLOW]).expect(2);
    let mut rollback = store.debucket(&["rollback", "--to", "@~1", "--sign-key"]);
    let rolled = run(rollback.arg(store.path("key.asc"))).expect(0);
    assert!(
        rolled.starts_with("added  blob  1  all  extra\n"),
        "{rolled}"
    );
    store.read(&["verify", "--deep"]).expect(0);
}
