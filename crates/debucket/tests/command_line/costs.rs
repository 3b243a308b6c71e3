//! What a change of a suite asks of the store. Whoever promotes, removes or rolls back sends no package, and what it asks does not grow
//! with the suite, but for a look at each package that is brought in or back.

use std::fs;

use dev_s3::{LoggedRequest, Operation};

use crate::{
    package,
    run::{Store, run},
};

/// Requests of a change that touches nothing in the pool, at most.
const FEW: usize = 50;
const PACKAGES: usize = 120;

impl Store {
    /// The requests of a change, which has to succeed.
    fn requests(&self, arguments: &[&str]) -> Vec<LoggedRequest> {
        self.server.clear_request_log();
        let mut command = self.debucket(arguments);
        run(command.arg("--sign-key").arg(self.path("key.asc"))).expect(0);
        self.server.request_log()
    }
}

/// Their number and what was asked, for people.
fn told(log: &[LoggedRequest]) -> String {
    let lines = log.iter().map(|logged| {
        let request = &logged.request;
        format!("{:?} {}\n", request.operation, request.key)
    });
    lines.collect()
}

fn of_pool(log: &[LoggedRequest]) -> Vec<Operation> {
    let of_pool = log
        .iter()
        .filter(|logged| logged.request.key.contains("/pool/"));
    of_pool.map(|logged| logged.request.operation).collect()
}

#[test]
fn promoting_removing_and_rolling_back_upload_nothing() {
    let store = Store::start();
    let folder = store.path("many");
    fs::create_dir(&folder).unwrap();
    for number in 0..PACKAGES {
        package::write(&folder, &format!("p{number}"), "1", "all", "x");
    }
    store
        .publish(&folder, &["--quiet", "--suite", "testing"])
        .expect(0);
    let to = |suite| ["promote", "--all", "--from", "testing", "--to", suite];
    for (arguments, looked_for) in [
        (&to("stable")[..], PACKAGES),
        (&to("again"), PACKAGES),
        (&["remove", "p*"], 0),
        (&["promote", "p1", "--from", "testing", "--to", "stable"], 1),
        (&["prune", "--keep", "1"], 0),
        (&["rollback", "--to", "@~2"], PACKAGES - 1),
    ] {
        let log = store.requests(arguments);
        let looks = of_pool(&log);
        assert_eq!(
            looks,
            vec![Operation::HeadObject; looked_for],
            "{arguments:?}"
        );
        assert!(
            log.len() - looks.len() <= FEW,
            "{arguments:?}: {}",
            told(&log)
        );
    }
    assert_eq!(store.read(&["list"]).expect(0).lines().count(), PACKAGES);
}
