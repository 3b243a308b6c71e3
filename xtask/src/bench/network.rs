//! What a publish costs at a distance, and what a bulk of packages costs.
//!
//! ```text
//! debucket ─▶ FaultProxy without a fault (counts) ─▶ DelayProxy (delays) ─▶ store
//! ```
//!
//! The time includes both proxies, which run beside the store on this machine.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use dev_s3::{DelayProxy, FaultProxy};

use super::{
    memory::measure,
    requests::{Count, Requests},
};
use crate::{
    binaries::Binaries,
    deb::Package,
    e2e::world::{HEAD, SigningKeys},
    interrupt::TempFolder,
    store::{Choice, Store},
};

/// Bytes of each package of a bulk, and of one that is published alone.
const SMALL: usize = 5_000;
const USUAL: usize = 500_000;

struct Case {
    name: String,
    /// Round trip to the store in milliseconds.
    delay: u64,
    /// Packages, and bytes of each.
    packages: (usize, usize),
    /// Whether the suite is there, with one package in it.
    is_next: bool,
}

/// One measured publish.
pub(super) struct Row {
    case: Case,
    seconds: f64,
    /// Peak memory in MB.
    megabytes: f64,
    requests: Requests,
}

/// Measures at `choice` what is `wanted`, once each; `bulk` is the number of packages in the large publish.
pub(super) fn rows(
    binaries: &Binaries,
    choice: &Choice,
    bulk: usize,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Vec<Row>> {
    let single = |delay| Case {
        name: format!("publish 1 package, {delay} ms away"),
        delay,
        packages: (1, USUAL),
        is_next: true,
    };
    let at_once = Case {
        name: format!("publish {bulk} packages at once"),
        delay: 0,
        packages: (bulk, SMALL),
        is_next: false,
    };
    let mut cases = vec![single(0), single(30), at_once];
    cases.retain(|case| wanted(&case.name));
    if cases.is_empty() {
        return Ok(Vec::new());
    }
    let folder = TempFolder::new("bench")?;
    let bench = Bench {
        binaries,
        store: Store::start(choice)?,
        keys: SigningKeys::make(binaries, folder.path())?,
    };
    let measured = (0..).zip(cases).map(|(nth, case)| {
        let bucket = format!("bench-{nth}-{}", std::process::id());
        bench.store.create_bucket(&bucket)?;
        let files = folder.path().join(nth.to_string());
        fs::create_dir(&files)?;
        if case.is_next {
            let first = Package::new("first", "1.0").architecture("amd64");
            bench.publish(&bucket, &[first.build(&files)?], 0)?;
        }
        let (count, size) = case.packages;
        let packages = build(count, size, &files)?;
        let (seconds, megabytes, requests) = bench.publish(&bucket, &packages, case.delay)?;
        Ok(Row {
            case,
            seconds,
            megabytes,
            requests,
        })
    });
    measured.collect()
}

struct Bench<'a> {
    binaries: &'a Binaries,
    store: Store,
    keys: SigningKeys,
}

impl Bench<'_> {
    /// Publishes `files`, which are in one folder, `delay` milliseconds from the store and back. Returns seconds, MB and requests.
    fn publish(&self, bucket: &str, files: &[PathBuf], delay: u64) -> Result<(f64, f64, Requests)> {
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
        let requests = Requests::of(&counting.request_log(), HEAD);
        Ok((seconds, megabytes, requests))
    }
}

/// Builds `count` packages of `size` bytes on all cores.
fn build(count: usize, size: usize, folder: &Path) -> Result<Vec<PathBuf>> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let of_core = |core: usize| {
        (core..count)
            .step_by(cores)
            .map(|nth| {
                Package::new(&format!("bench{nth}"), "1.0")
                    .architecture("amd64")
                    .payload_of(size)
                    .build(folder)
            })
            .collect::<Result<Vec<_>>>()
    };
    thread::scope(|scope| {
        let building: Vec<_> = (0..cores)
            .map(|core| scope.spawn(move || of_core(core)))
            .collect();
        let mut files = Vec::with_capacity(count);
        for core in building {
            files.extend(core.join().map_err(|_| anyhow!("a build panicked"))??);
        }
        Ok(files)
    })
}

/// A table, and below it what the requests were for.
pub(super) fn print(rows: &[Row]) {
    let Some(width) = rows.iter().map(|row| row.case.name.len()).max() else {
        return;
    };
    println!(
        "\n{:width$}  {:>8}  {:>9}  {:>23}  {:>20}",
        "publish", "time", "memory", "requests until the head", "requests in all"
    );
    for row in rows {
        // Without a delay, what follows what is chance.
        let shown = |count: Count| match row.case.delay {
            0 => count.requests.to_string(),
            _ => format!("{} ({} in a row)", count.requests, count.in_a_row),
        };
        println!(
            "{:width$}  {:>6.3} s  {:>6.1} MB  {:>23}  {:>20}",
            row.case.name,
            row.seconds,
            row.megabytes,
            shown(row.requests.until_head),
            shown(row.requests.in_all),
        );
    }
    for row in rows {
        let kinds: Vec<_> = row
            .requests
            .kinds
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        println!("{:width$}  {}", row.case.name, kinds.join(", "));
    }
}
