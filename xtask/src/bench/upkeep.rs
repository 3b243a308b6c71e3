//! What looking after a large repository costs.

use std::{process::Command, sync::Arc, thread, time::Duration};

use anyhow::Result;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use s3_storage::{Payload, Prefixed, PutMode, PutOptions, S3, Storage};

use super::{
    Figure, Target,
    memory::measure,
    publish::seed,
    server::{BUCKET, Server},
    stanzas,
};
use crate::binaries::Binaries;

/// Packages in the suite.
const SIZE: usize = 63_000;
/// Objects in the pool; what is not a package of the suite is garbage.
const OBJECTS: usize = 100_000;
/// Objects that are put at once.
const CONCURRENT: usize = 64;
const MEGABYTES: f64 = 300.0;
const PREFIX: &str = "kept";
/// A grace period of a second, and two of the store's whole seconds.
const GRACE: Duration = Duration::from_secs(3);
/// What is measured in this order, its arguments, and the target in seconds. The first collection condemns, the second deletes.
const COMMANDS: [(&str, &[&str], f64); 3] = [
    ("verify", &["verify"], 10.0),
    ("gc that condemns", GC, 60.0),
    ("gc that deletes", GC, 60.0),
];
const GC: &[&str] = &["gc", "--grace", "1s", "--keep-history", "1s"];

pub(crate) fn figures(binaries: &Binaries, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<Figure>> {
    let name = |command: &str| match command {
        "verify" => format!("verify, {SIZE} packages"),
        command => format!("{command}, {OBJECTS} objects"),
    };
    if !COMMANDS.iter().any(|(command, ..)| wanted(&name(command))) {
        return Ok(Vec::new());
    }
    let server = Server::start(false)?;
    seed(&server, PREFIX, SIZE)?;
    fill(&server, PREFIX, SIZE, OBJECTS)?;
    let mut figures = Vec::new();
    for (command, arguments, seconds) in COMMANDS {
        thread::sleep(GRACE);
        let mut debucket = Command::new(&binaries.debucket);
        debucket
            .args(arguments)
            .args(["--repo", &format!("s3://{BUCKET}/{PREFIX}")])
            .envs(&server.exports);
        let (taken, peak) = measure(&mut debucket)?;
        let memory = format!("{}, peak memory", name(command));
        for (name, value, unit, most) in [
            (name(command), taken, "s", seconds),
            (memory, peak, "MB", MEGABYTES),
        ] {
            figures.push(Figure {
                name,
                value,
                unit,
                target: Target::AtMost(most),
            });
        }
    }
    Ok(figures)
}

/// Puts the files of the packages into the pool, and garbage up to this many objects. What stands for a file is the control file
/// that its digests are of.
pub(super) fn fill(server: &Server, prefix: &str, packages: usize, objects: usize) -> Result<()> {
    let garbage = packages..objects;
    let packages = stanzas::stanzas(packages)?.into_iter().map(|stanza| {
        let length = usize::try_from(stanza.size).unwrap_or(usize::MAX);
        (stanza.key, stanza.bytes.slice(..length))
    });
    let garbage = garbage.map(|number| {
        let key = format!("pool/main/g/garbage/garbage_{number}_all.deb");
        (key, "x".into())
    });
    let objects = packages.chain(garbage);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let bucket = S3::connect(server.config()).await?;
        let storage: Arc<dyn Storage> = Arc::new(Prefixed::new(bucket, prefix));
        let puts = stream::iter(objects).map(|(key, bytes)| {
            let storage = Arc::clone(&storage);
            async move {
                let options = PutOptions::new(PutMode::Overwrite);
                let put = storage.put(&key, Payload::Bytes(bytes), options);
                put.await.map(drop)
            }
        });
        puts.buffer_unordered(CONCURRENT)
            .try_collect::<()>()
            .await?;
        Ok(())
    })
}
