//! What a publish of one package costs, into suites of several sizes.

use std::{process::Command, sync::Arc};

use anyhow::{Context as _, Result};
use deb_index::{
    change::{Edit, Intent},
    suite::{commit::Authorship, settings::Settings},
};
use repository::{Allow, Keys, Repository, RepositoryUrl, Silent, Writes};
use s3_storage::{Prefixed, S3, Storage};

use super::{
    Figure, Target, median,
    memory::measure,
    server::{BUCKET, Server},
    stanzas,
};
use crate::{binaries::Binaries, deb::Package, interrupt::TempFolder, process::run};

/// Packages in the suite before, and the targets: seconds, MB.
const SIZES: [(usize, f64, f64); 4] = [
    (0, 0.3, 300.0),
    (1_000, 0.4, 300.0),
    (10_000, 0.8, 300.0),
    (63_000, 3.0, 300.0),
];
/// Publishes into each suite.
const RUNS: usize = 5;

pub(crate) fn figures(binaries: &Binaries, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<Figure>> {
    let sizes: Vec<_> = SIZES
        .into_iter()
        .filter(|(size, ..)| wanted(&name(*size)))
        .collect();
    if sizes.is_empty() {
        return Ok(Vec::new());
    }
    let folder = TempFolder::new("bench")?;
    let server = Server::start(false)?;
    let key = folder.path().join("key.asc");
    run(Command::new(&binaries.debucket)
        .args(["key", "generate", "--out"])
        .arg(&key))?
    .success()?;
    let mut figures = Vec::new();
    for (size, seconds, megabytes) in sizes {
        let prefix = format!("of-{size}");
        seed(&server, &prefix, size)?;
        let mut times = Vec::new();
        let mut peak = 0.0_f64;
        for nth in 0..RUNS {
            let package = Package::new(&format!("bench{nth}"), "1.0")
                .architecture("amd64")
                .payload_of(500_000);
            let file = package.build(folder.path())?;
            let mut publish = Command::new(&binaries.debucket);
            // Unsigned as the seed is; signing itself takes less than a millisecond with Ed25519.
            publish.arg("publish").arg(&file).args([
                "--repo",
                &format!("s3://{BUCKET}/{prefix}"),
                "--unsigned",
            ]);
            publish.envs(&server.exports);
            let (seconds, megabytes) = measure(&mut publish)?;
            times.push(seconds);
            peak = peak.max(megabytes);
        }
        figures.push(Figure {
            name: name(size),
            value: median(times),
            unit: "s",
            target: Target::AtMost(seconds),
        });
        let name = format!("{}, peak memory", name(size));
        figures.push(Figure {
            name,
            value: peak,
            unit: "MB",
            target: Target::AtMost(megabytes),
        });
    }
    Ok(figures)
}

fn name(size: usize) -> String {
    format!("publish 0.5 MB into a suite of {size}")
}

/// Commits `size` packages without their files, which are not fetched here.
pub(super) fn seed(server: &Server, prefix: &str, size: usize) -> Result<()> {
    if size == 0 {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let settings = Settings {
        architectures: vec!["amd64".parse()?],
        formats: vec!["gz".to_owned(), "zst".to_owned()],
        ..Settings::default()
    };
    let additions = stanzas::stanzas(size)?.into_iter().map(|stanza| Edit::Add {
        stanza,
        replace: false,
    });
    let edits = [Edit::Exist(settings.into())].into_iter().chain(additions);
    let intent = Intent(edits.collect());
    runtime.block_on(async {
        let storage: Arc<dyn Storage> =
            Arc::new(Prefixed::new(S3::connect(server.config()).await?, prefix));
        let url = RepositoryUrl::new(BUCKET, prefix)?;
        let repository = Repository::new(storage, url, Writes::Conditional);
        let suite = repository.suite("stable".parse()?, Keys::Unsigned);
        let draft = suite.draft(intent, Allow::default()).await?;
        let by = Authorship {
            author: "bench".to_owned(),
            ..Authorship::default()
        };
        draft
            .commit(&[], &by, &Silent)
            .await
            .context("seeding the suite")?;
        Ok(())
    })
}
