//! What a publish costs at a distance, and what a bulk of packages costs.
//!
//! ```text
//! debucket ─▶ FaultProxy without a fault (counts) ─▶ DelayProxy (delays) ─▶ store
//! ```
//!
//! The time includes both proxies, which run beside the store on this machine. Requests "in a row" mean something only where the
//! delay is long beside the store's own time.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use dev_s3::{DelayProxy, FaultProxy};

use super::{memory::measure, requests::Requests};
use crate::{
    binaries::Binaries,
    deb::Package,
    e2e::world::{HEAD, SigningKeys},
    interrupt::TempFolder,
    store::{Choice, Store},
};

/// Round trips in milliseconds.
const DELAYS: [u64; 2] = [0, 30];
/// Bytes of each package of a bulk.
const SMALL: usize = 5_000;

/// One measured publish.
pub(super) struct Row {
    name: String,
    seconds: f64,
    /// Peak memory in MB.
    megabytes: f64,
    requests: Requests,
}

/// Measures at `choice` whatever is `wanted`; `bulk` is the number of packages in the large publish.
pub(super) fn rows(
    binaries: &Binaries,
    choice: &Choice,
    bulk: usize,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Vec<Row>> {
    let singles = DELAYS.map(|delay| (delay, format!("publish 1 package, {delay} ms away")));
    let bulk = (bulk, format!("publish {bulk} packages at once"));
    if !singles
        .iter()
        .chain([&(0, bulk.1.clone())])
        .any(|(_, name)| wanted(name))
    {
        return Ok(Vec::new());
    }
    let folder = TempFolder::new("bench")?;
    let bench = Bench {
        binaries,
        store: Store::start(choice)?,
        keys: SigningKeys::make(binaries, folder.path())?,
        folder: folder.path(),
    };
    let mut rows = Vec::new();
    for (delay, name) in singles.into_iter().filter(|(_, name)| wanted(name)) {
        let bucket = format!("bench-{delay}-{}", std::process::id());
        bench.store.create_bucket(&bucket)?;
        // Into a suite that is there, beside a package that is there.
        let [first, second] = [1, 2].map(|nth| package(nth).payload_of(500_000));
        bench.publish(&bucket, &[first.build(bench.folder)?], 0)?;
        rows.push(
            bench
                .publish(&bucket, &[second.build(bench.folder)?], delay)?
                .named(name),
        );
    }
    if wanted(&bulk.1) {
        let bucket = format!("bench-bulk-{}", std::process::id());
        bench.store.create_bucket(&bucket)?;
        let files = build(bulk.0, &bench.folder.join("bulk"))?;
        rows.push(bench.publish(&bucket, &files, 0)?.named(bulk.1));
    }
    Ok(rows)
}

struct Bench<'a> {
    binaries: &'a Binaries,
    store: Store,
    keys: SigningKeys,
    folder: &'a Path,
}

impl Bench<'_> {
    /// Publishes `files`, which are in one folder, `delay` milliseconds from the store and back.
    fn publish(&self, bucket: &str, files: &[PathBuf], delay: u64) -> Result<Row> {
        let upstream = self.store.endpoint.trim_start_matches("http://").parse();
        let upstream = upstream.context("the store's endpoint is not http://ADDRESS:PORT")?;
        let (_delaying, counting) = self.store.runtime.block_on(async {
            let delaying = DelayProxy::start(upstream, Duration::from_millis(delay)).await?;
            let counting = FaultProxy::start(&format!("http://{}", delaying.address())).await?;
            Ok::<_, dev_s3::Error>((delaying, counting))
        })?;
        let mut command = Command::new(&self.binaries.debucket);
        self.store.reach_at(&counting.endpoint(), &mut command);
        command
            .args(["publish", "--repo", &format!("s3://{bucket}")])
            .args(["--architectures", "amd64", "--sign-key"])
            .arg(&self.keys.secret);
        // Names alone: tens of thousands of whole paths do not fit a command line.
        let folder = files.first().and_then(|file| file.parent());
        command.current_dir(folder.context("there is nothing to publish")?);
        command.args(files.iter().filter_map(|file| file.file_name()));
        let (seconds, megabytes) = measure(&mut command)?;
        Ok(Row {
            name: String::new(),
            seconds,
            megabytes,
            requests: Requests::of(&counting.request_log(), HEAD),
        })
    }
}

fn package(nth: usize) -> Package {
    Package::new(&format!("bench{nth}"), "1.0").architecture("amd64")
}

/// Builds small packages on all cores.
fn build(count: usize, folder: &Path) -> Result<Vec<PathBuf>> {
    fs::create_dir(folder)?;
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let of_core = |core: usize| {
        (core..count)
            .step_by(cores)
            .map(|nth| package(nth).payload_of(SMALL).build(folder))
            .collect::<Result<Vec<_>>>()
    };
    thread::scope(|scope| {
        let building: Vec<_> = (0..cores)
            .map(|core| scope.spawn(move || of_core(core)))
            .collect();
        let mut files = Vec::with_capacity(count);
        for core in building {
            files.extend(
                core.join()
                    .map_err(|_| anyhow::anyhow!("a build panicked"))??,
            );
        }
        Ok(files)
    })
}

impl Row {
    fn named(self, name: String) -> Self {
        Self { name, ..self }
    }
}

/// A table, and below it what the requests were for.
pub(super) fn print(rows: &[Row]) {
    let Some(width) = rows.iter().map(|row| row.name.len()).max() else {
        return;
    };
    println!(
        "\n{:width$}  {:>8}  {:>9}  {:>24}  {:>24}",
        "publish", "time", "memory", "requests until the head", "requests in all"
    );
    for row in rows {
        println!(
            "{:width$}  {:>6.3} s  {:>6.1} MB  {:>24}  {:>24}",
            row.name,
            row.seconds,
            row.megabytes,
            row.requests.until_head.to_string(),
            row.requests.in_all.to_string()
        );
    }
    for row in rows {
        let kinds: Vec<_> = row
            .requests
            .kinds
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        println!("{:width$}  {}", row.name, kinds.join(", "));
    }
}
