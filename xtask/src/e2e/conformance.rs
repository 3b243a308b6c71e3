//! The storage conformance suite of `s3-storage` on the store of this run: the fake that its unit tests use keeps the same rules.

use std::{panic, sync::Arc};

use anyhow::{Result, anyhow};

use super::{Needs, Scenario, world::World};

pub(super) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "storage-conformance",
    about: "the S3 client and this store keep the rules of the Storage trait",
    needs: Needs::Nothing,
    run: storage_conformance,
}];

fn storage_conformance(world: &World<'_>) -> Result<()> {
    let storage = world.bucket.storage();
    let runtime = Arc::clone(&world.store.runtime);
    // The suite panics at the first rule that does not hold.
    let run = panic::catch_unwind(panic::AssertUnwindSafe(|| {
        runtime.block_on(s3_storage::conformance(storage))
    }));
    run.map_err(|cause| {
        let words = cause
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| cause.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        anyhow!("{}", words.unwrap_or_else(|| "a rule does not hold".into()))
    })
}
