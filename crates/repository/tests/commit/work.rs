//! What takes long is told while it is done, to the end.

use std::sync::{Arc, Mutex};

use repository::{Depth, Observer, Work, Writes};
use s3_storage::Progress;

use crate::{
    gc::{GRACE, Scene, options},
    repository::{keys, open, suite},
};

/// Work that is over, and how much of it was told.
#[derive(Default, Clone)]
struct Seen(Arc<Mutex<Vec<(Work, u64)>>>);

struct Begun {
    seen: Seen,
    work: Work,
    done: Mutex<u64>,
}

impl Drop for Begun {
    fn drop(&mut self) {
        let done = *self.done.lock().unwrap();
        self.seen.0.lock().unwrap().push((self.work.clone(), done));
    }
}

impl Observer for Seen {
    fn work(&self, work: Work) -> Option<Progress> {
        let begun = Begun {
            seen: self.clone(),
            work,
            done: Mutex::default(),
        };
        Some(Arc::new(move |more| *begun.done.lock().unwrap() += more))
    }
}

impl Seen {
    fn take(&self) -> Vec<(Work, u64)> {
        let seen = std::mem::take(&mut *self.0.lock().unwrap());
        for (work, done) in &seen {
            assert_eq!(work.total().unwrap_or(*done), *done, "{work:?}");
        }
        seen
    }
}

#[tokio::test]
async fn work_is_told_until_all_of_it_is_done() {
    let scene = Scene::uncollected().await;
    let seen = Seen::default();
    let repository = open(scene.repository.bucket.clone(), Writes::Conditional);
    let repository = repository.observed(Arc::new(seen.clone()));
    let suites = [repository.suite(suite(), keys(&scene.signing))];
    let in_pool = |count| {
        let folder = "pool/".to_owned();
        (Work::Listing { folder }, count)
    };

    repository.verify(&suites, Depth::Content).await.unwrap();
    let told = seen.take();
    let size = "base".len() as u64;
    let content = Work::Content {
        suite: suite(),
        bytes: size,
    };
    let commits = Work::Commits {
        suite: suite(),
        count: 2,
    };
    for expected in [in_pool(2), (content, size), (commits, 2)] {
        assert!(told.contains(&expected), "{expected:?}: {told:?}");
    }

    // What comes back is looked for.
    let head = suites[0].existing_head().await.unwrap();
    let earlier = "@~1".parse().unwrap();
    let (id, commit) = suites[0].revision(&head, &earlier).await.unwrap();
    suites[0].restored(&head, id, &commit).await.unwrap();
    let package = Work::Files {
        suite: suite(),
        count: 1,
    };
    assert!(seen.take().contains(&(package, 1)));

    repository.collect(&suites, options()).await.unwrap();
    assert!(seen.take().contains(&in_pool(2)));
    scene.repository.clock.advance(GRACE);
    let deleted = repository
        .collect(&suites, options())
        .await
        .unwrap()
        .deleted;
    let count = deleted.objects;
    assert!(count > 0);
    assert!(seen.take().contains(&(Work::Deletion { count }, count)));
}
