//! Races: of writes that exclude each other exactly one wins, and the object is the winner's.

use std::sync::Arc;

use futures::future::join_all;

use super::{Holds as _, LocalFile, content, noise, put};
use crate::{Error, ErrorKind, Payload, PutMode, PutOptions, PutReply, Storage};

/// How many take part.
const RACERS: usize = 16;

/// Lets all write at once. A racer that is told to come again (409) does.
async fn race(store: &Arc<dyn Storage>, key: &str, mode: &PutMode) -> Vec<Result<PutReply, Error>> {
    let racers = (0..RACERS).map(|racer| {
        let (store, key, mode) = (Arc::clone(store), key.to_owned(), mode.clone());
        tokio::spawn(async move {
            loop {
                match put(&*store, &key, format!("racer {racer}"), mode.clone()).await {
                    Err(error) if error.kind() == ErrorKind::Conflict => {
                        tokio::task::yield_now().await
                    }
                    result => return result,
                }
            }
        })
    });
    join_all(racers)
        .await
        .into_iter()
        .map(|joined| joined.unwrap_or_else(|error| panic!("a racer panicked: {error}")))
        .collect()
}

/// The one that won; all others were told so.
fn winner(results: &[Result<PutReply, Error>], rule: &str) -> (usize, PutReply) {
    let mut winners = Vec::new();
    for (racer, result) in results.iter().enumerate() {
        match result {
            Ok(reply) => winners.push((racer, reply.clone())),
            Err(error) => assert_eq!(
                error.kind(),
                ErrorKind::PreconditionFailed,
                "{rule}: a loser is told that it lost, got {error:?}"
            ),
        }
    }
    assert_eq!(
        winners.len(),
        1,
        "{rule}: exactly one of {} wins, not {:?}",
        results.len(),
        winners
    );
    winners.remove(0)
}

pub(super) async fn creates(store: &Arc<dyn Storage>) {
    for round in 0..3 {
        let key = format!("race/create-{round}");
        let results = race(store, &key, &PutMode::Create).await;
        let (racer, reply) = winner(&results, "racing creates");
        assert_eq!(
            content(&**store, &key).await,
            format!("racer {racer}"),
            "the object is the winner's"
        );
        assert_eq!(
            store.head(&key).await.holds("HEAD").etag,
            reply.etag,
            "and has the ETag that the winner was told"
        );
    }
}

pub(super) async fn updates(store: &Arc<dyn Storage>) {
    let mut etag = put(&**store, "race/update", "start", PutMode::Create)
        .await
        .holds("write")
        .etag;
    for _ in 0..3 {
        let results = race(store, "race/update", &PutMode::Update(etag)).await;
        let (racer, reply) = winner(&results, "racing updates");
        assert_eq!(
            content(&**store, "race/update").await,
            format!("racer {racer}"),
            "the object is the winner's"
        );
        // Another content before the next round: a racer that writes what is there already would
        // find its own ETag.
        etag = put(
            &**store,
            "race/update",
            "between",
            PutMode::Update(reply.etag),
        )
        .await
        .holds("the winner goes on")
        .etag;
    }
}

pub(super) async fn large_creates(store: &Arc<dyn Storage>) {
    let contents: Vec<_> = (0..3)
        .map(|racer| [noise(17_000_000), vec![racer]].concat())
        .collect();
    let files: Vec<_> = contents
        .iter()
        .map(|bytes| LocalFile::new("racer", bytes))
        .collect();
    let racers = files.iter().zip(&contents).map(|(file, bytes)| {
        let (store, payload): (_, Payload) = (Arc::clone(store), file.payload(bytes.len()));
        tokio::spawn(async move {
            loop {
                match store
                    .put(
                        "race/large",
                        payload.clone(),
                        PutOptions::new(PutMode::Create),
                    )
                    .await
                {
                    Err(error) if error.kind() == ErrorKind::Conflict => {
                        tokio::task::yield_now().await
                    }
                    result => return result,
                }
            }
        })
    });
    let results: Vec<_> = join_all(racers)
        .await
        .into_iter()
        .map(|joined| joined.unwrap_or_else(|error| panic!("a racer panicked: {error}")))
        .collect();
    let (racer, _) = winner(&results, "racing creates of large files");
    assert!(
        content(&**store, "race/large").await == contents[racer],
        "the object is the winner's"
    );
}
