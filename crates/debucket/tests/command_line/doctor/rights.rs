//! Each right of each role is tried, and what is tried is what the role's policy grants.

use dev_s3::{Grants, Policy};
use serde_json::Value;

use super::Report;
use crate::{
    gc::printed_policy,
    run::{BUCKET, Store},
};

/// The policy without each of its rights in turn: an action on the keys of one folder. With the name of what is missing.
fn without_one(policy: &Value) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for (at, statement) in policy["Statement"].as_array().unwrap().iter().enumerate() {
        let resources = statement["Resource"].as_array().unwrap();
        for (place, resource) in resources.iter().enumerate() {
            let mut less = policy.clone();
            let statements = less["Statement"].as_array_mut().unwrap();
            if resources.len() == 1 {
                statements.remove(at);
            } else {
                let resources = statements[at]["Resource"].as_array_mut().unwrap();
                resources.remove(place);
            }
            all.push((format!("{} {resource}", statement["Sid"]), less));
        }
    }
    all
}

#[test]
fn each_right_of_a_policy_is_tried_and_each_trial_is_allowed_by_it() {
    let store = Store::published();
    let before = store.server.snapshot(BUCKET).unwrap();
    let keys = store.server.keys(BUCKET);
    for role in ["reader", "publisher", "collector", "deleter"] {
        let doctor = |policy: &Value| {
            let policy = Policy::parse(&policy.to_string()).unwrap();
            store.grant(Grants::Policy(policy));
            let report = store.doctor_with_key(&["stable", "--role", role]);
            assert!(store.server.uploads(BUCKET).is_empty());
            report
        };
        let policy: Value = serde_json::from_str(&printed_policy(role)).unwrap();
        doctor(&policy).expect_open(&[]);
        assert_eq!(store.server.keys(BUCKET), keys, "{role}");
        for (missing, less) in without_one(&policy) {
            let report: Report = doctor(&less);
            assert!(!report.open().is_empty(), "{role} without {missing}");
            // What could not be deleted.
            store.server.restore(BUCKET, &before).unwrap();
        }
    }
}
