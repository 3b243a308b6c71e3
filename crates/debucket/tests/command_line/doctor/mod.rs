//! What works and what does not is told apart, with what to do; one failure hides nothing that can still be known.

mod access;
mod environment;
mod rights;
mod suites;
mod walk;

use std::collections::{BTreeMap, BTreeSet};

use assert_cmd::Command;

use crate::{
    package,
    run::{BUCKET, Store, run},
};

/// The checks of a run by name (`stable: head`), and its exit code.
struct Report {
    code: i32,
    checks: BTreeMap<String, serde_json::Value>,
}

impl Report {
    fn of(command: &mut Command) -> Self {
        let run = run(command.args(["--output", "json"]));
        assert!([0, 1, 4].contains(&run.code), "{run:#?}");
        let document: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        let name = |check: &serde_json::Value| {
            let name = check["check"].as_str().unwrap();
            match check["suite"].as_str() {
                Some(suite) => format!("{suite}: {name}"),
                None => name.to_owned(),
            }
        };
        let checks = document["checks"].as_array().unwrap();
        let report = Self {
            code: run.code,
            checks: checks
                .iter()
                .map(|check| (name(check), check.clone()))
                .collect(),
        };
        assert_eq!(report.checks.len(), checks.len(), "{document:#}");
        for check in checks {
            let is_open = check["status"] == "warn" || check["status"] == "fail";
            let has_next = check["next"].as_str().is_some_and(|next| !next.is_empty());
            assert_eq!(is_open, has_next, "{check:#}");
        }
        let failed = !report.with_status("fail").is_empty();
        assert_eq!(run.code != 0, failed, "{document:#}");
        report
    }

    fn with_status(&self, status: &str) -> Vec<&str> {
        let checks = self.checks.iter();
        let checks = checks.filter(|(_, check)| check["status"] == status);
        checks.map(|(name, _)| name.as_str()).collect()
    }

    /// That a check has this status, and says both of these: what is, and what to do.
    #[track_caller]
    fn expect(&self, name: &str, status: &str, detail: &str, next: &str) -> &Self {
        let check = self
            .checks
            .get(name)
            .unwrap_or_else(|| panic!("{name}: {:#?}", self.checks));
        let text = |field: &str| check[field].as_str().unwrap_or_default();
        assert!(
            text("status") == status
                && text("detail").contains(detail)
                && text("next").contains(next),
            "{check:#}"
        );
        self
    }

    /// The checks that neither passed nor were skipped.
    fn open(&self) -> BTreeSet<&str> {
        let failed = self.with_status("fail").into_iter();
        failed.chain(self.with_status("warn")).collect()
    }

    #[track_caller]
    fn expect_open(&self, names: &[&str]) -> &Self {
        let open: Vec<_> = self.open().into_iter().collect();
        assert_eq!(open, names, "{:#?}", self.checks);
        self
    }
}

impl Store {
    fn doctor(&self, more: &[&str]) -> Report {
        Report::of(&mut self.debucket(&[&["doctor"], more].concat()))
    }

    fn doctor_with_key(&self, more: &[&str]) -> Report {
        let key = self.path("key.asc").display().to_string();
        self.doctor(&[more, &["--sign-key", &key]].concat())
    }

    fn published() -> Self {
        let store = Self::start();
        let file = package::write(store.folder.path(), "hello", "1.0", "all", "first");
        store.publish(&file, &[]).expect(0);
        store
    }

    fn whole(&self, part: &str) -> String {
        let keys = self.server.keys(BUCKET);
        keys.into_iter().find(|key| key.contains(part)).unwrap()
    }
}
