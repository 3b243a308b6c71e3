//! What is told of uploads while they run, on standard error: bars on a terminal, a line a package
//! elsewhere (in CI), nothing with `--quiet` or where a program reads along.

use std::{
    io::{self, IsTerminal as _},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use deb_index::plan::Plan;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::{
    cli::{OutputFormat, OutputOptions},
    output::bytes,
    upload::PackageFile,
};

/// Shows the uploads of one publication.
pub struct Progress(Display);

enum Display {
    Bars {
        bars: MultiProgress,
        packages: ProgressBar,
    },
    Lines,
    Nothing,
}

impl Progress {
    /// For the uploads that `plan` needs.
    pub fn new(output: &OutputOptions, plan: &Plan) -> Self {
        if output.quiet || output.output == OutputFormat::Json || plan.changes.is_empty() {
            return Self(Display::Nothing);
        }
        if !io::stderr().is_terminal() {
            return Self(Display::Lines);
        }
        let bars = MultiProgress::new();
        let packages = bars.add(ProgressBar::new(plan.changes.len() as u64));
        packages.set_style(style("{bar:30} {pos}/{len} packages"));
        packages.tick();
        Self(Display::Bars { bars, packages })
    }

    /// What the upload of `file` tells its bytes to.
    pub fn of(&self, file: &PackageFile) -> Option<s3_storage::Progress> {
        let size = file.addition.deb.digests.size;
        let name = file.addition.identity();
        let upload: Box<dyn Watch> = match &self.0 {
            Display::Bars { bars, packages } => {
                // It joins the others when its first bytes are sent: there may be thousands, of
                // which a few run.
                let bar = ProgressBar::hidden();
                bar.set_length(size);
                bar.set_style(style(
                    "{bar:30} {decimal_bytes:>9}/{decimal_total_bytes:<9} {msg}",
                ));
                bar.set_message(name);
                Box::new(Bar {
                    bars: bars.clone(),
                    packages: packages.clone(),
                    bar,
                    started: std::sync::Once::new(),
                })
            }
            Display::Lines => Box::new(Line {
                name,
                size,
                sent: AtomicU64::new(0),
            }),
            Display::Nothing => return None,
        };
        Some(Arc::new(move |more| upload.sent(more)))
    }

    /// Takes the bars away.
    pub fn finish(self) {
        if let Display::Bars { bars, packages } = self.0 {
            packages.finish_and_clear();
            // Bars that are gone already are none to clear: a terminal that fails now takes nothing
            // with it.
            let _ = bars.clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("=> ")
}

/// Sees one upload. It is dropped when the upload is over: only then is it known that nothing is
/// sent again.
trait Watch: Send + Sync {
    fn sent(&self, more: u64);
}

struct Bar {
    bars: MultiProgress,
    packages: ProgressBar,
    bar: ProgressBar,
    started: std::sync::Once,
}

impl Watch for Bar {
    fn sent(&self, more: u64) {
        self.started.call_once(|| {
            self.bars.add(self.bar.clone());
        });
        // A request that is tried again sends the same bytes again.
        let position = self.bar.position().saturating_add(more);
        self.bar
            .set_position(position.min(self.bar.length().unwrap_or(position)));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        self.packages.inc(1);
    }
}

struct Line {
    name: String,
    size: u64,
    sent: AtomicU64,
}

impl Watch for Line {
    fn sent(&self, more: u64) {
        self.sent.fetch_add(more, Ordering::Relaxed);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // Otherwise it was there already, or it failed; both are told elsewhere.
        if self.sent.load(Ordering::Relaxed) >= self.size {
            eprintln!("sent {} ({})", self.name, bytes(self.size));
        }
    }
}
