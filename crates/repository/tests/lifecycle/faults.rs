//! Lives that went wrong once, found at random and shortened.

use std::rc::Rc;

use crate::{
    chance::{clean, founding, publication},
    live,
    script::{COLLECTOR, Mishap, Operation, Setting, Start, Step},
    shelf::Shelf,
};

fn acted(start: Start, steps: impl Into<Vec<Step>>) {
    live(&Rc::new(Shelf::new()), (start, steps.into()));
}

fn run(actor: usize, suite: usize, operation: Operation, mishap: Mishap) -> Step {
    Step::Run {
        actor,
        suite,
        operation,
        mishap,
    }
}

/// It waits once.
fn pause(request: u64) -> Mishap {
    Mishap::Pause {
        request,
        again: None,
    }
}

fn alias(has: bool) -> Operation {
    Operation::Set(Setting::Alias(has), false)
}

fn collect() -> Operation {
    Operation::Collect { keep_days: 0 }
}

#[test]
fn what_a_publisher_left_that_was_held_up_by_a_deletion_is_no_suite_to_repair() {
    let steps = [
        founding(1),
        founding(2),
        run(1, 1, Operation::Delete, Mishap::LoseReply { write: 1 }),
        run(0, 1, publication(0, 1, 0), pause(29)),
        run(1, 1, Operation::Delete, Mishap::Nothing),
        run(0, 2, Operation::Delete, pause(25)),
    ];
    acted(Start::Empty, steps);
}

#[test]
fn a_collection_stops_at_an_alias_that_is_being_deleted() {
    let steps = [
        run(0, 3, alias(true), Mishap::LoseReply { write: 7 }),
        clean(0, alias(false)),
        run(COLLECTOR, 0, collect(), pause(1)),
        run(
            0,
            0,
            Operation::DeleteAlias,
            Mishap::Kill {
                write: 2,
                after: false,
            },
        ),
    ];
    acted(Start::Adopted(Mishap::Nothing), steps);
}

#[test]
fn a_name_that_another_suite_took_meanwhile_and_took_along_may_be_lost() {
    let steps = [
        founding(1),
        founding(2),
        run(0, 2, alias(true), pause(18)),
        run(1, 1, alias(true), Mishap::Nothing),
        run(1, 1, Operation::Delete, Mishap::Nothing),
    ];
    acted(Start::Empty, steps);
}

#[test]
fn what_is_wrong_with_a_suite_that_is_being_deleted_is_that_alone() {
    let steps = [
        run(0, 0, Operation::Set(Setting::Valid(true), false), pause(10)),
        run(
            0,
            0,
            Operation::Delete,
            Mishap::Kill {
                write: 4,
                after: true,
            },
        ),
        Step::Wait(5),
        Step::Wait(5),
        run(COLLECTOR, 0, collect(), pause(1)),
    ];
    acted(Start::Founded, steps);
}

#[test]
fn a_first_publish_that_waits_while_its_suite_is_begun_and_deleted_names_nothing_that_is_missing() {
    // It is about to write its head, or near that.
    for request in 25..33 {
        let waits = Mishap::Pause {
            request,
            again: Some(1),
        };
        let steps = [
            founding(1),
            founding(2),
            clean(1, Operation::Delete),
            run(1, 1, publication(0, 1, 0), waits),
            clean(1, publication(0, 1, 0)),
            clean(1, Operation::Delete),
            Step::Resume(1),
        ];
        acted(Start::Empty, steps);
    }
}

#[test]
fn a_change_of_a_suite_that_was_begun_anew_meanwhile_finds_no_damage() {
    for request in 2..9 {
        let steps = [
            founding(1),
            founding(2),
            clean(1, publication(0, 1, 0)),
            run(1, 1, alias(true), pause(request)),
            clean(1, Operation::Delete),
            founding(1),
        ];
        acted(Start::Empty, steps);
    }
}
