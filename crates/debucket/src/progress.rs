//! Progress, on standard error: bars for uploads and a line for other work on a terminal, a line for each upload elsewhere (in CI),
//! nothing with `--quiet` or for a program.

use std::{
    io::{self, IsTerminal as _},
    sync::{
        Arc, Once,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use deb_index::stanza::Stanza;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use repository::{Observer, Stage, Work};
use tokio::time::Instant;

use crate::{
    context::Context,
    environment,
    printer::{Printer, eprint_line},
    text::{bytes, grouped},
};

/// How long work takes of which nothing is shown.
const MOMENT: Duration = Duration::from_millis(500);

/// Shows the uploads of one change, and notes how far it has come.
pub(crate) struct Progress<'a> {
    context: &'a Context,
    display: Display,
}

enum Display {
    Bars {
        bars: MultiProgress,
        packages: ProgressBar,
    },
    /// The word for an upload that is over.
    Lines(&'static str),
    Nothing,
}

impl<'a> Progress<'a> {
    /// For this number of uploads, or of copies.
    pub(crate) fn new(context: &'a Context, uploads: usize, are_copies: bool) -> Self {
        let display = if !context.printer.shows_progress() || uploads == 0 {
            Display::Nothing
        } else if let Some(bars) = context.bars.clone() {
            let packages = bars.add(ProgressBar::new(uploads as u64));
            packages.set_style(style("{bar:30} {pos}/{len} packages"));
            packages.tick();
            Display::Bars { bars, packages }
        } else {
            Display::Lines(if are_copies { "copied" } else { "sent" })
        };
        Self { context, display }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if let Display::Bars { bars, packages } = &self.display {
            packages.finish_and_clear();
            // A terminal that is gone needs no clearing.
            let _ = bars.clear();
        }
    }
}

impl Observer for Progress<'_> {
    fn upload(&self, stanza: &Stanza) -> Option<s3_storage::Progress> {
        let upload: Box<dyn Watch> = match &self.display {
            Display::Bars { bars, packages } => {
                // It joins the others when its first bytes are sent: there may be thousands, of which a few run.
                let bar = ProgressBar::hidden();
                bar.set_length(stanza.size);
                bar.set_style(style(
                    "{bar:30} {decimal_bytes:>9}/{decimal_total_bytes:<9} {msg}",
                ));
                bar.set_message(stanza.id.to_string());
                Box::new(Bar {
                    bars: bars.clone(),
                    packages: packages.clone(),
                    bar,
                    started: Once::new(),
                })
            }
            Display::Lines(word) => Box::new(Line {
                word,
                name: stanza.id.to_string(),
                size: stanza.size,
                sent: AtomicU64::new(0),
            }),
            Display::Nothing => return None,
        };
        Some(Arc::new(move |more| upload.sent(more)))
    }

    fn stage(&self, stage: Stage) {
        self.context.set_stage(stage);
    }

    fn notice(&self, text: &str) {
        match &self.display {
            Display::Bars { bars, .. } => bars.suspend(|| self.context.printer.note(text)),
            Display::Lines(_) | Display::Nothing => self.context.printer.note(text),
        }
    }
}

/// Where bars are shown: standard error, if it is a terminal that can move its cursor. CI systems have some that only pretend to be
/// one.
pub(crate) fn bars(printer: &Printer) -> Option<MultiProgress> {
    let term = environment::text("TERM");
    let is_ci = environment::variable("CI").is_some();
    let has_bars = has_bars(io::stderr().is_terminal(), term.as_deref(), is_ci);
    (printer.shows_progress() && has_bars).then(MultiProgress::new)
}

fn has_bars(is_terminal: bool, term: Option<&str>, is_ci: bool) -> bool {
    is_terminal && term.is_some_and(|term| term != "dumb") && !is_ci
}

/// Shows work that takes more than a moment, a line for each.
pub(crate) struct Works(pub(crate) MultiProgress);

impl Observer for Works {
    fn work(&self, work: Work) -> Option<s3_storage::Progress> {
        let work = Shown {
            bars: self.0.clone(),
            bar: ProgressBar::hidden(),
            work,
            done: AtomicU64::new(0),
            began: Instant::now(),
            started: Once::new(),
        };
        Some(Arc::new(move |more| work.done(more)))
    }
}

struct Shown {
    bars: MultiProgress,
    bar: ProgressBar,
    work: Work,
    done: AtomicU64,
    began: Instant,
    started: Once,
}

impl Shown {
    fn done(&self, more: u64) {
        let done = self.done.fetch_add(more, Ordering::Relaxed) + more;
        if self.began.elapsed() < MOMENT {
            return;
        }
        self.started.call_once(|| {
            self.bar.set_style(style("{msg}"));
            self.bars.add(self.bar.clone());
        });
        self.bar.set_message(text(&self.work, done));
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// How much of some work is done.
fn text(work: &Work, done: u64) -> String {
    // What is tried again is done twice.
    let done = work.total().map_or(done, |total| total.min(done));
    let count = grouped(done);
    let total = work.total().map(grouped).unwrap_or_default();
    match work {
        Work::Listing { folder } => format!("{count} objects listed in {folder}"),
        Work::Commits { suite, .. } => format!("{suite}: {count} of {total} commits read"),
        Work::Files { suite, .. } => format!("{suite}: {count} of {total} files checked"),
        Work::Content {
            suite,
            bytes: total,
        } => {
            format!("{suite}: {} of {} read", bytes(done), bytes(*total))
        }
        Work::Deletion { .. } => format!("{count} of {total} objects deleted"),
    }
}

fn style(template: &str) -> ProgressStyle {
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("=> ")
}

/// Sees one upload. It is dropped when the upload is over: only then is it known that nothing is sent again.
trait Watch: Send + Sync {
    fn sent(&self, more: u64);
}

struct Bar {
    bars: MultiProgress,
    packages: ProgressBar,
    bar: ProgressBar,
    started: Once,
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
    word: &'static str,
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
        // Otherwise it was there already, or it failed; both are reported elsewhere.
        if self.sent.load(Ordering::Relaxed) >= self.size {
            eprint_line(&format!(
                "{} {} ({})",
                self.word,
                self.name,
                bytes(self.size)
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_told_in_its_own_unit() {
        let suite = || "stable".parse().unwrap();
        let listing = Work::Listing {
            folder: "pool/".to_owned(),
        };
        let count = 63_000;
        let files = Work::Files {
            suite: suite(),
            count,
        };
        let commits = Work::Commits {
            suite: suite(),
            count: 7,
        };
        let content = Work::Content {
            suite: suite(),
            bytes: 30_000_000_000,
        };
        for (work, done, expected) in [
            (&listing, 40_000, "40,000 objects listed in pool/"),
            (&files, 12_000, "stable: 12,000 of 63,000 files checked"),
            // Some were looked at again.
            (&files, 63_005, "stable: 63,000 of 63,000 files checked"),
            (&commits, 1, "stable: 1 of 7 commits read"),
            (&content, 1_234_567_890, "stable: 1.2 GB of 30.0 GB read"),
            (
                &Work::Deletion { count },
                1000,
                "1,000 of 63,000 objects deleted",
            ),
        ] {
            assert_eq!(text(work, done), expected);
        }
    }

    #[test]
    fn bars_are_for_people_at_a_terminal() {
        assert!(has_bars(true, Some("xterm"), false));
        for (is_terminal, term, is_ci) in [
            (false, Some("xterm"), false),
            (true, None, false),
            (true, Some("dumb"), false),
            (true, Some("xterm"), true),
        ] {
            assert!(!has_bars(is_terminal, term, is_ci));
        }
    }
}
