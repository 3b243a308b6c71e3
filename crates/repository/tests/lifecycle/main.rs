//! The whole life of a repository, acted out at random by two publishers and a collector that are killed, whose replies are lost,
//! and who wait in the middle of their work while the others go on. After each step, what devices see and what `verify` finds
//! agree with a model that knows nothing of the library.
//!
//! `PROPTEST_CASES=10000` runs it for longer, with other random numbers each time; `PROPTEST_RNG_SEED` repeats a run.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod chance;
mod check;
mod device;
mod faults;
mod flight;
mod foreign;
mod judge;
mod life;
mod model;
mod operation;
mod script;
mod shelf;
mod world;

use std::{env, rc::Rc};

use proptest::{
    strategy::Strategy,
    test_runner::{Config, RngSeed, TestError, TestRunner},
};

use crate::{
    script::{Start, Step},
    shelf::Shelf,
    world::World,
};

/// Together less than a minute on one slow processor.
const CASES: u32 = 60;
const CASES_ABOUT_VERSIONS: u32 = 100;
const CASES_ABOUT_GARBAGE: u32 = 120;
const CASES_ABOUT_DELETION: u32 = 120;

#[test]
fn any_life_of_a_repository_agrees_with_the_model() {
    act_out(chance::scripts(), CASES);
}

#[test]
fn earlier_versions_stay_go_and_come_back_as_the_model_says() {
    act_out(chance::scripts_about_versions(), CASES_ABOUT_VERSIONS);
}

#[test]
fn what_is_needed_is_never_collected() {
    act_out(chance::scripts_about_garbage(), CASES_ABOUT_GARBAGE);
}

#[test]
fn suites_that_come_and_go_take_nothing_with_them_but_their_own() {
    act_out(chance::scripts_about_deletion(), CASES_ABOUT_DELETION);
}

fn act_out(scripts: impl Strategy<Value = (Start, Vec<Step>)>, cases: u32) {
    let mut config = Config {
        failure_persistence: None,
        max_shrink_iters: 2000,
        ..Config::default()
    };
    if env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
        config.rng_seed = RngSeed::Fixed(1);
    }
    let shelf = Rc::new(Shelf::new());
    let life = |script| {
        live(&shelf, script);
        Ok(())
    };
    match TestRunner::new(config).run(&scripts, life) {
        Ok(()) => {}
        Err(TestError::Abort(reason)) => panic!("{reason}"),
        Err(TestError::Fail(reason, (start, steps))) => {
            let lines = steps.iter().map(|step| format!("{step:?}\n"));
            let lines: String = lines.collect();
            panic!("{reason}\n{start:?}\n{lines}");
        }
    }
}

fn live(shelf: &Rc<Shelf>, script: (Start, Vec<Step>)) {
    fastrand::seed(1);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .max_blocking_threads(1)
        .build()
        .unwrap();
    runtime.block_on(World::new(shelf).live(script));
}
