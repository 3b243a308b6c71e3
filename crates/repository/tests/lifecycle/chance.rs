//! What happens in a test, by chance.

use proptest::prelude::*;

use crate::{
    script::{
        ACTORS, ARCHITECTURE_LISTS, COLLECTOR, FORMAT_LISTS, File, LABELS, Mishap, Operation,
        SELECTORS, SPANS, Setting, Start, Step,
    },
    shelf::{
        ARCHITECTURES, BUILDS, COMPONENTS, COPIED, NAMES, REPOSITORIES, SIGNED, SUITES, VERSIONS,
    },
};

/// How a life begins, and what happens then.
pub(crate) fn scripts() -> impl Strategy<Value = (Start, Vec<Step>)> {
    // More in the first suites, so that operations meet.
    let suite = prop_oneof![3 => 0..2usize, 2 => 0..SUITES.len()];
    let publisher = (0..2usize, suite, operation(), mishap(16, 40));
    let keep_days = prop_oneof![3 => Just(0i64), 1 => Just(3)];
    let collector = (collected(), keep_days, mishap(6, 30));
    let step = prop_oneof![
        12 => publisher.prop_map(|(actor, suite, operation, mishap)| Step::Run { actor, suite, operation, mishap }),
        4 => collector.prop_map(|(suite, keep_days, mishap)| Step::Run {
            actor: COLLECTOR, suite, operation: Operation::Collect { keep_days }, mishap
        }),
        4 => (0..SPANS.len()).prop_map(Step::Wait),
        2 => (0..ACTORS).prop_map(Step::Resume),
        1 => (0..ACTORS).prop_map(Step::Abandon),
        2 => Just(Step::Age { keep_days: 0 }),
        1 => Just(Step::Lag),
        2 => (0..SUITES.len()).prop_map(Step::Update),
    ];
    let start = prop_oneof![
        1 => Just(Start::Empty),
        3 => Just(Start::Founded),
        2 => mishap(20, 40).prop_map(Start::Adopted),
    ];
    (start, proptest::collection::vec(step, 1..40))
}

/// A suite of the repository that is collected.
fn collected() -> impl Strategy<Value = usize> {
    prop_oneof![REPOSITORIES.len() as u32 + 1 => Just(SIGNED), 1 => Just(COPIED)]
}

/// A few times: packages are garbage that may be deleted, and are needed again while a collector works.
pub(crate) fn scripts_about_garbage() -> impl Strategy<Value = (Start, Vec<Step>)> {
    let look = prop_oneof![
        5 => Just(Mishap::Nothing).prop_map(collection),
        1 => wait(1, 45).prop_map(collection),
        1 => (0..4usize).prop_map(Step::Wait),
        1 => (1..3usize).prop_map(Step::Update),
    ];
    let episode = (
        publish_one(),
        proptest::collection::vec(around_garbage(), 0..4),
        needing(wait(8, 45).boxed()),
        proptest::collection::vec(look, 1..5),
        proptest::collection::vec(around_garbage(), 0..4),
    );
    let episode = episode.prop_map(|(publish, first, needing, looks, then)| {
        let remove = || Operation::Remove { selector: 1 };
        let begin = [
            clean(1, publish),
            clean(1, remove()),
            clean(2, remove()),
            Step::Age { keep_days: 0 },
        ];
        let steps = begin.into_iter().chain(first).chain([needing]);
        steps.chain(looks).chain(then).collect::<Vec<_>>()
    });
    let episodes = proptest::collection::vec(episode, 1..4);
    let keeps = prop_oneof![3 => Just(0i64), 1 => Just(4)];
    let script = (any::<bool>(), keeps, episodes);
    let script = script.prop_map(|(has_alias, keeps, episodes)| {
        // Each suite has something that no other one names.
        let own = [(0, 1), (1, 2), (2, 3)].map(|(suite, architecture)| {
            let publish = publication(1, 0, architecture);
            clean(suite, publish)
        });
        let alias = clean(1, Operation::Set(Setting::Alias(true), true));
        let steps = own.into_iter().chain(has_alias.then_some(alias));
        let steps = steps.chain(episodes.concat());
        steps.map(|step| step.keeping(keeps)).collect()
    });
    (Just(Start::Empty), script)
}

pub(crate) fn clean(suite: usize, operation: Operation) -> Step {
    Step::Run {
        actor: 0,
        suite,
        operation,
        mishap: Mishap::Nothing,
    }
}

fn collection(mishap: Mishap) -> Step {
    Step::Run {
        actor: COLLECTOR,
        suite: SIGNED,
        operation: Operation::Collect { keep_days: 0 },
        mishap,
    }
}

/// Suites come and go, while others still work on those before.
pub(crate) fn scripts_about_deletion() -> impl Strategy<Value = (Start, Vec<Step>)> {
    let alias = any::<bool>().prop_map(|has| Operation::Set(Setting::Alias(has), true));
    let operation = prop_oneof![
        4 => Just(Operation::Delete),
        4 => publish_one(),
        2 => alias,
        1 => Just(Operation::DeleteAlias),
        1 => new_setting().prop_map(Operation::Create),
        1 => Just(Operation::Refresh),
        1 => Just(Operation::Repair),
    ];
    let trouble = prop_oneof![2 => Just(Mishap::Nothing), 4 => wait(1, 45), 1 => mishap(16, 40)];
    let suite = prop_oneof![4 => Just(1), 1 => Just(2)];
    let publisher = (0..2usize, suite, operation, trouble);
    let collector = prop_oneof![1 => Just(Mishap::Nothing), 2 => wait(1, 30)];
    let step = prop_oneof![
        7 => publisher.prop_map(|(actor, suite, operation, mishap)| Step::Run { actor, suite, operation, mishap }),
        1 => collector.prop_map(|mishap| Step::Run {
            actor: COLLECTOR, suite: 0, operation: Operation::Collect { keep_days: 0 }, mishap
        }),
        1 => (0..ACTORS).prop_map(Step::Resume),
        1 => (0..3usize).prop_map(Step::Wait),
        1 => (1..3usize).prop_map(Step::Update),
    ];
    let steps = proptest::collection::vec(step, 4..16);
    let steps = steps.prop_map(|steps| {
        let begin = [1, 2].map(founding).into_iter();
        begin.chain(steps).collect::<Vec<_>>()
    });
    (Just(Start::Empty), steps)
}

/// Few packages have many versions: there is something to take out, to hold back, and to go back to.
pub(crate) fn scripts_about_versions() -> impl Strategy<Value = (Start, Vec<Step>)> {
    let run = |(suite, operation, mishap)| Step::Run {
        actor: 0,
        suite,
        operation,
        mishap,
    };
    let operation = prop_oneof![
        6 => publish(Just(0), Just(0), prop_oneof![3 => Just(1), 1 => Just(0)]),
        4 => prune(),
        3 => rollback(),
        2 => promote(),
        1 => reset(),
        1 => new_setting().prop_map(Operation::Create),
    ];
    let trouble = || prop_oneof![3 => Just(Mishap::Nothing), 1 => mishap(16, 40)];
    let suite = prop_oneof![3 => 0..2usize, 1 => Just(2)];
    let publisher = (0..2usize, suite, operation, trouble());
    let step = prop_oneof![
        12 => publisher.prop_map(|(actor, suite, operation, mishap)| Step::Run { actor, suite, operation, mishap }),
        4 => (0..SPANS.len()).prop_map(Step::Wait),
        1 => prop_oneof![Just(0), Just(3)].prop_map(|keep_days| Step::Age { keep_days }),
        1 => Just(collection(Mishap::Nothing)),
        1 => (0..ACTORS).prop_map(Step::Resume),
    ];
    let create = new_setting().prop_map(Operation::Create);
    let create = (0..3usize, create, trouble()).prop_map(run);
    let begin = proptest::collection::vec(create, 0..3);
    let steps = (begin, proptest::collection::vec(step, 10..40));
    let steps = steps.prop_map(|(begin, steps)| [begin, steps].concat());
    (Just(Start::Empty), steps)
}

/// It waits at one request of the first so many, and maybe again.
fn wait(least: u64, most: u64) -> impl Strategy<Value = Mishap> + Clone {
    let pause = (least..most, proptest::option::of(1..20u64));
    pause.prop_map(|(request, again)| Mishap::Pause { request, again })
}

pub(crate) fn publication(name: usize, version: usize, architecture: usize) -> Operation {
    Operation::Publish {
        component: 0,
        packages: vec![File {
            name,
            version,
            architecture,
            build: 0,
        }],
        replace: true,
        phase: None,
        keep: None,
        has_all_keys: true,
        also: None,
    }
}

/// One of few, sometimes into another suite, too.
fn publish_one() -> impl Strategy<Value = Operation> {
    let also = proptest::option::weighted(0.2, 1..3usize);
    (0..2usize, also).prop_map(|(version, other)| {
        let mut publication = publication(0, version, 0);
        if let Operation::Publish { also, .. } = &mut publication {
            *also = other;
        }
        publication
    })
}

/// A publisher needs what may be garbage.
fn needing(mishap: BoxedStrategy<Mishap>) -> impl Strategy<Value = Step> {
    let promote = |from| Operation::Promote {
        from,
        selector: 0,
        mirror: false,
        replace: true,
        phase: None,
        to: None,
    };
    let operation = prop_oneof![
        4 => publish_one(),
        3 => (1..4usize).prop_map(|back| Operation::Rollback { back, ago: None }),
        1 => (1..3usize).prop_map(promote),
    ];
    let suite = prop_oneof![4 => Just(1), 1 => Just(2)];
    let publisher = (0..2usize, suite, operation, mishap);
    publisher.prop_map(|(actor, suite, operation, mishap)| Step::Run {
        actor,
        suite,
        operation,
        mishap,
    })
}

fn around_garbage() -> impl Strategy<Value = Step> {
    let trouble = prop_oneof![1 => Just(Mishap::Nothing), 5 => wait(10, 45), 1 => mishap(12, 45)];
    let collector = prop_oneof![4 => Just(Mishap::Nothing), 2 => Just(Mishap::PauseBeforeDeleting), 2 => wait(1, 45), 1 => mishap(6, 25)];
    let alias = any::<bool>().prop_map(|has| clean(1, Operation::Set(Setting::Alias(has), true)));
    prop_oneof![
        8 => needing(trouble.boxed()),
        10 => collector.prop_map(collection),
        2 => (0..ACTORS).prop_map(Step::Resume),
        2 => (0..4usize).prop_map(Step::Wait),
        2 => (1..3usize).prop_map(Step::Update),
        1 => alias,
    ]
}

/// How all suites begin, if they do.
pub(crate) fn founding(suite: usize) -> Step {
    let file = File {
        name: 0,
        version: 0,
        architecture: 0,
        build: 0,
    };
    let operation = Operation::Publish {
        component: 0,
        packages: vec![file],
        replace: false,
        phase: None,
        keep: None,
        has_all_keys: true,
        also: None,
    };
    Step::Run {
        actor: 0,
        suite,
        operation,
        mishap: Mishap::Nothing,
    }
}

fn operation() -> impl Strategy<Value = Operation> {
    // Few packages for most of the time, so that what was garbage is needed again.
    let architecture = prop_oneof![3 => 0..2usize, 1 => 0..ARCHITECTURES.len()];
    let component = prop_oneof![2 => Just(0), 1 => 0..COMPONENTS.len()];
    let selector = || 0..SELECTORS.len();
    prop_oneof![
        6 => publish(component, 0..NAMES.len(), architecture),
        2 => selector().prop_map(|selector| Operation::Remove { selector }),
        3 => promote(),
        1 => prune(),
        2 => rollback(),
        1 => (selector(), percent()).prop_map(|(selector, percent)| Operation::Phase { selector, percent }),
        2 => selector().prop_map(|selector| Operation::Halt { selector }),
        1 => Just(Operation::Refresh),
        4 => (setting(), proptest::bool::weighted(0.8)).prop_map(|(setting, is_allowed)| Operation::Set(setting, is_allowed)),
        1 => (0..2usize).prop_map(Operation::AddKey),
        1 => (0..2usize).prop_map(Operation::RetireKey),
        1 => reset(),
        1 => new_setting().prop_map(Operation::Create),
        2 => Just(Operation::Delete),
        1 => Just(Operation::DeleteAlias),
        1 => Just(Operation::Repair),
    ]
}

fn publish(
    component: impl Strategy<Value = usize>,
    name: impl Strategy<Value = usize>,
    architecture: impl Strategy<Value = usize>,
) -> impl Strategy<Value = Operation> {
    let build = prop_oneof![3 => Just(0), 1 => 0..BUILDS];
    let file = (name, 0..VERSIONS.len(), architecture, build);
    let file = file.prop_map(|(name, version, architecture, build)| File {
        name,
        version,
        architecture,
        build,
    });
    let publish = (
        component,
        proptest::collection::vec(file, 1..4),
        any::<bool>(),
        proptest::option::weighted(0.4, percent()),
        proptest::option::weighted(0.2, 1..3u32),
        proptest::bool::weighted(0.9),
        proptest::option::weighted(0.15, 0..COPIED),
    );
    publish.prop_map(
        |(component, packages, replace, phase, keep, has_all_keys, also)| Operation::Publish {
            component,
            packages,
            replace,
            phase,
            keep,
            has_all_keys,
            also,
        },
    )
}

fn promote() -> impl Strategy<Value = Operation> {
    let phase = proptest::option::weighted(0.3, percent());
    let selector = 0..SELECTORS.len();
    let promote = (
        0..SUITES.len(),
        selector,
        any::<bool>(),
        any::<bool>(),
        phase,
        proptest::option::weighted(0.25, 0..COMPONENTS.len()),
    );
    promote.prop_map(
        |(from, selector, mirror, replace, phase, to)| Operation::Promote {
            from,
            selector,
            mirror,
            replace,
            phase,
            to,
        },
    )
}

/// Often of all packages.
fn prune() -> impl Strategy<Value = Operation> {
    let selector = prop_oneof![Just(0), 0..SELECTORS.len()];
    let below = proptest::option::weighted(0.4, 1..VERSIONS.len());
    // A history that is kept may be shorter.
    let span = prop_oneof![0..SPANS.len(), Just(SPANS.len() - 1)];
    let older_than = proptest::option::weighted(0.4, span);
    let newest = prop_oneof![3 => Just(1u32), 1 => Just(2)];
    let prune = (selector, newest, below, older_than);
    prune.prop_map(|(selector, newest, below, older_than)| Operation::Prune {
        selector,
        newest,
        below,
        older_than,
    })
}

fn rollback() -> impl Strategy<Value = Operation> {
    let rollback = (0..4usize, proptest::option::weighted(0.4, 0..SPANS.len()));
    rollback.prop_map(|(back, ago)| Operation::Rollback { back, ago })
}

fn reset() -> impl Strategy<Value = Operation> {
    let reset = (0..2usize, any::<bool>());
    reset.prop_map(|(key, has_old)| Operation::ResetKeys(key, has_old))
}

fn percent() -> impl Strategy<Value = u8> {
    prop_oneof![Just(0), Just(50), Just(100)]
}

fn setting() -> impl Strategy<Value = Setting> {
    prop_oneof![
        1 => any::<bool>().prop_map(Setting::NotAutomatic),
        1 => proptest::option::of(0..LABELS.len()).prop_map(Setting::Label),
        1 => proptest::option::of(1..3u32).prop_map(Setting::Keep),
        1 => any::<bool>().prop_map(Setting::Valid),
        2 => (0..ARCHITECTURE_LISTS.len(), any::<bool>())
            .prop_map(|(list, drops)| Setting::Architectures(list, drops)),
        1 => (0..FORMAT_LISTS.len()).prop_map(Setting::Formats),
        1 => (0..COMPONENTS.len()).prop_map(Setting::Component),
        1 => (0..COMPONENTS.len()).prop_map(Setting::DropComponent),
        4 => proptest::bool::weighted(0.6).prop_map(Setting::Alias),
    ]
}

/// What a suite can be created with.
fn new_setting() -> impl Strategy<Value = Setting> {
    setting().prop_map(|setting| match setting {
        Setting::DropComponent(component) => Setting::Component(component),
        setting => setting,
    })
}

/// Up to the given numbers of writes and requests.
fn mishap(writes: u64, requests: u64) -> impl Strategy<Value = Mishap> {
    let write = move || 1..writes;
    let pause = (1..requests, proptest::option::of(1..requests / 2));
    prop_oneof![
        4 => Just(Mishap::Nothing),
        2 => (write(), any::<bool>()).prop_map(|(write, after)| Mishap::Kill { write, after }),
        1 => write().prop_map(|write| Mishap::LoseReply { write }),
        1 => write().prop_map(|write| Mishap::Refuse { write }),
        3 => pause.prop_map(|(request, again)| Mishap::Pause { request, again }),
    ]
}
