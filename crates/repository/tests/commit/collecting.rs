//! A whole collection in the middle of something else.

use std::{sync::Arc, time::Duration};

use s3_storage::{Fault, Faulty, Gate, Memory, On};

use crate::{gc::collect, repository::Signing};

/// Runs a whole collection at the `nth` request of a process, which works on `slow`; none if it takes fewer.
pub(crate) async fn collecting_at<T>(
    nth: u64,
    slow: &Faulty<Arc<Memory>>,
    signing: &Signing,
    process: impl Future<Output = T>,
) -> Option<T> {
    let gate = Gate::new();
    slow.at(On::Requests, nth, Fault::PauseBefore(gate.clone()));
    let process = async {
        let done = process.await;
        gate.open();
        done
    };
    let collector = async {
        if (slow.requests().len() as u64) < nth {
            gate.reached().await;
        }
        let collected = collect(slow.inner(), signing).await;
        gate.open();
        collected
    };
    tokio::select! {
        biased;
        (done, collected) = async { tokio::join!(process, collector) } => {
            collected.unwrap();
            Some(done)
        }
        () = never_reached(slow, nth) => None,
    }
}

/// Ends when a process is through with fewer requests.
pub(crate) async fn never_reached(store: &Faulty<Arc<Memory>>, nth: u64) {
    let mut before = usize::MAX;
    loop {
        // Longer than a publisher is busy between two requests, on a loaded machine too.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let now = store.requests().len();
        if now == before && (now as u64) < nth {
            return;
        }
        before = now;
    }
}
