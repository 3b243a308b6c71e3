//! Any sequence of edits does what a set of packages says.

use std::collections::BTreeSet;

use deb_index::{
    change::{Edit, Intent, Phasing, PlanError, SettingsPatch},
    stanza::Stanza,
};
use proptest::prelude::*;

use crate::{
    edits::{remove, restore, retention},
    suite::{Suite, intent, stanza},
};

/// A step, and what it does to a set of packages (name, version, architecture).
#[derive(Debug, Clone)]
enum Step {
    Add(usize, u32, usize),
    Remove(usize, u32),
    Keep(u32),
    Restore(usize),
    Phase(usize, u32, u8),
    /// The second version is put in the place of the first.
    Halt(usize, u32, u32, usize),
}

const NAMES: [&str; 3] = ["a0", "b0", "c0"];
const ARCHITECTURES: [&str; 3] = ["amd64", "arm64", "all"];

type Model = BTreeSet<(usize, u32, usize)>;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..3usize, 1..5u32, 0..3usize).prop_map(|(n, v, a)| Step::Add(n, v, a)),
        2 => (0..3usize, 1..5u32).prop_map(|(n, v)| Step::Remove(n, v)),
        1 => (1..3u32).prop_map(Step::Keep),
        1 => (0..8usize).prop_map(Step::Restore),
        1 => (0..3usize, 1..5u32, 0..=100u8).prop_map(|(n, v, p)| Step::Phase(n, v, p)),
        1 => (0..3usize, 1..5u32, 1..5u32, 0..3usize).prop_map(|(n, v, w, a)| Step::Halt(n, v, w, a)),
    ];
    proptest::collection::vec(step, 1..12)
}

fn packages_of(model: &Model, architecture: usize) -> BTreeSet<String> {
    let seen = model
        .iter()
        .filter(|(_, _, own)| [2, architecture].contains(own));
    seen.map(|(n, v, a)| format!("{}_{v}_{}", NAMES[*n], ARCHITECTURES[*a]))
        .collect()
}

/// Whether devices would take it for a version that is there, with another file.
fn collides(model: &Model, (n, v, a): (usize, u32, usize)) -> bool {
    let is_other = |(name, version, own): &(usize, u32, usize)| {
        (*name, *version) == (n, v) && (*own == 2) != (a == 2)
    };
    !model.contains(&(n, v, a)) && model.iter().any(is_other)
}

fn stanza_of(n: usize, v: u32, a: usize) -> Stanza {
    stanza(
        NAMES[n],
        &v.to_string(),
        ARCHITECTURES[a],
        &format!("{n}{v}{a}"),
    )
}

proptest! {
    #[test]
    fn any_sequence_of_edits_does_what_the_model_says(steps in steps()) {
        let mut suite = Suite::default();
        let mut model = Model::new();
        let mut first = intent([]);
        first.0.push(Edit::Set(Box::new(SettingsPatch {
            components: vec!["main".parse().unwrap()],
            ..SettingsPatch::default()
        })));
        suite.apply(&first).unwrap();
        let mut history = vec![(suite.clone(), model.clone())];
        for step in steps {
            let mut is_refused = false;
            let edit = match step {
                Step::Add(n, v, a) => {
                    is_refused = collides(&model, (n, v, a));
                    model.insert((n, v, a));
                    Edit::Add { stanza: stanza_of(n, v, a), replace: false }
                }
                Step::Remove(n, v) => {
                    model.retain(|(name, version, _)| (*name, *version) != (n, v));
                    remove(&format!("{}={v}", NAMES[n])).0.remove(0)
                }
                Step::Keep(newest) => {
                    let all = model.clone();
                    model.retain(|(n, v, a)| {
                        let later = all.iter().filter(|(name, version, own)| (name, own) == (n, a) && version > v);
                        later.count() < newest as usize
                    });
                    Edit::Keep(retention(newest, "*"))
                }
                Step::Phase(n, v, percentage) => Edit::Phase {
                    of: (0..3).map(|a| stanza_of(n, v, a).id).collect(),
                    percentage: percentage.try_into().unwrap(),
                    only: Phasing::Named,
                },
                Step::Halt(n, v, earlier, a) => {
                    model.retain(|(name, version, _)| (*name, *version) != (n, v));
                    is_refused = collides(&model, (n, earlier, a));
                    model.insert((n, earlier, a));
                    Edit::Halt {
                        of: (0..3).map(|a| stanza_of(n, v, a).id).collect(),
                        earlier: vec![stanza_of(n, earlier, a)],
                        only: Phasing::Named,
                    }
                }
                Step::Restore(at) => {
                    let (then, content) = &history[at % history.len()];
                    model.clone_from(content);
                    restore(then)
                }
            };
            let wanted = Intent(vec![edit]);
            if is_refused {
                let refused = suite.apply(&wanted);
                prop_assert!(matches!(refused, Err(PlanError::Collision(_))), "{refused:?}");
                model.clone_from(&history.last().unwrap().1);
                continue;
            }
            suite.apply(&wanted).unwrap();
            prop_assert!(!suite.apply(&wanted).unwrap(), "an edit is idempotent");
            for (at, architecture) in ["amd64", "arm64"].into_iter().enumerate() {
                let names: BTreeSet<_> = suite.packages(architecture).into_keys().collect();
                prop_assert_eq!(names, packages_of(&model, at));
            }
            history.push((suite.clone(), model.clone()));
        }
    }
}
