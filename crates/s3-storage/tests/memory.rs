//! The fake keeps the rules that real stores keep.
#![cfg(feature = "test-util")]

use std::sync::Arc;

use s3_storage::{ConditionalWrites, Faulty, Memory, Prefixed, Storage, conformance, probe};

#[tokio::test]
async fn memory_conforms() {
    conformance(Arc::new(Memory::new())).await;
}

#[tokio::test]
async fn a_prefix_of_a_bucket_conforms_and_stays_below_it() {
    let memory = Arc::new(Memory::new());
    memory.write("beside", "untouched");
    memory.write("below", "untouched");
    memory.write("below/nested", "untouched");
    conformance(Arc::new(Prefixed::new(
        Arc::clone(&memory),
        "/below/nested/",
    )))
    .await;
    assert_eq!(memory.keys(), ["below", "below/nested", "beside"]);
}

#[tokio::test]
async fn a_faulty_store_without_faults_conforms() {
    conformance(Arc::new(Faulty::new(Memory::new()))).await;
}

#[tokio::test]
async fn the_probe_finds_the_fake_good() {
    let memory: Arc<dyn Storage> = Arc::new(Memory::new());
    assert_eq!(probe(&*memory).await.unwrap(), ConditionalWrites::Supported);
}
