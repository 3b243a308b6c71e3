//! Compare and swap, by many writers at once.

use std::sync::Arc;

use super::{Holds as _, lists};
use crate::{Cas, Current, Error, Storage, Swap};

pub(super) async fn no_update_is_lost(store: &Arc<dyn Storage>) {
    const WRITERS: usize = 8;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                let object = Cas {
                    key: "cas/object",
                    limit: 1000,
                    conditional: true,
                };
                let append = |current: &Current| {
                    let mut text = current.bytes.as_deref().unwrap_or_default().to_vec();
                    let mark = format!("{writer} ");
                    // A lost reply is no reason to write twice.
                    if String::from_utf8_lossy(&text).contains(&mark) {
                        return Ok::<_, Error>(Swap::Keep(()));
                    }
                    text.extend_from_slice(mark.as_bytes());
                    Ok(Swap::Write(text.into(), ()))
                };
                object.update(&*store, append).await
            })
        })
        .collect();
    for writer in writers {
        let updated = writer.await.unwrap_or_else(|error| panic!("{error}"));
        updated.holds("an object can be compared and swapped");
    }
    let content = super::content(&**store, "cas/object").await;
    let text = String::from_utf8_lossy(&content);
    let mut marks: Vec<_> = text.split_whitespace().collect();
    marks.sort_unstable();
    let expected: Vec<_> = (0..WRITERS).map(|writer| writer.to_string()).collect();
    assert_eq!(marks, expected, "each writer's change is there, once");
    store
        .delete(&["cas/object".to_owned()])
        .await
        .holds("delete");
    assert_eq!(lists::keys(&**store, "cas/").await, [""; 0]);
}
